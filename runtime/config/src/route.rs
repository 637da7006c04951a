//! What a reactor reads, for comparison with other keys.

use reactor_core::subscription::TypePattern;

use super::text::Text;

/// What a reactor reads, with places.
pub(super) struct Route {
    pub(super) from: Vec<Text>,
    pub(super) on: Vec<(Text, TypePattern)>,
    /// Whether all of `on` could be parsed.
    pub(super) on_is_whole: bool,
}
