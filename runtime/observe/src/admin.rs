//! The endpoint for monitoring: `/metrics`, `/healthz` and `/readyz`, for this machine only.
//!
//! It changes nothing. A page in a browser can reach a loopback address, too, so requests that name another host, or
//! come from a page of another origin, are rejected.
//!
//! Clients that are silent, or never read their response, must not keep others from checking the host's health. So
//! every connection is accepted at once and has an overall time limit, and when there are too many, the oldest is
//! closed.

#![allow(clippy::disallowed_methods, reason = "no part of the walk: it lives by the machine's clocks")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
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
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use reactor_core::store::{StoreClient, StoreError};
use reactor_signal::Signals;

/// Maximum number of connections; one more closes the oldest.
const CONNECTIONS: usize = 64;
/// How long a connection may last in total: the request, the response, and reading it.
const CONNECTION: Duration = Duration::from_secs(10);
/// How many requests for metrics are answered at once, since each queries the store; others are told to retry later.
const METRICS_AT_ONCE: usize = 4;
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// A bound endpoint.
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    limit: Duration,
    answers: Answers,
}

#[derive(Clone)]
struct Answers {
    signals: Arc<Signals>,
    store: Arc<dyn StoreClient>,
    asking: Arc<Semaphore>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Admin {
    /// Listens on a loopback address; on a free port if its port is 0.
    ///
    /// # Errors
    /// The address is in use or not available.
    pub async fn bind(address: SocketAddr, signals: Arc<Signals>, store: Arc<dyn StoreClient>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}; set another runtime.admin"))?;
        let address = listener.local_addr()?;
        let asking = Arc::new(Semaphore::new(METRICS_AT_ONCE));
        Ok(Self { listener, address, limit: CONNECTION, answers: Answers { signals, store, asking } })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves requests until the task is dropped.
    pub async fn serve(self) {
        let mut open: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Probably out of descriptors, which passes.
                    tracing::warn!("cannot accept a connection for metrics: {error}");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    continue;
                }
            };
            open.retain(|connection| !connection.is_finished());
            if open.len() >= CONNECTIONS
                && let Some(oldest) = open.pop_front()
            {
                oldest.abort();
            }
            let connection = tokio::time::timeout(self.limit, self.answers.clone().serve(stream));
            open.push_back(tokio::spawn(connection).abort_handle());
        }
    }
}

impl Answers {
    /// Answers one request.
    async fn serve(self, stream: TcpStream) {
        let service = service_fn(move |request| {
            let answers = self.clone();
            async move { Ok::<_, Infallible>(answers.answer(&request).await) }
        });
        let mut server = http1::Builder::new();
        // hyper's own header timer would be redundant: the connection as a whole has a limit.
        server.header_read_timeout(None).max_buf_size(16 << 10).keep_alive(false);
        // A client's errors do not matter here.
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if let Err(why) = is_local(request) {
            return text(StatusCode::FORBIDDEN, why);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "use GET: nothing can be changed here\n");
        }
        match request.uri().path() {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => match self.signals.ready() {
                Ok(()) => text(StatusCode::OK, "ok\n"),
                Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            },
            "/metrics" => self.metrics().await,
            _ => text(StatusCode::NOT_FOUND, "not found; there are /metrics, /healthz and /readyz\n"),
        }
    }

    async fn metrics(&self) -> Response<Full<Bytes>> {
        let Ok(_asking) = self.asking.try_acquire() else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "other requests for metrics are being answered; try again\n");
        };
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || {
            Ok::<_, StoreError>((store.stats()?, store.blocked()?, store.reactor_names()?))
        })
        .await
        {
            Ok(Ok((stats, blocked, names))) => {
                let blocked = names.into_iter().map(|(id, name)| {
                    let of = blocked.iter().find(|(reactor, _)| *reactor == id).map(|(_, of)| *of);
                    (name, of.unwrap_or_default())
                });
                answer(StatusCode::OK, METRICS, self.signals.metrics(&stats, blocked))
            }
            Ok(Err(error)) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }
}

