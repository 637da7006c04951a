//! Requests by HTTP, to the origins that the reactor's table grants.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::{Answer, Host, HttpError, Sent};
use crate::outcome::{Failure, reject, retry, retry_after};

/// Sends requests. Made by [`Context::http`](crate::Context::http).
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
/// What is sent cannot be taken back: if the run fails later, the next attempt sends it again. The host sets the header
/// `Idempotency-Key` on every request that is not a GET, HEAD, OPTIONS or TRACE, unless the handler sets one. It is the
/// same in every attempt at the event, and differs for every other request of the handler, as long as the handler sends its
/// requests in the same order each time. Redirects are not followed.
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

/// A request that is being made.
#[derive(Debug)]
#[must_use = "a request is made by `send`"]
pub struct Request<'c> {
    host: &'c Host,
    sent: Sent,
    error: Option<String>,
}

impl Request<'_> {
    /// Adds a header. The host sets `Host` and those of the connection; they cannot be set here.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.sent.headers.push((name.into(), value.into()));
        self
    }

    /// Sends a value as JSON, with its content type.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.sent.body = body,
            Err(error) => self.error = Some(error.to_string()),
        }
        self.header("content-type", "application/json")
    }

    /// Sends these bytes.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.sent.body = body.into();
        self
    }

    /// Waits for at most so long; the host waits for 5 s at most.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.sent.timeout = Some(timeout);
        self
    }

    /// Sends it and waits for the whole answer, whatever its status. Through `?`, an error means: try again; but a
    /// request that is not granted, or is none, is a rejection.
    ///
    /// # Errors
    /// There is no answer; see [`HttpError`].
    pub fn send(self) -> Result<Response, HttpError> {
        let Self { host, sent, error } = self;
        if let Some(why) = error {
            return Err(HttpError::Invalid(format!("{} {}: the body: {why}", sent.method, sent.url)));
        }
        let name = format!("{} {}", sent.method, sent.url);
        host.send(sent).map(|answer| Response { request: name, answer })
    }
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// For messages.
    request: String,
    answer: Answer,
}

impl Response {
    /// Such as 200.
    pub fn status(&self) -> u16 {
        self.answer.status
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.answer.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.answer.body
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.answer.body).into_owned()
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// It is something else: a retry, since the other side may answer better later.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.answer.body)
            .map_err(|error| retry(format_args!("the answer to {} is not understood: {error}", self.request)))
    }

    /// The answer, if its status says that all went well.
    ///
    /// # Errors
    /// A status of 408, 429 or 5xx is a retry, not before the time that `Retry-After` says in seconds. Any other is a
    /// rejection: the same request would be answered the same again.
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
