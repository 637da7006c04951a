//! HTTP around the operations: long polls, faults, and the log of requests.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::faults::Effects;
use super::protocol;
use super::refusal::Refusal;
use super::state::{Request, State};

/// What the connections share with the test.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    changed: Arc<Notify>,
}

impl Shared {
    pub(super) fn new(endpoint: String) -> Self {
        let changed = Arc::new(Notify::new());
        Self { state: Mutex::new(State::new(endpoint, Arc::clone(&changed))), changed }
    }

    /// A test that panicked while holding the lock must not hide its message behind another panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs a call and decides its faults.
    fn begin(&self, operation: &str, input: &Value) -> (usize, Effects) {
        let mut state = self.lock();
        let queue = protocol::queue_name(input);
        let entries = input["Entries"].as_array().map_or(1, Vec::len);
        let request = Request {
            operation: operation.to_owned(),
            queue: queue.map(str::to_owned),
            at: Instant::now(),
            took: None,
            entries,
            messages: 0,
            outcome: "",
        };
        state.requests.push(request);
        let effects = state.faults.plan(operation, queue, entries);
        (state.requests.len() - 1, effects)
    }

    fn end(&self, request: usize, outcome: &'static str, answer: &Value) {
        let mut state = self.lock();
        let request = &mut state.requests[request];
        request.took = Some(request.at.elapsed());
        request.messages = answer["Messages"].as_array().map_or(0, Vec::len);
        request.outcome = outcome;
    }

    /// Carries a call out; `ReceiveMessage` waits for messages.
    async fn carry_out(&self, operation: &str, input: &Value, effects: &Effects) -> Result<Value, Refusal> {
        let start = Instant::now();
        if effects.stale {
            let mut state = self.lock();
            let now = state.now();
            if let Some(queue) = protocol::queue_name(input).and_then(|name| state.queues.get_mut(name)) {
                queue.make_stale(now);
            }
            state.wake();
        }
        loop {
            // Before checking, so that no change between checking and waiting is missed.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let wait = {
                let mut state = self.lock();
                let answer = protocol::carry_out(&mut state, operation, input, effects)?;
                if operation != "ReceiveMessage" || answer.get("Messages").is_some() {
                    return Ok(answer);
                }
                let left = protocol::wait(&mut state, input)?.saturating_sub(start.elapsed());
                if left.is_zero() {
                    return Ok(answer);
                }
                let now = state.now();
                let queue = protocol::queue_name(input).and_then(|name| state.queues.get(name));
                let next = queue.and_then(|queue| queue.next_visible(now));
                // A timer may fire a little early; this keeps the loop from spinning until then.
                next.map_or(left, |next| left.min(next - now.at + Duration::from_millis(1)))
            };
            let _ = timeout(wait, changed).await;
        }
    }

    /// Responds to a call. An error closes the connection without a response.
    async fn answer(&self, request: HttpRequest<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let operation = header("x-amz-target").strip_prefix("AmazonSQS.").unwrap_or_default().to_owned();
        let signed = header("authorization").starts_with("AWS4-HMAC-SHA256 ");
        let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        let input = serde_json::from_slice(&body).unwrap_or_default();
        let (id, effects) = self.begin(&operation, &input);
        if let Some(time) = effects.hang {
            tokio::time::sleep(time).await;
        }
        if effects.reset {
            self.end(id, "reset", &Value::Null);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let result = match &effects.refusal {
            Some(refusal) => Err(refusal.clone()),
            None if !signed => Err(Refusal::NO_TOKEN),
            None => self.carry_out(&operation, &input, &effects).await,
        };
        let answer = result.as_ref().unwrap_or(&Value::Null);
        if effects.lose {
            self.end(id, "lost", answer);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.end(id, result.as_ref().map_or_else(Refusal::name, |_| "ok"), answer);
        response(result)
    }
}

fn response(result: Result<Value, Refusal>) -> io::Result<Response<Full<Bytes>>> {
    let response = Response::builder().header("x-amzn-requestid", "00000000-0000-0000-0000-000000000000");
    let json = "application/x-amz-json-1.0";
    let (response, body) = match result {
        Ok(answer) => (response.header("content-type", json), answer.to_string()),
        Err(refusal) if refusal.shape.is_empty() => {
            (response.status(refusal.status).header("content-type", "text/html"), refusal.message.into_owned())
        }
        Err(refusal) => {
            let mut response = response.status(refusal.status).header("content-type", json);
            if !refusal.code.is_empty() {
                let fault = if refusal.status < 500 { "Sender" } else { "Receiver" };
                response = response.header("x-amzn-query-error", format!("{};{fault}", refusal.code));
            }
            (
                response,
                json!({ "__type": format!("com.amazonaws.sqs#{}", refusal.shape), "message": refusal.message })
                    .to_string(),
            )
        }
    };
    response.body(Full::new(body.into())).map_err(io::Error::other)
}

/// Accepts connections for ever.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| shared.answer(request));
            // A connection that breaks, or is broken by a fault, ends here.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
