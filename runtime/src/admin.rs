//! The endpoint for machines that look after machines: `/metrics`, `/healthz` and `/readyz`, for this machine only.
//!
//! It changes nothing. A page in somebody's browser can reach a loopback address, too, so requests that name another host,
//! or come from a page of another origin, are refused.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::pipeline::signal::Signals;
use crate::store::Store;

/// Most connections at once; more wait.
const CONNECTIONS: usize = 16;
/// How long a client may take to send its request's head.
const HEAD: Duration = Duration::from_secs(5);
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// A bound endpoint.
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    answers: Answers,
}

#[derive(Clone)]
struct Answers {
    signals: Arc<Signals>,
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Admin {
    /// Listens on a loopback address; on a free port, if its port is 0.
    ///
    /// # Errors
    /// The address is in use, or cannot be had.
    pub async fn bind(address: SocketAddr, signals: Arc<Signals>, store: Arc<dyn Store>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}; set another runtime.admin"))?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, answers: Answers { signals, store } })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the task is dropped.
    pub async fn serve(self) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // No descriptors left, most likely; that passes.
                    tracing::warn!("cannot accept a connection for metrics: {error}");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    continue;
                }
            };
            let answers = self.answers.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answers = answers.clone();
                    async move { Ok::<_, Infallible>(answers.answer(&request).await) }
                });
                let mut server = http1::Builder::new();
                server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(16 << 10).keep_alive(false);
                // What a client does wrong is its own affair.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
                drop(permit);
            });
        }
    }
}

impl Answers {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if let Err(why) = is_local(request) {
            return text(StatusCode::FORBIDDEN, why);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET: nothing can be changed here\n");
        }
        match request.uri().path() {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => match self.signals.ready() {
                Ok(()) => text(StatusCode::OK, "ok\n"),
                Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            },
            "/metrics" => self.metrics().await,
            _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
        }
    }

    async fn metrics(&self) -> Response<Full<Bytes>> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || store.stats()).await {
            Ok(Ok(stats)) => answer(StatusCode::OK, METRICS, self.signals.metrics(&stats)),
            Ok(Err(error)) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }
}

/// Refuses what a page in a browser could have been talked into.
fn is_local(request: &Request<Incoming>) -> Result<(), &'static str> {
    let named = request.headers().get(HOST).map(HeaderValue::as_bytes);
    if !named.is_some_and(|host| str::from_utf8(host).is_ok_and(is_loopback)) {
        return Err("the Host header must name this machine's loopback\n");
    }
    let origin = request.headers().get(ORIGIN).map(HeaderValue::as_bytes);
    let own = |origin: &str| origin.split_once("://").is_some_and(|(_, host)| is_loopback(host));
    if origin.is_some_and(|origin| !str::from_utf8(origin).is_ok_and(own)) {
        return Err("not for pages of another origin\n");
    }
    Ok(())
}

/// Whether a host, with or without a port, is a name of this machine that nobody else can own.
fn is_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = host.rsplit_once(':').filter(|(name, _)| !name.contains(':')).map_or(host, |(name, _)| name);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn text(status: StatusCode, body: impl Into<String>) -> Response<Full<Bytes>> {
    answer(status, TEXT, body.into())
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_loopback() {
        for host in ["localhost", "LOCALHOST:9464", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:9464", "127.8.8.8"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "example.com", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1:80", "[::2]:1", "::"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
