//! Sends the requests that the event's data asks for, and keeps what came back: `{"calls": [{"url": "http://..."}]}`.

use std::time::Duration;

use reactor_guest::{Context, Event, Failure, HttpError, Outcome, reactor, retry};
use serde::Deserialize;

/// What is to be done.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wish {
    /// Requests, one after the other.
    pub calls: Vec<Call>,
    /// So many attempts fail after all requests have been answered.
    #[serde(default)]
    pub fail_first: u32,
    /// An answer that is no success ends the run as `Response::ok` says.
    #[serde(default)]
    pub strict: bool,
}

/// One request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// GET if absent.
    #[serde(default = "get")]
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers to set.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// So many bytes of body.
    #[serde(default)]
    pub bytes: usize,
    /// How long to wait.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

fn get() -> String {
    "GET".to_owned()
}

/// Fulfils the wish. What came back is kept under the event's id: a status and a body, or an error's kind.
#[reactor]
pub fn call(event: Event<Wish>, cx: &Context) -> Outcome {
    let mut came: Vec<String> = Vec::new();
    for call in &event.data.calls {
        let mut request = cx.http().request(&call.method, &call.url).body(vec![b'x'; call.bytes]);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(timeout) = call.timeout_ms {
            request = request.timeout(Duration::from_millis(timeout));
        }
        came.push(match request.send() {
            Ok(response) if event.data.strict => response.ok()?.status().to_string(),
            Ok(response) => format!("{} {}", response.status(), response.text().chars().take(100).collect::<String>()),
            Err(error) if event.data.strict => return Err(Failure::from(error)),
            Err(HttpError::Denied(why)) => format!("denied: {why}"),
            Err(HttpError::Invalid(why)) => format!("invalid: {why}"),
            Err(HttpError::Failed(why)) => format!("failed: {why}"),
        });
    }
    if cx.attempt() <= event.data.fail_first {
        return Err(retry("as the event asks for"));
    }
    cx.state().set(&event.id, &came).map_err(Failure::from)
}
