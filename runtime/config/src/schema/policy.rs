//! `[runtime]` and the policies of a reactor.

use schemars::JsonSchema;

use super::scalar::{Duration, EventPointer, FilePath, Loopback, Name, Shaped, Size, Whole, Word, Words};

/// What concerns the whole host.
#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case", default, deny_unknown_fields, extend("x-table" = "runtime"))]
pub(super) struct Runtime {
    /// the embedded store's folder
    #[schemars(extend("default" = ".reactor"))]
    data_dir: FilePath,
    /// concurrent attempts over all reactors
    #[schemars(extend("default" = 256))]
    concurrency: Whole<1, 10_000>,
    /// how long SIGTERM waits for running attempts
    #[schemars(extend("default" = "25s", "x-limits" = "up to 1h"))]
    drain: Duration,
    /// longest chain of emitted events; what goes further is a dead letter
    #[schemars(extend("default" = 16))]
    hop_limit: Whole<1, 1_000>,
    /// events held in memory over all queues; state values take as much again
    #[schemars(extend("default" = "64MiB", "x-limits" = "1MiB to 64GiB"))]
    queue_memory: Size,
    /// where `/metrics`, `/healthz` and `/readyz` are answered; port 0 takes a free one
    #[schemars(extend("x-limits" = "a loopback address with a port"))]
    admin: Loopback,
    /// how long ended attempts are kept, for `log show` and `dead show`: some 100 bytes each, and 1 to 2 % of the CPU of an
    /// event; `"0s"` keeps none
    #[schemars(extend("default" = "7d", "x-limits" = "up to 365d"))]
    history: Duration,
}

/// When and how often a failed delivery runs again.
#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case", default, deny_unknown_fields, extend("x-table" = "retry", "x-type" = "table"))]
pub(super) struct Retry {
    /// attempts in all
    #[schemars(extend("default" = 5))]
    max_attempts: Whole<1, 1_000>,
    /// delay before the second attempt
    #[schemars(extend("default" = "1s", "x-limits" = "up to 12h"))]
    initial: Duration,
    /// growth of the delay
    #[schemars(with = "f64", extend("format" = "double", "default" = 2.0, "minimum" = 1, "maximum" = 100, "x-type" = "number"))]
    factor: Shaped,
    /// longest delay, unless the module asks for more
    #[schemars(extend("default" = "100s", "x-limits" = "up to 12h"))]
    max: Duration,
    /// from zero to the delay; from half of it; exactly it
    #[schemars(extend("default" = "full"))]
    jitter: Word<Jitter>,
    /// no back-off ends later than this after the event was admitted
    #[schemars(extend("default" = "24h", "x-limits" = "1s to 365d"))]
    max_age: Duration,
}

#[derive(Default)]
struct Jitter;

impl Words for Jitter {
    const WORDS: &'static [&'static str] = &["full", "equal", "none"];
}

/// When a reactor whose attempts keep failing is only probed.
#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case", default, deny_unknown_fields, extend("x-table" = "breaker", "x-type" = "table"))]
pub(super) struct Breaker {
    /// transient failures in a row, without a success between them, that open the breaker
    #[schemars(extend("default" = 10))]
    failures: Whole<2, 10_000>,
    /// pause before the first probe; it doubles
    #[schemars(extend("default" = "5s", "x-limits" = "10ms to 1h"))]
    initial: Duration,
    /// longest pause between two probes
    #[schemars(extend("default" = "1m", "x-limits" = "10ms to 1h"))]
    max: Duration,
}

/// What counts as the same event, and for how long.
#[derive(JsonSchema, Default)]
#[schemars(
    rename_all = "kebab-case",
    default,
    deny_unknown_fields,
    // Its members apply only to tables, so `false` needs no schema of its own.
    extend("x-table" = "dedup", "x-type" = "table", "type" = ["object", "boolean"], "not" = { "const": true })
)]
pub(super) struct Dedup {
    /// how long a duplicate is recognised
    #[schemars(extend("default" = "14d", "x-limits" = "1s to 365d"))]
    window: Duration,
    /// the value that makes two events the same for this reactor
    #[schemars(extend("x-default" = "the event's identity"))]
    key: EventPointer,
}

/// What becomes of deliveries that end without success.
#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case", default, deny_unknown_fields, extend("x-table" = "dead-letter", "x-type" = "table"))]
pub(super) struct DeadLetter {
    /// dead letters are also published there, as events of type `reactor.dead-letter`
    #[schemars(extend("x-limits" = "a channel"))]
    channel: Name,
    /// with `order-by`: later events of the key run, or wait until the dead letter is redriven or dropped
    #[schemars(extend("default" = "continue"))]
    on_exhausted: Word<OnExhausted>,
}

#[derive(Default)]
struct OnExhausted;

impl Words for OnExhausted {
    const WORDS: &'static [&'static str] = &["continue", "park-key"];
}
