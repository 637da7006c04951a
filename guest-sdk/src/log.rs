//! Lines for people.

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Details of the code's way.
    Trace,
    /// Facts for the author.
    Debug,
    /// Facts for the operator.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}
