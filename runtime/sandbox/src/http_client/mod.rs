//! Seam: requests to the outside world, sent by hyper: to public addresses or those that a grant names literally,
//! without proxies, redirects or retries.

#![allow(clippy::disallowed_methods, reason = "no part of the walk: it waits for servers on the machine's clocks")]

mod address;
mod body;
mod connect;

use std::error::Error as StdError;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Request;
use http_body_util::BodyExt;
use tokio::time::timeout;

use reactor_core::world::{HttpAnswer, HttpBody, HttpClient, HttpError, HttpHead};

use body::Received;
use connect::{Connections, Prohibited, connections};

/// The connections of this process, created with the first request.
#[derive(Default)]
pub struct Client {
    connections: Arc<OnceLock<anyhow::Result<Connections>>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl HttpClient for Client {
    fn send(&self, head: HttpHead, body: HttpBody) -> BoxFuture<'static, Result<HttpAnswer, HttpError>> {
        let HttpHead { method, uri, headers, first_byte, between_bytes } = head;
        let made = Arc::clone(&self.connections);
        let mut request = Request::new(body);
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
        async move {
            // Here and not above, where the guest would be charged for reading the system's certificates.
            let connections = made.get_or_init(connections).as_ref().map_err(|error| {
                tracing::error!("no requests can be sent: {error:#}");
                HttpError::Unavailable
            })?;
            let answer = timeout(first_byte, connections.request(request)).await;
            let answer = answer.map_err(|_| HttpError::AnswerTimeout)?.map_err(|error| why(&error))?;
            Ok(answer.map(|inner| Received::new(inner, between_bytes).boxed_unsync()))
        }
        .boxed()
    }
}

/// Translates a failed request for the guest.
fn why(error: &hyper_util::client::legacy::Error) -> HttpError {
    let mut source: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            if io.get_ref().is_some_and(|inner| inner.is::<Prohibited>()) {
                tracing::warn!("a request was denied: {io}; a grant must name such an address literally");
                return HttpError::Prohibited;
            }
            if io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
                return HttpError::Certificate;
            }
            match io.kind() {
                std::io::ErrorKind::ConnectionRefused => return HttpError::Refused,
                std::io::ErrorKind::TimedOut => return HttpError::ConnectTimeout,
                _ => {}
            }
        }
        source = cause.source();
    }
    if error.is_connect() { HttpError::Unavailable } else { HttpError::Terminated }
}
