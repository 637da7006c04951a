//! HTTP requests to the origins that the reactor's table grants.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::Host;
use crate::outcome::{Failure, reject, retry, retry_after};

/// Sends requests. Created by [`Context::http`](crate::Context::http).
///
/// ```
/// use reactor_guest::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, Serialize)]
/// struct Charge { order: String, cents: u64 }
///
/// #[derive(Deserialize)]
/// struct Receipt { id: String }
///
/// #[reactor]
/// fn charge(event: Event<Charge>, cx: &Context) -> Outcome {
///     let answer = cx.http().post("https://pay.example.com/charges").json(&event.data).send()?.ok()?;
///     let receipt: Receipt = answer.json()?;
///     cx.state().set(&event.data.order, &receipt.id)
///         .map_err(Failure::from)
/// }
/// # use reactor_guest::testing::{Run, json};
/// # let mut run = Run::new(charge).answer("POST", "https://pay.example.com/charges", 201, json!({ "id": "r-1" }));
/// # run.event("order.placed", json!({ "order": "o-1", "cents": 900 })).assert_done();
/// # assert_eq!(run.state_of("o-1"), Some("r-1".to_owned()));
/// ```
///
/// # What the host adds, and what it does not
///
/// A request cannot be taken back: if the run fails later, the next attempt sends it again. The host sets the header
/// `Idempotency-Key` on every request that is not a GET, HEAD, OPTIONS or TRACE, unless the handler sets one. It is the
/// same in every attempt at the event, and differs for every other request of the handler, as long as the handler sends
/// its requests in the same order each time. Redirects are not followed.
#[derive(Debug)]
pub struct Http<'c> {
    pub(crate) host: &'c Host,
}

impl<'c> Http<'c> {
    /// A GET request.
    pub fn get(&self, url: impl Into<String>) -> Request<'c> {
        self.request("GET", url)
    }

    /// A POST request.
    pub fn post(&self, url: impl Into<String>) -> Request<'c> {
        self.request("POST", url)
    }

    /// A PUT request.
    pub fn put(&self, url: impl Into<String>) -> Request<'c> {
        self.request("PUT", url)
    }

    /// A DELETE request.
    pub fn delete(&self, url: impl Into<String>) -> Request<'c> {
        self.request("DELETE", url)
    }

    /// A request with any method.
    pub fn request(&self, method: impl Into<String>, url: impl Into<String>) -> Request<'c> {
        let sent =
            Sent { method: method.into(), url: url.into(), headers: Vec::new(), body: Vec::new(), timeout: None };
        Request { host: self.host, sent, error: None }
    }
}

/// A request under construction.
#[derive(Debug)]
#[must_use = "a request is made by `send`"]
pub struct Request<'c> {
    host: &'c Host,
    sent: Sent,
    error: Option<String>,
}

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

impl Request<'_> {
    /// Adds a header. The host sets `Host` and the connection headers; they cannot be set here.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.sent.headers.push((name.into(), value.into()));
        self
    }

    /// Sets a value as the JSON body, with its content type.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.sent.body = body,
            Err(error) => self.error = Some(error.to_string()),
        }
        self.header("content-type", "application/json")
    }

    /// Sets these bytes as the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.sent.body = body.into();
        self
    }

    /// Limits the wait for the response; the host waits for 5 s at most.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.sent.timeout = Some(timeout);
        self
    }

    /// Sends the request and waits for the whole response of any status. Through `?`, an error is a retry, except that
    /// a request that is invalid or not granted is a rejection.
    ///
    /// # Errors
    /// There is no response; see [`HttpError`].
    pub fn send(self) -> Result<Response, HttpError> {
        let Self { host, sent, error } = self;
        if let Some(why) = error {
            return Err(HttpError::Invalid(format!("{} {}: the body: {why}", sent.method, sent.url)));
        }
        let name = format!("{} {}", sent.method, sent.url);
        host.send(sent).map(|answer| Response { request: name, answer })
    }
}

/// The response from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A response of any status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// For messages.
    request: String,
    answer: Answer,
}

impl Response {
    /// The status code, such as 200.
    pub fn status(&self) -> u16 {
        self.answer.status
    }

    /// The first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.answer.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.answer.body
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.answer.body).into_owned()
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// The body cannot be read as a `T`: a retry, since a later response may be better.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.answer.body)
            .map_err(|error| retry(format_args!("the answer to {} is not understood: {error}", self.request)))
    }

    /// The response, if its status is a success.
    ///
    /// # Errors
    /// A status of 408, 429 or 5xx is a retry, not before the time that `Retry-After` gives in seconds. Any other is a
    /// rejection: the same request would get the same response.
    pub fn ok(self) -> Result<Self, Failure> {
        let status = self.status();
        if (200..300).contains(&status) {
            return Ok(self);
        }
        let text = self.text();
        let said: String = text.chars().take(200).collect();
        let reason = format!("{} was answered with {status}: {said}", self.request);
        if !matches!(status, 408 | 429 | 500..=599) {
            return Err(reject(reason));
        }
        let after = self.header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
        Err(match after {
            Some(seconds) => retry_after(Duration::from_secs(seconds), reason),
            None => retry(reason),
        })
    }
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
