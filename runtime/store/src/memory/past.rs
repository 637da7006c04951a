//! What the model store has noted of the past.

use std::collections::BTreeMap;

use reactor_core::event::{DeliveryId, HostTime, Origin, ReactorId};
use reactor_core::store::KeptAttempt;

/// An event for a reactor.
pub(super) type At = (Origin, ReactorId);

/// What was noted for those who ask later.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// When and as what each event was last entered; a redrive enters it again.
    pub(super) entered: BTreeMap<At, (HostTime, DeliveryId)>,
    /// When each was suppressed, and the one before it.
    pub(super) duplicates: BTreeMap<At, (HostTime, DeliveryId, Option<Origin>)>,
    pub(super) attempts: Vec<(HostTime, KeptAttempt)>,
    /// Of what was admitted until then, not all is known any more.
    pub(super) told: HostTime,
}
