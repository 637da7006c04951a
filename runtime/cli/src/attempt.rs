//! Details of an attempt besides its outcome.

use reactor_history::Attempt;

/// The module, the host and the duration, as far as they are known, to append to other text.
pub(super) fn ran(attempt: &Attempt) -> String {
    let module = format!(", module {}", short(&attempt.module));
    let took = attempt.took.map(|took| format!(", {:.3} ms", took.as_secs_f64() * 1_000.0)).unwrap_or_default();
    let what = if attempt.interrupted { "interrupted, found by worker" } else { "worker" };
    let worker = attempt.worker.map(|worker| format!(", {what} {worker}")).unwrap_or_default();
    format!("{module}{took}{worker}")
}

/// Enough of a digest to distinguish modules.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
