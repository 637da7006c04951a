//! `kind = "sns"`

use std::sync::Arc;

use schemars::JsonSchema;

use reactor_config::Written;
use reactor_config::kind::{Kind, Reader, Section, Text, lease, settle};
use reactor_config::outside::{Outside, Settings, WriteOnly};
use reactor_config::schema::{form, keys_of};

use super::LIMITS;
use crate::aws::keys::{self, QueueKeys, is_name};

const TOPIC: &str = r"(?:arn:[^:]*:sns:[^:]*:[^:]*:)?[A-Za-z0-9_-]{1,256}(?:\.fifo)?";

pub(super) const FILE: Kind = Kind {
    name: "sns",
    keys: &["topic", "queue", "settle", "create", "lease"],
    required: &["topic"],
    schema: keys_of::<Keys>,
    read,
};

/// The settings of a channel of kind `sns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnsSettings {
    /// Topic name or ARN to publish to.
    pub topic: Written,
    /// Subscription queue to read from, if any.
    pub queue: Option<Written>,
    /// Whether a missing topic, queue or subscription is created.
    pub create: bool,
}

impl Settings for SnsSettings {
    fn address(&self) -> &Written {
        &self.topic
    }

    fn write_only(&self) -> Option<WriteOnly> {
        let reason = WriteOnly { why: "a topic is read through a queue", line: "queue = \"...\"" };
        self.queue.is_none().then_some(reason)
    }
}

#[derive(JsonSchema, Default)]
#[expect(dead_code, reason = "the derive reads the fields")]
struct Keys {
    /// `sns` only, required: topic to publish to
    #[schemars(default)]
    topic: Topic,
    #[schemars(flatten)]
    queue: QueueKeys,
}

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "string", "pattern" = form(TOPIC)))]
#[expect(dead_code, reason = "the derive reads the field")]
struct Topic(String);

fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Outside> {
    let topic = reader.required(section, "topic", "\"shop-events\"").map(|text| topic(reader, section, &text));
    let queue = reader.text(section, "queue").map(|text| keys::queue(reader, section, &text));
    let create = reader.boolean(section, "create").unwrap_or(false);
    Some(Outside {
        kind: FILE.name,
        limits: LIMITS,
        settle: settle(reader, section),
        lease: lease(reader, section, &LIMITS),
        settings: Arc::new(SnsSettings { topic: topic.unwrap_or_default(), queue, create }),
    })
}

/// The name or ARN of a topic.
fn topic(reader: &mut Reader<'_>, section: &Section<'_>, text: &Text) -> Written {
    let name = match text.value.strip_prefix("arn:").map(|arn| arn.split(':').collect::<Vec<_>>()) {
        Some(parts) => {
            if let [_, "sns", _, _, name] = parts[..] {
                name
            } else {
                ""
            }
        }
        None => &text.value,
    };
    if !is_name(name, 256) {
        let help = "write its name (up to 256 letters, digits, `-` and `_`, then `.fifo` if it is one) or its ARN";
        reader.bad_text(text, &section.dotted("topic"), "neither the name nor the ARN of a topic", help);
    }
    text.kept()
}
