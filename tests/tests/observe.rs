//! What a running host tells about itself: metrics, health, and traces.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use reactor_tests::http::{Collector, request};
use reactor_tests::{Sandbox, Up, mood, wait_until};
use serde_json::json;

const ADMIN: &str = "[runtime]\nadmin = \"127.0.0.1:0\"\n";

fn with_admin(sandbox: &Sandbox) {
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    sandbox.write("reactors.toml", format!("{ADMIN}{config}"));
}

fn address(up: &Up) -> String {
    up.wait_for_log("serving metrics and health");
    let log = up.log();
    let address = log.split("address=").nth(1).and_then(|rest| rest.split(')').next());
    address.unwrap_or_else(|| panic!("no address: {log}")).to_owned()
}

fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn a_warning_of_a_module_says_which_event_it_is_about_whatever_is_filtered() {
    let sandbox = Sandbox::moody("").with_env("RUST_LOG", "warn");
    sandbox.publish("in", &[mood("e1", &json!({ "do": "ok", "why": "in doubt" }))]);
    let lines = sandbox.run(&["up", "--until-idle"]).ok().stderr;
    assert!(lines.contains("WARN moody mood e1 | in doubt"), "{lines}");
    assert!(!lines.contains("INFO"), "{lines}");
}

#[test]
fn a_duplicate_is_told_with_its_type() {
    let sandbox = Sandbox::moody("").with_env("RUST_LOG", "warn,reactor_signal=debug");
    let event = mood("e1", &json!({ "do": "ok" }));
    sandbox.publish("in", &[event.clone(), event]);
    let lines = sandbox.run(&["up", "--until-idle"]).ok().stderr;
    assert!(lines.contains("DEBUG moody mood e1: duplicate; not run again"), "{lines}");
}

#[test]
fn metrics_count_what_happened() {
    let sandbox = Sandbox::moody("retry = { max-attempts = 2, initial = \"5ms\" }\n");
    with_admin(&sandbox);
    let up = sandbox.up(&["--json"]);
    let address = address(&up);
    let wishes = [("ok", 3), ("retry", 1), ("reject", 2), ("panic", 1)];
    let mut events = vec![json!({ "eventId": "u", "eventType": "unwanted" }).to_string()];
    for (wish, count) in wishes {
        events.extend((0..count).map(|n| mood(&format!("{wish}{n}"), &json!({ "do": wish }))));
    }
    events.extend([events[1].clone(), "no event".to_owned()]);
    sandbox.publish("in", &events);
    let get = || request(&address, "GET", "/metrics", &[]);
    let done = |text: &str| {
        metric(text, "reactor_dead_letters_total{reactor=\"moody\",reason=\"rejected\"}") == Some(2.0)
            && metric(text, "reactor_dead_letters_total{reactor=\"moody\",reason=\"retries-exhausted\"}") == Some(1.0)
            && metric(text, "reactor_dead_letters_total{reactor=\"moody\",reason=\"trap\"}") == Some(1.0)
    };
    let start = std::time::Instant::now();
    wait_until("everything is counted", || {
        assert!(start.elapsed().as_secs() < 60, "{}\n{}", get().1, up.log());
        done(&get().1)
    });
    let (status, text) = get();
    assert_eq!(status, 200);
    for (name, expected) in [
        ("reactor_deliveries_total{reactor=\"moody\"}", 7.0),
        ("reactor_duplicates_total{reactor=\"moody\"}", 1.0),
        ("reactor_attempts_total{reactor=\"moody\",outcome=\"done\"}", 3.0),
        ("reactor_attempts_total{reactor=\"moody\",outcome=\"retry\"}", 2.0),
        ("reactor_attempts_total{reactor=\"moody\",outcome=\"reject\"}", 2.0),
        ("reactor_attempts_total{reactor=\"moody\",outcome=\"trap\"}", 2.0),
        ("reactor_attempt_seconds_count{reactor=\"moody\"}", 9.0),
        ("reactor_delivery_seconds_count{reactor=\"moody\"}", 3.0),
        ("reactor_read_total{channel=\"in\"}", 10.0),
        ("reactor_unrouted_total{channel=\"in\"}", 1.0),
        ("reactor_invalid_total{channel=\"in\"}", 1.0),
        ("reactor_backlog{channel=\"in\"}", 0.0),
        ("reactor_running{reactor=\"moody\"}", 0.0),
        ("reactor_waiting{reactor=\"moody\"}", 0.0),
        ("reactor_held{reactor=\"moody\"}", 0.0),
        ("reactor_parked{reactor=\"moody\"}", 0.0),
        ("reactor_parked_keys{reactor=\"moody\"}", 0.0),
        ("reactor_dropped{reactor=\"moody\"}", 0.0),
        ("reactor_active{reactor=\"moody\"}", 0.0),
        ("reactor_breaker_open{reactor=\"moody\"}", 0.0),
        ("reactor_throttled{reactor=\"moody\"}", 0.0),
        ("reactor_concurrency{reactor=\"moody\"}", 8.0),
    ] {
        assert_eq!(metric(&text, name), Some(expected), "{name}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
        let name = line.split_whitespace().nth(2).expect("a name");
        let help = text.lines().find(|line| line.starts_with(&format!("# HELP {name} ")));
        assert!(help.is_some_and(|help| help.len() > name.len() + 20), "{name} has no help");
    }
    up.drain();
}

#[test]
fn the_endpoint_is_for_this_machine_and_changes_nothing() {
    let sandbox = Sandbox::tally("");
    with_admin(&sandbox);
    let up = sandbox.up(&["--json"]);
    let address = address(&up);
    let status = |method: &str, path: &str, headers: &[&str]| request(&address, method, path, headers).0;
    assert_eq!(request(&address, "GET", "/healthz", &[]), (200, "ok\n".to_owned()));
    wait_until("it is ready", || status("GET", "/readyz", &[]) == 200);
    assert_eq!(status("GET", "/nothing", &[]), 404);
    for path in ["/healthz", "/readyz", "/metrics"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            assert_eq!(status(method, path, &[]), 405, "{method} {path}");
        }
        assert_eq!(status("GET", path, &["Host: rebound.example.com"]), 403, "{path}");
        assert_eq!(status("GET", path, &["Origin: https://example.com"]), 403, "{path}");
        assert_eq!(status("GET", path, &["Origin: null"]), 403, "{path}");
        assert_eq!(status("GET", path, &["Host: localhost:1"]), 200, "{path}");
    }
    let taken = Sandbox::tally("");
    let config = std::fs::read_to_string(taken.path("reactors.toml")).expect("the configuration");
    taken.write("reactors.toml", format!("[runtime]\nadmin = \"{address}\"\n{config}"));
    taken.run(&["up", "--until-idle"]).code(1).says("set another runtime.admin");
    up.drain();
}

