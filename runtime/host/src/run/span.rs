//! The tracing span around an attempt.

use tracing::Span;

use reactor_core::event::{Event, Fault, Outcome};
use reactor_core::guest::Run;

/// The span of a guest's log lines. Its level is the highest: a filter that shows any line of a guest shows which event
/// it is about, and with a filter that shows none, the span costs nothing.
pub(crate) fn span(reactor: &str, event: &Event, attempt: u32) -> Span {
    tracing::error_span!(
        "delivery",
        reactor,
        r#type = event.event_type,
        event = event.id,
        correlation = event.correlation_id,
        attempt,
    )
}

/// The run of a task that ended without a result.
pub(crate) fn panicked() -> Run {
    Run::ended(Outcome::Fault { fault: Fault::Host, detail: "the attempt's task panicked".into() })
}
