//! A request by HTTP and its answer, as values.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use http::{HeaderMap, Method, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;

/// What is asked of whom; the body follows on its own, while it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpHead {
    /// Its method.
    pub method: Method,
    /// Where it goes, with scheme and authority.
    pub uri: Uri,
    /// Its headers, those of the host's included.
    pub headers: HeaderMap,
    /// How long the answer's head may take.
    pub first_byte: Duration,
    /// How long each piece of the answer's body may take.
    pub between_bytes: Duration,
}

/// A body, piece by piece.
pub type HttpBody = UnsyncBoxBody<Bytes, HttpError>;

/// Status, headers and body.
pub type HttpAnswer = Response<HttpBody>;

/// Why there is no answer, or no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// This world sends nothing.
    #[error("requests are not sent")]
    NotSent,
    /// The name stands for addresses only that may not be dialled.
    #[error("the address is one of this machine or of a private network")]
    Prohibited,
    /// The other side's certificate is not trusted, or there can be no TLS with it.
    #[error("no TLS with the other side")]
    Certificate,
    /// Nobody listens there.
    #[error("the connection was refused")]
    Refused,
    /// There was no connection in time.
    #[error("there was no connection in time")]
    ConnectTimeout,
    /// There is no connection for another reason, such as a name that nobody has.
    #[error("there is no way to the other side")]
    Unavailable,
    /// The connection ended before the answer's head.
    #[error("the connection ended")]
    Terminated,
    /// The answer's head did not come in time.
    #[error("there was no answer in time")]
    AnswerTimeout,
    /// The next piece of the answer's body did not come in time.
    #[error("the rest of the answer did not come in time")]
    ReadTimeout,
    /// The answer's body broke off, or is none by the rules of HTTP.
    #[error("the answer broke off")]
    Broken,
    /// The request's body broke off: its sender gave it up, or it was longer than it may be.
    #[error("the request was given up")]
    GivenUp,
}

/// What sends requests.
pub trait HttpClient: Send + Sync + 'static {
    /// See [`super::World::send`].
    fn send(&self, head: HttpHead, body: HttpBody) -> BoxFuture<'static, Result<HttpAnswer, HttpError>>;
}

/// Sends nothing: for rehearsals, whose runs must not be felt elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct NoHttp;

impl HttpClient for NoHttp {
    fn send(&self, _: HttpHead, _: HttpBody) -> BoxFuture<'static, Result<HttpAnswer, HttpError>> {
        Box::pin(ready(Err(HttpError::NotSent)))
    }
}
