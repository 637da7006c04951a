//! An entry in a reactor's list of things to start.

use reactor_core::event::{DeliveryId, LaneKey};

/// Something that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    Delivery(DeliveryId),
    Lane(LaneKey),
}