#[test]
fn a_host_that_drains_is_not_ready_any_more() {
    let sandbox = Sandbox::moody("timeout = \"60s\"\ncpu = \"60s\"\n");
    with_admin(&sandbox);
    let config = std::fs::read_to_string(sandbox.path("reactors.toml")).expect("the configuration");
    sandbox.write("reactors.toml", config.replace("[runtime]\n", "[runtime]\ndrain = \"3s\"\n"));
    let up = sandbox.up(&["--json"]);
    let address = address(&up);
    sandbox.publish("in", &[mood("loop", &json!({ "do": "loop" }))]);
    up.wait_for_log("in the mood for Loop");
    up.signal("TERM");
    wait_until("it says so", || request(&address, "GET", "/readyz", &[]) == (503, "draining\n".to_owned()));
    assert_eq!(request(&address, "GET", "/healthz", &[]).0, 200);
    assert!(up.wait().success());
}

fn spans(collector: &Collector) -> Vec<Span> {
    let mut spans = Vec::new();
    for (path, body) in collector.got() {
        assert_eq!(path, "/v1/traces");
        let request = ExportTraceServiceRequest::decode(&body[..]).expect("OTLP");
        let resources = request.resource_spans.into_iter();
        spans.extend(resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans));
    }
    spans
}

fn attribute<'a>(span: &'a Span, name: &str) -> &'a str {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let found = span.attributes.iter().find(|attribute| attribute.key == name);
    let value = found.and_then(|attribute| attribute.value.as_ref()).and_then(|value| value.value.as_ref());
    match value {
        Some(Value::StringValue(text)) => text,
        _ => panic!("{name} is not in {span:?}"),
    }
}

#[test]
fn one_trace_spans_the_flow() {
    let sandbox = Sandbox::demo();
    let collector = Collector::start();
    let data = json!({ "orderId": "o1", "sku": "tea", "quantity": 1, "amountCents": 900, "currency": "EUR" });
    let order = |id: &str, more: serde_json::Value| {
        let mut event = json!({ "eventId": id, "eventType": "order.placed", "source": "shop", "correlationId": format!("flow-{id}"), "data": data });
        event.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        event.to_string()
    };
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let traced = json!({ "traceparent": format!("00-{trace}-{parent}-01") });
    sandbox.publish("shop", &[order("with", traced), order("without", json!({}))]);
    sandbox.run(&["up", "--until-idle", "--otlp", &collector.url()]).ok();
    let spans = spans(&collector);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut flows: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for span in &spans {
        flows.entry(attribute(span, "messaging.message.conversation_id")).or_default().insert(hex(&span.trace_id));
        assert!(["done", "repeated"].contains(&attribute(span, "reactor.outcome")), "{span:?}");
        assert_eq!(attribute(span, "messaging.destination.name"), "shop");
    }
    assert_eq!(flows["flow-with"], BTreeSet::from([trace.to_owned()]), "the context of the event");
    assert_eq!(flows["flow-without"].len(), 1, "one trace although nobody began one");
    let reactors: BTreeSet<&str> = spans.iter().map(|span| attribute(span, "messaging.consumer.group.name")).collect();
    assert_eq!(reactors.len(), 4, "{reactors:?}");
    // inventory ran on the order, and payments on what inventory emitted.
    let of = |reactor: &str| {
        let mine = |span: &&Span| {
            attribute(span, "messaging.consumer.group.name") == reactor
                && attribute(span, "messaging.message.conversation_id") == "flow-with"
                && attribute(span, "reactor.outcome") == "done"
        };
        spans.iter().find(mine).unwrap_or_else(|| panic!("no span of {reactor}"))
    };
    assert_eq!(hex(&of("inventory").parent_span_id), parent);
    assert_eq!(of("payments").parent_span_id, of("inventory").span_id);
    assert!(of("inventory").end_time_unix_nano >= of("inventory").start_time_unix_nano);
}

#[test]
fn a_collector_that_is_not_there_stops_nothing() {
    let sandbox = Sandbox::tally("");
    sandbox.publish("in", &[reactor_tests::added(1, "a", 1)]);
    sandbox.run(&["up", "--until-idle", "--otlp", "http://127.0.0.1:1"]).ok();
    assert_eq!(sandbox.state("tally", "a").as_deref(), Some("1"));
    sandbox.run(&["up", "--until-idle", "--otlp", "nonsense"]).code(2).says("give the collector's URL");
}
