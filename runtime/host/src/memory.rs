//! How memory is divided.

/// How bytes of memory are divided among reactors: half of them evenly, as each one's own, and the other half for whoever
/// needs it, so that idle reactors take nothing from a busy one, and a busy one cannot take what is theirs.
pub(crate) fn divide(memory: usize, reactors: usize) -> (usize, usize) {
    (memory / 2 / reactors.max(1), memory / 2)
}
