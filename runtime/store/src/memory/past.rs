//! What the model store has noted of the past.

use std::collections::BTreeMap;

use reactor_core::event::{DeliveryId, HostTime, Origin, ReactorId};
use reactor_core::store::KeptAttempt;

/// An event for a reactor.
pub(super) type At = (Origin, ReactorId);

/// What is noted for later questions.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// When each event was last entered, and as which delivery; a redrive enters it again.
    pub(super) entered: BTreeMap<At, (HostTime, DeliveryId)>,
    /// When each duplicate was suppressed, with the first delivery of its key and the origin of that one.
    pub(super) duplicates: BTreeMap<At, (HostTime, DeliveryId, Option<Origin>)>,
    pub(super) attempts: Vec<(HostTime, KeptAttempt)>,
    /// The notes about what was admitted until this time are no longer complete.
    pub(super) told: HostTime,
}
