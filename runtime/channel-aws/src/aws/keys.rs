//! The keys that SQS and SNS channels share.

use schemars::JsonSchema;

use reactor_config::Written;
use reactor_config::kind::{Reader, Section, Text};
use reactor_config::schema::{Duration, Settle, Truth, Word, form};

use super::arn::QueueArn;

const QUEUE: &str = r"https?://[^/]+/.+|(?:arn:[^:]*:sqs:[^:]+:[^:]+:)?[A-Za-z0-9_-]{1,80}(?:\.fifo)?";

/// The schemas of the keys.
#[derive(JsonSchema, Default)]
#[expect(dead_code, reason = "the derive reads the fields")]
pub(crate) struct QueueKeys {
    /// `sqs` and `sns`: queue to read from, by name, URL or ARN; required for `sqs`
    #[schemars(default)]
    queue: Queue,
    /// `sqs` and `sns`: messages are deleted when every reactor has ended, or once copied to the local log
    #[schemars(default, extend("default" = "completed"))]
    settle: Word<Settle>,
    /// `sqs` and `sns`: make queue, topic and subscription if they are not there
    #[schemars(default, extend("default" = false, "x-limits" = "`true`, `false`"))]
    create: Truth,
    /// `sqs` and `sns`: how long a received message is leased at a time; renewed at a third; longer than each `timeout` by at
    /// least 5 s; see [sqs-sns.md](sqs-sns.md)
    #[schemars(default, extend(
        "x-default" = "6 x the longest `timeout` of its reactors, at least `\"30s\"`",
        "x-limits" = "`\"5s\"` to `\"12h\"`",
    ))]
    lease: Duration,
}

#[derive(JsonSchema, Default)]
#[schemars(extend("x-type" = "string", "pattern" = form(QUEUE)))]
#[expect(dead_code, reason = "the derive reads the field")]
struct Queue(String);

/// The name, URL or ARN of a queue.
pub(crate) fn queue(reader: &mut Reader<'_>, section: &Section<'_>, text: &Text) -> Written {
    let is_url = ["http://", "https://"].iter().any(|scheme| {
        let path = text.value.strip_prefix(scheme).and_then(|rest| rest.split_once('/'));
        path.is_some_and(|(host, path)| !host.is_empty() && !path.is_empty())
    });
    let name = if text.value.starts_with("arn:") {
        // These select the queue's region and account.
        let arn = QueueArn::parse(&text.value).filter(|arn| !arn.region.is_empty() && !arn.account.is_empty());
        arn.map_or("", |arn| arn.name)
    } else {
        &text.value
    };
    if !is_url && !is_name(name, 80) {
        let help = "write its name (up to 80 letters, digits, `-` and `_`, then `.fifo` if it is one), its URL, or its ARN \
                    (arn:aws:sqs:REGION:ACCOUNT:NAME)";
        reader.bad_text(text, &section.dotted("queue"), "neither the name nor the URL nor the ARN of a queue", help);
    }
    text.kept()
}

/// Whether it is a valid name of a queue or topic. The suffix `.fifo` counts towards its length.
pub(crate) fn is_name(name: &str, most: usize) -> bool {
    let plain = name.strip_suffix(".fifo").unwrap_or(name);
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !plain.is_empty() && name.len() <= most && plain.chars().all(allowed)
}
