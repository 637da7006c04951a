//! The tracing span around an attempt.

use tracing::Span;

use reactor_core::event::{Event, Fault, Outcome};
use reactor_core::guest::Run;

/// The span of a guest's log lines.
pub(crate) fn span(reactor: &str, event: &Event, attempt: u32) -> Span {
    tracing::info_span!(
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
