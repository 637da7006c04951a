//! `kind = "queue"`: how a configuration names a simulated queue.

use std::sync::Arc;
use std::time::Duration;

use reactor_channel::kind::Kind;
use reactor_channel::local;
use reactor_config::Written;
use reactor_config::kind::{self as file, Reader, Section};
use reactor_config::outside::{Outside, Settings};
use reactor_core::channel::Limits;
use serde_json::json;

/// The kinds that configurations of a simulation know.
pub const KINDS: &[Kind] = &[local::KIND, Kind { file: FILE, outside: None }];

/// What a simulated queue allows: as SQS does.
pub const LIMITS: Limits = Limits {
    batch: 10,
    bytes: 256 << 10,
    wait: Duration::from_secs(20),
    lease: Duration::from_secs(12 * 3_600),
    delay: Duration::from_secs(12 * 3_600),
    waiting: 1_000,
    kept: Duration::from_secs(14 * 86_400),
    kept_by: "the queue",
};

const FILE: file::Kind =
    file::Kind { name: "queue", keys: &["queue", "settle", "lease"], required: &["queue"], schema: || json!({}), read };

#[derive(Debug, PartialEq)]
struct QueueSettings {
    queue: Written,
}

impl Settings for QueueSettings {
    fn address(&self) -> &Written {
        &self.queue
    }
}

fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Outside> {
    let queue = reader.required(section, "queue", "\"orders\"")?;
    Some(Outside {
        kind: FILE.name,
        limits: LIMITS,
        settle: file::settle(reader, section),
        lease: file::lease(reader, section, &LIMITS),
        settings: Arc::new(QueueSettings { queue: queue.kept() }),
    })
}
