//! Seam: spans for a tracing system outside. A span is one attempt; events emitted by it are its children.

use reactor_core::event::Event;

/// Makes spans. Called once per attempt, from the host's task: it must not block.
pub trait Tracer: Send + Sync + 'static {
    /// Begins the span of an attempt at an event, as a child of the event's trace context.
    fn begin(&self, attempt: &Attempt<'_>) -> Box<dyn Span>;
}

/// What a span says of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The reactor's name.
    pub reactor: &'a str,
    /// The channel that the event came through.
    pub channel: &'a str,
    /// The event; neither its data nor anything secret goes into a span.
    pub event: &'a Event,
    /// Counted from 1.
    pub number: u32,
    /// The module's digest.
    pub module: &'a str,
}

/// A span that has begun. One that is dropped without an end was cut short.
pub trait Span: Send + Sync {
    /// Its trace context in W3C form, for the events that the attempt emits.
    fn trace_parent(&self) -> String;
    /// Ends it. `code` is `done`, `retry`, `reject` or the code of a fault, `repeated` if what the run had read was changed
    /// meanwhile, or `cancelled`; `error` is empty if it did not fail.
    fn end(self: Box<Self>, code: &'static str, error: &str);
}
