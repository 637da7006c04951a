//! Sends a request through the standard interface wasi:http.

use super::wasm::bindings::wasi::http::outgoing_handler::handle;
use super::wasm::bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use super::wasm::bindings::wasi::io::streams::StreamError;
use crate::http::{Answer, HttpError, Sent};

/// Maximum bytes in one write.
const PIECE: usize = 4_096;
/// Maximum bytes in one read.
const READ: u64 = 64 << 10;

/// Sends a request and waits for the whole response.
pub(crate) fn send(sent: Sent) -> Result<Answer, HttpError> {
    let name = format!("{} {}", sent.method, sent.url);
    let invalid = |why: &str| HttpError::Invalid(format!("{name}: {why}"));
    let failed = |code: &ErrorCode| explain(&name, code);
    let request = head(&sent).map_err(invalid)?;
    let body = request.body().map_err(|()| invalid("it has no body"))?;
    let options = RequestOptions::new();
    if let Some(timeout) = sent.timeout {
        let nanos = Some(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        // If the host does not accept these, its own limits apply.
        let _ = (options.set_connect_timeout(nanos), options.set_first_byte_timeout(nanos));
        let _ = options.set_between_bytes_timeout(nanos);
    }
    let future = handle(request, Some(options)).map_err(|code| failed(&code))?;
    write(body, &sent.body).map_err(|why| HttpError::Failed(format!("{name}: the body could not be sent: {why}")))?;
    future.subscribe().block();
    let response = match future.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return Err(failed(&code)),
        Some(Err(())) | None => return Err(HttpError::Failed(format!("{name}: the answer was taken already"))),
    };
    read(&response).map_err(|why| HttpError::Failed(format!("{name}: the answer broke off: {why}")))
}

fn head(sent: &Sent) -> Result<OutgoingRequest, &'static str> {
    let (scheme, rest) = sent.url.split_once("://").ok_or("a URL begins with https:// or http://")?;
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return Err("only https and http can be sent to"),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let fields = Fields::new();
    for (name, value) in &sent.headers {
        fields.append(name, value.as_bytes()).map_err(|_| "a header is not valid, or only the host may set it")?;
    }
    let request = OutgoingRequest::new(fields);
    request.set_method(&method(&sent.method)).map_err(|()| "the method is not valid")?;
    request.set_scheme(Some(&scheme)).map_err(|()| "the scheme is not valid")?;
    request.set_authority(Some(authority)).map_err(|()| "the host is not valid")?;
    request.set_path_with_query(Some(&path)).map_err(|()| "the path is not valid")?;
    Ok(request)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), String> {
    if !bytes.is_empty() {
        let stream = body.write().map_err(|()| "it is gone".to_owned())?;
        for piece in bytes.chunks(PIECE) {
            // The other side may respond without reading all of it.
            match stream.blocking_write_and_flush(piece) {
                Ok(()) => {}
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
            }
        }
    }
    // The response repeats an error and says more about it.
    let _ = OutgoingBody::finish(body, None);
    Ok(())
}

fn read(response: &IncomingResponse) -> Result<Answer, String> {
    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
    let headers = response.headers().entries().into_iter().map(|(name, value)| (name, text(value))).collect();
    let mut answer = Answer { status: response.status(), headers, body: Vec::new() };
    let body = response.consume().map_err(|()| "it was read already".to_owned())?;
    let stream = body.stream().map_err(|()| "it was read already".to_owned())?;
    loop {
        match stream.blocking_read(READ) {
            Ok(bytes) => answer.body.extend(bytes),
            Err(StreamError::Closed) => return Ok(answer),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}

/// What a code means for the run.
fn explain(name: &str, code: &ErrorCode) -> HttpError {
    match code {
        ErrorCode::HttpRequestDenied => {
            HttpError::Denied(format!("{name}: not granted; the host's log names the line to add to reactors.toml"))
        }
        ErrorCode::DestinationIpProhibited => HttpError::Denied(format!("{name}: its name leads to a private address")),
        ErrorCode::HttpRequestMethodInvalid | ErrorCode::HttpRequestUriInvalid => {
            HttpError::Invalid(format!("{name}: not a valid request"))
        }
        code => HttpError::Failed(format!("{name}: {code:?}")),
    }
}
