//! Seam: spans for an external tracing system. A span is one attempt; the events that it emits are its children.

use reactor_core::event::Event;

/// Makes spans. Called once per attempt, from the host's task: it must not block.
pub trait Tracer: Send + Sync + 'static {
    /// Begins the span of an attempt, as a child of the event's trace context.
    fn begin(&self, attempt: &Attempt<'_>) -> Box<dyn Span>;
}

/// What a span records about an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The reactor's name.
    pub reactor: &'a str,
    /// The channel that the event came through.
    pub channel: &'a str,
    /// The event; neither its data nor any secret goes into a span.
    pub event: &'a Event,
    /// Counted from 1.
    pub number: u32,
    /// The module's digest.
    pub module: &'a str,
}

/// A span that has begun. Dropping it without ending it means that it was cut short.
pub trait Span: Send + Sync {
    /// Its trace context in W3C form, for the events that the attempt emits.
    fn trace_parent(&self) -> String;
    /// Ends it. `code` is `done`, `retry`, `reject`, the code of a fault, `repeated` if another run changed what this
    /// one had read, or `cancelled`; `error` is empty if the attempt did not fail.
    fn end(self: Box<Self>, code: &'static str, error: &str);
}