/// Rejects requests that a page in a browser may have been tricked into.
fn is_local(request: &Request<Incoming>) -> Result<(), &'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (named, another) = (hosts.next(), hosts.next());
    if another.is_some() || !named.and_then(|host| host.to_str().ok()).is_some_and(is_loopback) {
        return Err("the Host header must name this machine's loopback\n");
    }
    if request.uri().authority().is_some_and(|authority| !is_loopback(authority.as_str())) {
        return Err("the request must be for this machine's loopback\n");
    }
    let own = |origin: &HeaderValue| {
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).is_some_and(|(_, host)| is_loopback(host))
    };
    if !request.headers().get_all(ORIGIN).iter().all(own) {
        return Err("pages of another origin are not allowed\n");
    }
    Ok(())
}

/// Whether a host, with or without a port, is a name of this machine that no other party can own. The match is literal:
/// `localhost:evil.example` has no port, and so is another name.
fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, "")) => (name, None),
            Some((name, port)) => match port.strip_prefix(':') {
                Some(port) => (name, Some(port)),
                None => return false,
            },
            None => return false,
        },
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_loopback = if host.starts_with('[') {
        name.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
    } else {
        name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    };
    is_loopback && port.is_none_or(is_port)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use reactor_store::memory::MemoryStore;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn names_of_the_loopback() {
        for host in ["localhost", "LOCALHOST:9464", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:9464", "127.8.8.8"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1:80",
            "[::2]:1",
            "::",
            "::1",
            "localhost:evil.example",
            "localhost:80.evil.example",
            "localhost:80:80",
            "localhost:",
            "localhost:+80",
            "localhost:65536",
            "localhost.",
            "localhost@evil.example",
            "evil.example@localhost",
            "127.0.0.1:evil.example",
            "[::1]evil.example",
            "[::1]:evil.example",
            "[::1",
            "[127.0.0.1]",
            "[localhost]",
            " localhost",
            "localhost/",
            "0x7f.1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    /// A bound endpoint with this time limit for connections.
    async fn admin(limit: Duration) -> SocketAddr {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let admin = Admin::bind(any, Arc::default(), Arc::new(MemoryStore::new(1))).await.expect("a port");
        let address = admin.address();
        tokio::spawn(Admin { limit, ..admin }.serve());
        address
    }

    async fn connect(address: SocketAddr, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("it takes the request");
        stream
    }

    async fn health(address: SocketAddr) -> String {
        let mut stream = connect(address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    #[tokio::test]
    async fn health_is_answered_whoever_else_is_connected() {
        // This test does not wait: none of its connections reaches its own limit.
        let address = admin(Duration::from_secs(3_600)).await;
        let mut others = Vec::new();
        for n in 0..500 {
            let request = ["", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /me"][n % 3];
            others.push(connect(address, request).await);
        }
        let answer = timeout(SOON, health(address)).await.expect("it does not wait for the others");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_has_a_limit_as_a_whole() {
        let address = admin(Duration::from_millis(50)).await;
        for request in ["", "GET /healthz HTTP/1.1\r\nHost: lo"] {
            let mut stream = connect(address, request).await;
            let mut rest = Vec::new();
            // Closed or reset: either way it has ended.
            let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("it is closed");
        }
    }

    #[tokio::test]
    async fn one_host_and_a_target_of_this_machine_are_asked_for() {
        let address = admin(SOON).await;
        for head in [
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
            "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /healthz HTTP/1.1\r\nHost: localhost:evil.example\r\n\r\n",
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:evil.example\r\n\r\n",
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: null\r\n\r\n",
        ] {
            let mut answer = String::new();
            connect(address, head).await.read_to_string(&mut answer).await.expect("an answer");
            let refused = answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400");
            assert!(refused, "{head}: {answer}");
        }
    }
}
