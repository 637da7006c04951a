//! How a run ends.

use std::error::Error;
use std::fmt::{self, Display};
use std::time::Duration;

/// What a reactor answers: `Ok(())`, or why it could not.
pub type Outcome = Result<(), Failure>;

/// Why a run did not succeed. Any [`Error`] turns into a retry with `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may go better next time.
    Retry {
        /// Why, for people.
        reason: String,
        /// Not before this much time has passed; the host's policy may wait longer.
        after: Option<Duration>,
    },
    /// It can never succeed.
    Reject {
        /// Why, for people.
        reason: String,
    },
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { reason, after: None } => write!(f, "retry: {reason}"),
            Self::Retry { reason, after: Some(after) } => write!(f, "retry after {after:?}: {reason}"),
            Self::Reject { reason } => write!(f, "rejected: {reason}"),
        }
    }
}

// `Failure` is no `Error` itself: that is what lets `?` take every other error.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Self::Retry { reason, after: None }
    }
}

/// Never try this event again: `return Err(reject("unknown currency"))`.
pub fn reject(reason: impl Display) -> Failure {
    Failure::Reject { reason: reason.to_string() }
}

/// Try this event again, when the host's policy says so.
pub fn retry(reason: impl Display) -> Failure {
    Failure::Retry { reason: reason.to_string(), after: None }
}

/// Try this event again, but not before this much time has passed.
pub fn retry_after(after: Duration, reason: impl Display) -> Failure {
    Failure::Retry { reason: reason.to_string(), after: Some(after) }
}

/// Turns what is missing, or an error, into a [`Failure`]. An error's own text follows the reason.
pub trait OrFail<T>: Sized {
    /// Never try again.
    fn or_reject(self, reason: impl Display) -> Result<T, Failure>;
    /// Try again.
    fn or_retry(self, reason: impl Display) -> Result<T, Failure>;
    /// Try again, not before this much time has passed.
    fn or_retry_after(self, after: Duration, reason: impl Display) -> Result<T, Failure>;
}

impl<T> OrFail<T> for Option<T> {
    fn or_reject(self, reason: impl Display) -> Result<T, Failure> {
        self.ok_or_else(|| reject(reason))
    }

    fn or_retry(self, reason: impl Display) -> Result<T, Failure> {
        self.ok_or_else(|| retry(reason))
    }

    fn or_retry_after(self, after: Duration, reason: impl Display) -> Result<T, Failure> {
        self.ok_or_else(|| retry_after(after, reason))
    }
}

impl<T, E: Display> OrFail<T> for Result<T, E> {
    fn or_reject(self, reason: impl Display) -> Result<T, Failure> {
        self.map_err(|error| reject(format_args!("{reason}: {error}")))
    }

    fn or_retry(self, reason: impl Display) -> Result<T, Failure> {
        self.map_err(|error| retry(format_args!("{reason}: {error}")))
    }

    fn or_retry_after(self, after: Duration, reason: impl Display) -> Result<T, Failure> {
        self.map_err(|error| retry_after(after, format_args!("{reason}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<u8, Failure> {
        Ok(text.parse::<u8>()?)
    }

    #[test]
    fn any_error_is_a_retry_with_its_causes() {
        assert_eq!(parse("7"), Ok(7));
        assert_eq!(parse("x"), Err(retry("invalid digit found in string")));
    }

    #[test]
    fn what_is_missing_can_be_rejected_or_retried() {
        assert_eq!(None::<u8>.or_reject("gone"), Err(reject("gone")));
        assert_eq!("x".parse::<u8>().or_reject("no age"), Err(reject("no age: invalid digit found in string")));
        let minute = Duration::from_secs(60);
        assert_eq!(None::<u8>.or_retry_after(minute, "busy"), Err(retry_after(minute, "busy")));
        assert_eq!(Some(1).or_retry("no"), Ok(1));
    }
}
