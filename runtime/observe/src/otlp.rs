//! Spans for a collector, by OTLP over HTTP. No other file uses opentelemetry.
//!
//! An attempt is a span of kind "consumer". Its parent is the event's trace context; an event without one belongs to a
//! trace whose id is a hash of the correlation id, so that one trace always spans the flow.

#![allow(clippy::disallowed_methods, reason = "no part of the walk: it lives by the machine's clocks")]

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;

use reactor_core::event::{Event, Identity};
use reactor_signal::trace::{Attempt, Span, Tracer};

/// How long the collector may take to accept a batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// Maximum bytes read of its response.
const MAX_ANSWER: usize = 64 << 10;

/// Sends spans in batches, from its own thread. Spans that the collector does not accept are dropped: events never wait
/// for it.
#[derive(Debug)]
pub struct Exporter {
    provider: SdkTracerProvider,
}

impl Exporter {
    /// An exporter to a collector at this base URL, such as `http://127.0.0.1:4318`. Requests run on `runtime`.
    ///
    /// # Errors
    /// The URL is unusable.
    pub fn new(url: &str, runtime: Handle) -> anyhow::Result<Self> {
        let base = url.trim_end_matches('/');
        match base.parse::<http::Uri>() {
            Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => {}
            _ => bail!("--otlp {url}: give the collector's URL, such as http://127.0.0.1:4318"),
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Http::new(runtime)?)
            .with_endpoint(format!("{base}/v1/traces"))
            .with_timeout(PATIENCE)
            .build()
            .with_context(|| format!("cannot send traces to {url}"))?;
        let resource = Resource::builder();
        // The environment variable takes precedence.
        let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
            Some(_) => resource,
            None => resource.with_service_name("reactor"),
        };
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build());
        Ok(Self { provider: provider.build() })
    }

    /// Creates the host's spans.
    pub fn tracer(&self) -> Box<dyn Tracer> {
        Box::new(Spans(self.provider.tracer("reactor")))
    }

    /// Sends the remaining spans.
    pub fn flush(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!("some traces were not sent: {error}");
        }
    }
}

struct Spans(SdkTracer);

impl Tracer for Spans {
    fn begin(&self, attempt: &Attempt<'_>) -> Box<dyn Span> {
        let Attempt { reactor, channel, event, number, module } = *attempt;
        let text = |name: &'static str, value: &str| KeyValue::new(name, value.to_owned());
        let builder = self
            .0
            .span_builder(format!("{reactor} {}", event.event_type))
            .with_kind(SpanKind::Consumer)
            .with_attributes([
                text("messaging.system", "reactor"),
                text("messaging.operation.type", "process"),
                text("messaging.destination.name", channel),
                text("messaging.consumer.group.name", reactor),
                text("messaging.message.id", &event.id),
                text("messaging.message.conversation_id", &event.correlation_id),
                text("reactor.event.type", &event.event_type),
                text("reactor.module", module),
                KeyValue::new("reactor.attempt", i64::from(number)),
            ]);
        let parent = Context::new().with_remote_span_context(parent(event));
        Box::new(Recording(builder.start_with_context(&self.0, &parent)))
    }
}

/// The event's own span context, or that of its flow.
fn parent(event: &Event) -> SpanContext {
    event.trace_parent.as_deref().and_then(read).unwrap_or_else(|| {
        let flow = Identity::of(&[b"trace", event.correlation_id.as_bytes()]).0;
        let cause = Identity::of(&[b"span", event.source.as_bytes(), event.id.as_bytes()]).0;
        let [a, b, c, d, e, f, g, h, ..] = cause;
        let (trace, span) = (TraceId::from_bytes(flow), SpanId::from_bytes([a, b, c, d, e, f, g, h]));
        SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default())
    })
}

/// Reads `00-<trace>-<span>-<flags>`; of an unknown version, only the fields of version 0.
fn read(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let version = parts.next().filter(|version| is_hex(version, 2) && *version != "ff")?;
    let (trace, span) = (parts.next().filter(|id| is_hex(id, 32))?, parts.next().filter(|id| is_hex(id, 16))?);
    let flags = parts.next().filter(|flags| is_hex(flags, 2))?;
    if version == "00" && parts.next().is_some() {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

struct Recording(opentelemetry_sdk::trace::Span);

impl Span for Recording {
    fn trace_parent(&self) -> String {
        let context = self.0.span_context();
        format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
    }

    fn end(mut self: Box<Self>, code: &'static str, error: &str) {
        self.0.set_attribute(KeyValue::new("reactor.outcome", code));
        if !matches!(code, "done" | "repeated" | "cancelled") {
            let first = error.lines().next().unwrap_or_default().to_owned();
            self.0.set_status(Status::error(first));
        }
        self.0.end();
    }
}

/// Sends the exporter's requests on the host's own runtime: the exporter's thread has none.
#[derive(Debug)]
struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

impl Http {
    fn new(runtime: Handle) -> anyhow::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), runtime })
    }
}

type Answer = Result<Response<Bytes>, HttpError>;

impl HttpClient for Http {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let answer = self.client.request(request.map(Full::new));
        let task = self.runtime.spawn(async move {
            let (head, body) = tokio::time::timeout(PATIENCE, answer).await??.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        });
        Box::pin(async move { task.await? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_contexts_are_read_strictly() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = read(good).expect("valid");
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(context.is_sampled() && context.is_remote());
        assert!(read("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later").is_some());
        for bad in [
            "",
            "00",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
