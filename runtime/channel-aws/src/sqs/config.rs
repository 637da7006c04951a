//! `kind = "sqs"`

use std::sync::Arc;

use reactor_config::Written;
use reactor_config::kind::{Kind, Reader, Section, lease, settle};
use reactor_config::outside::{Outside, Settings};
use reactor_config::schema::keys_of;

use super::LIMITS;
use crate::aws::keys::{self, QueueKeys};

pub(super) const FILE: Kind = Kind {
    name: "sqs",
    keys: &["queue", "settle", "create", "lease"],
    required: &["queue"],
    schema: keys_of::<QueueKeys>,
    read,
};

/// The settings of a channel of kind `sqs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqsSettings {
    /// Name, URL or ARN.
    pub queue: Written,
    /// Whether a missing queue is created.
    pub create: bool,
}

impl Settings for SqsSettings {
    fn address(&self) -> &Written {
        &self.queue
    }
}

fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Outside> {
    let queue = reader.required(section, "queue", "\"orders\"").map(|text| keys::queue(reader, section, &text));
    let create = reader.boolean(section, "create").unwrap_or(false);
    Some(Outside {
        kind: FILE.name,
        limits: LIMITS,
        settle: settle(reader, section),
        lease: lease(reader, section, &LIMITS),
        settings: Arc::new(SqsSettings { queue: queue.unwrap_or_default(), create }),
    })
}
