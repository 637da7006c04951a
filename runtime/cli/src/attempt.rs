//! What there is to say of an attempt beside its outcome.

use reactor_history::Attempt;

/// What ran, and where and how long, as far as it is known, to be put behind something else.
pub(super) fn ran(attempt: &Attempt) -> String {
    let module = format!(", module {}", short(&attempt.module));
    let took = attempt.took.map(|took| format!(", {:.3} ms", took.as_secs_f64() * 1_000.0)).unwrap_or_default();
    let worker = attempt.worker.map(|worker| format!(", worker {worker}")).unwrap_or_default();
    format!("{module}{took}{worker}")
}

/// Enough of a digest to tell modules apart.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
