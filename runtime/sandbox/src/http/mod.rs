//! Requests that a module sends: only to granted origins, within limits, and each with an idempotency key from the
//! host.
//!
//! Requests cannot be taken back when a run fails, so the next attempt may send the same request again. It then has the
//! same key, which differs from that of every other request.

mod body;
mod error;
mod origin;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use reactor_core::event::Identity;
use reactor_core::world::{HttpError, HttpHead, World};

use super::module::GuestSpec;
use body::{Received, Sent, Used};
use error::error;
use origin::Origin;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Concurrent requests of a run; more wait.
const AT_ONCE: usize = 6;
/// How long a response's head, or the next piece of its body, may take; a guest may set a lower limit.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a run may send and receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Number of requests.
    pub requests: u32,
    /// Bytes of all bodies sent.
    pub sent: usize,
    /// Bytes of all bodies received.
    pub received: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { requests: 32, sent: 1 << 20, received: 4 << 20 }
    }
}

/// What all runs of a module share.
pub(super) struct Http {
    reactor: String,
    origins: Vec<Origin>,
    limits: HttpLimits,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("origins", &self.origins).finish_non_exhaustive()
    }
}

impl Http {
    /// The shared data of a module with these grants.
    pub(super) fn new(spec: &GuestSpec) -> Self {
        Self {
            reactor: spec.reactor.clone(),
            origins: spec.allow_http.iter().filter_map(|grant| Origin::of_grant(grant)).collect(),
            limits: spec.limits.http.clone(),
        }
    }
}

/// The requests of one run.
pub(super) struct Requests {
    http: Arc<Http>,
    world: Arc<dyn World>,
    /// The delivery's identity.
    delivery: Identity,
    made: u32,
    used: Arc<Used>,
    places: Arc<Semaphore>,
}

type Answer = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl Requests {
    pub(super) fn new(http: Arc<Http>, world: Arc<dyn World>, delivery: Identity) -> Self {
        Self { http, world, delivery, made: 0, used: Arc::default(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The limit that the run has exceeded, if any.
    pub(super) fn exceeded(&self) -> Option<String> {
        let HttpLimits { requests, sent, .. } = self.http.limits;
        if self.made > requests {
            Some(format!("more than {requests} requests"))
        } else {
            self.used.exceeded.load(Relaxed).then(|| format!("more than {sent} bytes sent"))
        }
    }

    /// Counts a request and checks whether it may be sent.
    fn admit(&mut self, request: &Request<WasiBody>) -> Result<(), Error> {
        self.made = self.made.saturating_add(1);
        if self.made > self.http.limits.requests {
            return Err(Error::ConnectionLimitReached);
        }
        let Some(origin) = Origin::of(request.uri()) else { return Err(Error::HttpRequestUriInvalid) };
        if !self.http.origins.contains(&origin) {
            let (reactor, grant) = (&self.http.reactor, origin.grant());
            tracing::warn!(
                reactor,
                "a request to {grant} was denied; to grant it, write allow = {{ http = [\"{grant}\"] }} in the reactor's table"
            );
            return Err(Error::HttpRequestDenied);
        }
        Ok(())
    }

    /// The key of the last request: the same in every attempt.
    fn key(&self) -> String {
        Identity::of(&[b"http", &self.delivery.0, self.http.reactor.as_bytes(), &self.made.to_le_bytes()]).to_string()
    }
}

impl WasiHttpHooks for Requests {
    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        if let Err(error) = self.admit(&request) {
            return Box::new(async { Err(error) });
        }
        let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
        if !safe
            && !request.headers().contains_key(IDEMPOTENCY_KEY)
            && let Ok(key) = HeaderValue::from_str(&self.key())
        {
            request.headers_mut().insert(IDEMPOTENCY_KEY, key);
        }
        let HttpLimits { sent, received, .. } = self.http.limits;
        let (http, used, places) = (Arc::clone(&self.http), Arc::clone(&self.used), Arc::clone(&self.places));
        let within = |asked: Option<Duration>| asked.map_or(PATIENCE, |asked| asked.min(PATIENCE));
        let options = options.unwrap_or_default();
        let (first_byte, between_bytes) = (within(options.first_byte_timeout), within(options.between_bytes_timeout));
        let (request, body) = request.into_parts();
        let to = Origin::of(&request.uri);
        let Parts { method, uri, headers, .. } = request;
        let head = HttpHead { method, uri, headers, first_byte, between_bytes };
        let body = Sent { inner: body, used: Arc::clone(&used), most: sent }.boxed_unsync();
        // Asked here, so that the questions of a run have an order; sent when there is a permit.
        let answer = self.world.send(head, body);
        Box::new(async move {
            // The semaphore is never closed.
            let Ok(place) = places.acquire_owned().await else { return Err(Error::ConnectionLimitReached) };
            let response = answer.await.map_err(|failed| {
                if failed == HttpError::NotSent {
                    let to = to.map(|origin| origin.grant()).unwrap_or_default();
                    tracing::warn!(reactor = http.reactor, "a request to {to} was not sent: this is a rehearsal");
                }
                error(failed)
            })?;
            let body = response.map(|inner| Received { inner, used, most: received, _place: place }.boxed_unsync());
            let rest: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async { Ok(()) });
            Ok((body, rest))
        })
    }
}
