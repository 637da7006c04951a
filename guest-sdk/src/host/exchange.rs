//! What is sent by HTTP, and what comes back.

use std::fmt;
use std::time::Duration;

use crate::outcome::{Failure, reject, retry};

/// The content of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// In upper case.
    pub method: String,
    /// The full URL.
    pub url: String,
    /// As the handler set them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long to wait for the response, if less than the host's limit.
    pub timeout: Option<Duration>,
}

/// The response from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no response. (Not a `std::error::Error`, or `?` could not tell which errors to retry.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The reactor's table does not grant the origin, or its name leads to a private address: a rejection.
    Denied(String),
    /// The request cannot be sent as it is: a rejection.
    Invalid(String),
    /// There was no response, or only part of it: a retry.
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
