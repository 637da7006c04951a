//! How memory is divided.

/// Divides bytes of memory among reactors: half evenly as fixed shares, half on demand, so that idle reactors take
/// nothing from a busy one, and a busy one cannot take their shares.
pub(crate) fn divide(memory: usize, reactors: usize) -> (usize, usize) {
    (memory / 2 / reactors.max(1), memory / 2)
}
