//! An HTTP request and its response, as values.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use http::{HeaderMap, Method, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;

/// The head of a request; its body is streamed separately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpHead {
    /// Its method.
    pub method: Method,
    /// Where it goes, with scheme and authority.
    pub uri: Uri,
    /// Its headers, including those that the host adds.
    pub headers: HeaderMap,
    /// Time limit for the head of the response.
    pub first_byte: Duration,
    /// Time limit for each chunk of the response body.
    pub between_bytes: Duration,
}

/// A streamed body.
pub type HttpBody = UnsyncBoxBody<Bytes, HttpError>;

/// Status, headers and body.
pub type HttpAnswer = Response<HttpBody>;

/// Why there is no response, or no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// This world sends no requests.
    #[error("requests are not sent")]
    NotSent,
    /// The name resolves only to addresses that may not be dialled.
    #[error("the address is one of this machine or of a private network")]
    Prohibited,
    /// The peer's certificate is not trusted, or the TLS handshake failed.
    #[error("no TLS with the other side")]
    Certificate,
    /// Connection refused.
    #[error("the connection was refused")]
    Refused,
    /// No connection was established in time.
    #[error("there was no connection in time")]
    ConnectTimeout,
    /// No connection for another reason, such as a name that does not resolve.
    #[error("there is no way to the other side")]
    Unavailable,
    /// The connection ended before the response head.
    #[error("the connection ended")]
    Terminated,
    /// The response head did not arrive in time.
    #[error("there was no answer in time")]
    AnswerTimeout,
    /// The next chunk of the response body did not arrive in time.
    #[error("the rest of the answer did not come in time")]
    ReadTimeout,
    /// The response body broke off or violates HTTP.
    #[error("the answer broke off")]
    Broken,
    /// The request body broke off: its sender gave up, or it exceeded its limit.
    #[error("the request was given up")]
    GivenUp,
}

/// Sends HTTP requests.
pub trait HttpClient: Send + Sync + 'static {
    /// See [`super::World::send`].
    fn send(&self, head: HttpHead, body: HttpBody) -> BoxFuture<'static, Result<HttpAnswer, HttpError>>;
}

/// Sends nothing: for rehearsals, which must have no effect elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct NoHttp;

impl HttpClient for NoHttp {
    fn send(&self, _: HttpHead, _: HttpBody) -> BoxFuture<'static, Result<HttpAnswer, HttpError>> {
        Box::pin(ready(Err(HttpError::NotSent)))
    }
}
