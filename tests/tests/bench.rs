//! `reactor bench`: what an event costs, measured on a store of its own. Figures differ; what they are about does not.

use reactor_tests::{Sandbox, added, mood};
use serde_json::{Value, json};

const SHORT: &[&str] = &["--seconds", "0.2", "--events", "600"];

fn bench(sandbox: &Sandbox, args: &[&str]) -> Value {
    sandbox.run(&[&["--json", "bench"], args, SHORT].concat()).ok().json()
}

fn is_positive(report: &Value, pointer: &str) {
    let figure = report.pointer(pointer).and_then(Value::as_f64);
    assert!(figure.is_some_and(|figure| figure > 0.0), "{pointer}: {report}");
}

#[test]
fn every_figure_is_there_and_nothing_is_left() {
    let sandbox = Sandbox::tally("");
    sandbox.write("event.json", added(1, "a", 5));
    let report = bench(&sandbox, &["tally", "event.json", "--vary", "/account"]);
    assert_eq!((&report["work"]["reads"], &report["work"]["writes"]), (&json!(1.0), &json!(1.0)));
    assert_eq!((&report["throughput"]["events"], &report["throughput"]["done"]), (&json!(600), &json!(600)));
    assert_eq!((&report["latency"]["events"], &report["latency"]["done"]), (&json!(40), &json!(40)));
    for pointer in [
        "/limits/fsyncUs/p50",
        "/limits/storePerS",
        "/limits/sandbox/perS",
        "/limits/sandbox/combinedPerS",
        "/limits/decodeUs",
        "/limits/instanceUs",
        "/limits/runUs",
        "/throughput/perS",
        "/throughput/ofSandbox",
        "/throughput/cpuUs/total",
        "/throughput/cpuUs/guest",
        "/throughput/cpuUs/host",
        "/throughput/cpuUs/store",
        "/throughput/writtenBytes",
        "/throughput/peakBytes",
        "/latency/acceptedUs/p99",
        "/latency/doneUs/p50",
        "/latency/doneUs/p999",
        "/latency/residentBytes",
    ] {
        is_positive(&report, pointer);
    }
    let done = &report["latency"]["doneUs"];
    let at = |name: &str| done[name].as_f64().expect("a number");
    assert!(at("p50") <= at("p99") && at("p99") <= at("p999") && at("p999") <= at("max"), "{done}");
    let left: Vec<_> = std::fs::read_dir(sandbox.path(".reactor")).expect("the data directory").flatten().collect();
    let names: Vec<_> = left.iter().map(std::fs::DirEntry::file_name).collect();
    assert_eq!(names, ["modules"], "only compiled modules are kept");
    let text = sandbox.run(&[&["bench", "tally", "event.json"], SHORT].concat()).ok().stdout;
    for words in
        ["fsync of 4 KiB", "the store alone", "published to done", "CPU per event", "done after", "most memory"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn what_ends_badly_is_counted_or_told() {
    let sandbox = Sandbox::moody("");
    let events = [mood("x", &json!({ "do": "reject" })), mood("y", &json!({ "do": "emit" }))].join("\n");
    sandbox.write("mixed.jsonl", &events);
    let ran = sandbox.run(&[&["--json", "bench", "moody", "mixed.jsonl"], SHORT].concat()).ok();
    assert!(
        !ran.stderr.contains("WARN") && !ran.stderr.contains("ERROR"),
        "a line for each event would hide the figures"
    );
    let report = ran.json();
    let throughput = &report["throughput"];
    assert!(throughput["done"].as_u64() >= Some(300) && throughput["dead"] == json!(300), "{throughput}");
    sandbox.write("bad.json", mood("x", &json!({ "do": "reject" })));
    sandbox.run(&["bench", "moody", "bad.json"]).code(1).says("succeeds on none of these events: reject");
    let sandbox = sandbox.with_env("RUST_LOG", "info");
    sandbox.run(&[&["bench", "moody", "mixed.jsonl"], SHORT].concat()).ok().says("dead letter");
}

#[test]
fn what_cannot_be_measured_is_told() {
    let sandbox = Sandbox::tally("");
    sandbox.write("event.json", added(1, "a", 5));
    sandbox.write("other.json", added(1, "a", 1).replace("\"added\"", "\"other\""));
    sandbox.write("broken.jsonl", "{\n}}\n");
    sandbox.write("empty.jsonl", "\n");
    sandbox.run(&["bench", "taly", "event.json"]).code(2).says("did you mean `tally`?");
    sandbox.run(&["bench", "tally", "nowhere.json"]).code(1).says("cannot read nowhere.json");
    sandbox.run(&["bench", "tally", "broken.jsonl"]).code(1).says("broken.jsonl: the input as a whole:");
    sandbox.run(&["bench", "tally", "empty.jsonl"]).code(1).says("there is no event to send");
    sandbox.run(&["bench", "tally", "event.json", "--vary", "/nowhere"]).code(1).says("nothing at `/nowhere`");
    sandbox.run(&["bench", "tally", "event.json", "--seconds", "0"]).code(2).says("between 0.1 and 3600");
    let short = [&["bench", "tally", "other.json"], SHORT].concat();
    sandbox.run(&short).code(1).says("wants none of these events");
}
