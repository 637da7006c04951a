//! Log lines.

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Details of the code path.
    Trace,
    /// Facts for the author.
    Debug,
    /// Facts for the operator.
    Info,
    /// Something is unusual.
    Warn,
    /// Something failed.
    Error,
}
