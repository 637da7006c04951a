//! The JSON that the host needs: untrusted text is checked once, then single values are read in place.
//!
//! Nothing here builds a document: values are slices of the text, so an event costs one pass over its bytes for the
//! check and one for the lookups. Everything except [`check`] expects checked text; on other text it finds less but
//! never panics.

mod check;
mod decimal;
mod layout;
mod object;
mod pointers;
mod value;

pub use check::{Flaw, FlawKind, MAX_DEPTH, check};
pub use decimal::Decimal;
pub use layout::{compact, pretty};
pub use object::{Object, elements};
pub use pointers::PointerSet;
pub use value::Value;
