//! How a run ends: with success, a retry or a rejection.

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

/// What a handler returns. `Ok(())` commits its effects; a [`Failure`] drops all of them.
pub type Outcome = Result<(), Failure>;

/// Why a run failed, and whether another attempt may succeed.
///
/// Every [`std::error::Error`] becomes a retry through `?`, with its chain of causes as the reason. (This type is not
/// an `Error` itself, or that conversion could not exist.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Another attempt may succeed; the reactor's retry policy decides when and how often.
    Retry {
        /// Why, for people.
        reason: String,
        /// Minimum time before the next attempt, in whole milliseconds.
        after: Option<Duration>,
    },
    /// The event can never succeed: it goes straight to the dead letters.
    Reject {
        /// Why, for people.
        reason: String,
    },
}

impl Failure {
    /// Why, for people.
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry { reason, .. } | Self::Reject { reason } => reason,
        }
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Retry { reason: chain(error.to_string(), error.source()), after: None }
    }
}

/// An error and its causes, joined by colons. A cause with which the text so far already ends is not repeated, since
/// many errors show their source themselves. The error comes in two parts, because as a `dyn Error` it would bring its
/// `Debug` into every guest.
fn chain(mut text: String, mut source: Option<&(dyn Error + 'static)>) -> String {
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

/// Never try this event again: `return Err(reject("no such customer"))`.
pub fn reject(reason: impl Display) -> Failure {
    Failure::Reject { reason: reason.to_string() }
}

/// Try this event again when the retry policy says so: `return Err(retry("the ledger is closed"))`.
pub fn retry(reason: impl Display) -> Failure {
    Failure::Retry { reason: reason.to_string(), after: None }
}

/// Try this event again, not before `after` has passed: `Err(retry_after(Duration::from_secs(30), "rate limited"))`.
pub fn retry_after(after: Duration, reason: impl Display) -> Failure {
    Failure::Retry { reason: reason.to_string(), after: Some(after) }
}

/// Turns the absence of a value, or an error, into a failure of the run.
///
/// For a `Result`, the error and its causes follow the reason given: `reason: error: cause`.
///
/// ```
/// use std::time::Duration;
/// use reactor_guest::{OrFail, reject};
///
/// let stock: u32 = 3;
/// assert_eq!(stock.checked_sub(1).or_reject("out of stock"), Ok(2));
/// assert_eq!(stock.checked_sub(9).or_reject("out of stock"), Err(reject("out of stock")));
///
/// let failure = "x".parse::<u32>().or_retry_after(Duration::from_secs(1), "bad number").unwrap_err();
/// assert_eq!(failure.reason(), "bad number: invalid digit found in string");
/// ```
pub trait OrFail<T> {
    /// Never try again.
    fn or_reject(self, reason: impl Display) -> Result<T, Failure>;
    /// Try again when the retry policy says so.
    fn or_retry(self, reason: impl Display) -> Result<T, Failure>;
    /// Try again, not before `after` has passed.
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

impl<T, E: Into<Box<dyn Error>>> OrFail<T> for Result<T, E> {
    fn or_reject(self, reason: impl Display) -> Result<T, Failure> {
        self.map_err(|error| reject(because(&reason, error)))
    }

    fn or_retry(self, reason: impl Display) -> Result<T, Failure> {
        self.map_err(|error| retry(because(&reason, error)))
    }

    fn or_retry_after(self, after: Duration, reason: impl Display) -> Result<T, Failure> {
        self.map_err(|error| retry_after(after, because(&reason, error)))
    }
}

fn because(reason: &dyn Display, error: impl Into<Box<dyn Error>>) -> String {
    let error = error.into();
    format!("{reason}: {}", chain(error.to_string(), error.source()))
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Outer(&'static str, std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.1)
        }
    }

    fn outer(text: &'static str) -> Result<(), Outer> {
        Err(Outer(text, "x".parse::<u8>().unwrap_err()))
    }

    fn fails(text: &'static str) -> Outcome {
        outer(text)?;
        Ok(())
    }

    #[test]
    fn any_error_is_a_retry_with_its_chain() {
        assert_eq!(fails("no price"), Err(retry("no price: invalid digit found in string")));
    }

    #[test]
    fn a_cause_that_was_shown_is_not_repeated() {
        assert_eq!(
            fails("no price: invalid digit found in string"),
            Err(retry("no price: invalid digit found in string"))
        );
    }

    #[test]
    fn a_result_keeps_its_error_behind_the_reason() {
        assert_eq!(
            outer("no price").or_reject("cannot charge"),
            Err(reject("cannot charge: no price: invalid digit found in string"))
        );
        assert_eq!(Err::<(), _>("text").or_retry("why"), Err(retry("why: text")));
    }

    #[test]
    fn an_option_has_the_reason_alone() {
        let pause = Duration::from_millis(5);
        assert_eq!(None::<u8>.or_retry_after(pause, "later"), Err(retry_after(pause, "later")));
        assert_eq!(None::<u8>.or_retry("later"), Err(retry("later")));
        assert_eq!(Some(1).or_reject("never"), Ok(1));
    }
}
