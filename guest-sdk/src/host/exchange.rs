//! What is sent by HTTP, and what comes back.

use std::fmt;
use std::time::Duration;

use crate::outcome::{Failure, reject, retry};

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// In upper case.
    pub method: String,
    /// The whole of it.
    pub url: String,
    /// As the handler set them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long to wait for the answer, if less than the host's limit.
    pub timeout: Option<Duration>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer. (No `std::error::Error`, or `?` could not tell what is to be tried again.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The reactor's table does not grant the origin, or its name leads to a private address: a rejection.
    Denied(String),
    /// The request cannot be sent as it is: a rejection.
    Invalid(String),
    /// There was no answer, or not all of it: to be tried again.
    Failed(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Denied(why) | Self::Invalid(why) | Self::Failed(why)) = self;
        f.write_str(why)
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Denied(why) | HttpError::Invalid(why) => reject(why),
            HttpError::Failed(why) => retry(why),
        }
    }
}
