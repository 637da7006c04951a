//! `[reactors.NAME]`

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::filter;
use super::policy::{Breaker, DeadLetter, Dedup, Retry};
use super::scalar::{
    Duration, EventPointer, FilePath, Listed, Name, Origin, Pattern, Rate, Shaped, Size, Text, Truth, Whole, short_map,
    type_pattern,
};

/// A module, the events that it wants, and what it may do.
#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields, extend("x-table" = "reactors"))]
pub(super) struct Reactor {
    /// the WebAssembly module
    #[schemars(extend("x-limits" = "a path below the file's folder", "pattern" = r"^[^/\u0000]"))]
    module: FilePath,
    /// the command that builds it, run by `reactor build` with `sh -c`
    #[schemars(default)]
    build: Text,
    /// what it reads
    #[schemars(extend("x-type" = "list of names", "x-limits" = "names of channels"))]
    from: Listed<Name, 1>,
    /// which event types it wants
    #[schemars(extend("x-type" = "list of patterns", "x-limits" = "type patterns"))]
    on: Listed<Pattern, 1>,
    /// content filter
    #[schemars(default, schema_with = "filter::when", extend("x-type" = "table", "x-limits" = "below"))]
    when: Shaped,
    /// events with the same value run one after the other; events without one are not ordered
    #[schemars(default)]
    order_by: EventPointer,
    /// which types it may emit, and where they go; the first match counts
    #[schemars(default, schema_with = "emit", extend("x-type" = "table", "x-limits" = "patterns to channels"))]
    emit: Shaped,
    /// concurrent attempts
    #[schemars(default, extend("default" = 8))]
    concurrency: Whole<1, 10_000>,
    /// most attempts started in that time
    #[schemars(default, extend("x-limits" = "`\"100/s\"`, `\"6/m\"`, `\"1/h\"`"))]
    rate: Rate,
    /// wall-clock limit of an attempt
    #[schemars(default, extend("default" = "10s", "x-limits" = "10ms to 15m"))]
    timeout: Duration,
    /// CPU limit of an attempt
    #[schemars(default, extend("default" = "1s", "x-limits" = "10ms to 60s, not above `timeout`"))]
    cpu: Duration,
    /// limit on the sum of memories and tables
    #[schemars(default, extend("default" = "64MiB", "x-limits" = "64KiB to 512MiB"))]
    memory: Size,
    /// grants
    #[schemars(default, extend("x-default" = "nothing", "x-limits" = "below"))]
    allow: Allow,
    /// what the module reads as its configuration; values that are not strings arrive as JSON
    #[schemars(default, schema_with = "config", extend("x-type" = "table", "x-limits" = "a table"))]
    config: Shaped,
    /// when and how often a failed delivery runs again
    #[schemars(default, extend("x-limits" = "below"))]
    retry: Retry,
    /// when a reactor whose attempts keep failing is only probed
    #[schemars(default, extend("x-limits" = "below"))]
    breaker: Breaker,
    /// what counts as the same event, and for how long; `false`: every message counts as an event of its own
    #[schemars(default, extend("x-limits" = "below, or `false`"))]
    dedup: Dedup,
    /// what becomes of deliveries that end without success
    #[schemars(default, extend("x-limits" = "below"))]
    dead_letter: DeadLetter,
}

/// What the module may import beyond what every module may.
#[derive(JsonSchema, Default)]
#[schemars(default, deny_unknown_fields, extend("x-table" = "allow", "x-type" = "table"))]
struct Allow {
    /// the reactor's own key-value state
    #[schemars(extend("default" = false))]
    state: Truth,
    /// origins such as `"https://api.example.com"` that requests may be sent to; see [http.md](http.md)
    #[schemars(extend("default" = []))]
    http: Listed<Origin, 0>,
}

fn emit(generator: &mut SchemaGenerator) -> Schema {
    short_map(&type_pattern(), generator.subschema_for::<Name>())
}

fn config(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}
