//! What the model store keeps of each log, delivery and dead letter.

use std::collections::BTreeMap;

use reactor_core::event::{DeliveryId, HostTime, LaneKey, Offset};
use reactor_core::store::{Asked, LogRecord, StoredDead, StoredDelivery};

#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) name: String,
    pub(super) records: BTreeMap<Offset, (HostTime, LogRecord)>,
    pub(super) next: u64,
    pub(super) cursor: Offset,
}

#[derive(Clone, Debug)]
pub(super) struct Dead {
    pub(super) stored: StoredDead,
    pub(super) lane: Option<LaneKey>,
    pub(super) delivery: Option<DeliveryId>,
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) stored: StoredDelivery,
    pub(super) attempts: u32,
    pub(super) started: Option<u32>,
}

/// A letter that was dropped.
#[derive(Clone, Debug)]
pub(super) struct Dropped {
    pub(super) at: HostTime,
    pub(super) of: Asked,
    pub(super) reason: String,
}
