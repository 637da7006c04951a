use std::time::Duration;

use super::*;
use crate::prelude::*;

#[reactor]
fn counter(event: Event<Value>, cx: &Context) -> Outcome {
    let count = cx.state().update("count", |count: Option<u64>| count.unwrap_or(0) + 1)?;
    cx.state().set_bytes("raw", [1, 2])?;
    cx.new_event("count.changed").version(3).subject("count").publish(&count)?;
    cx.info(format_args!("count {count}"));
    match event.data["then"].as_str() {
        Some("reject") => Err(reject("no")),
        Some("retry") => Err(retry_after(Duration::from_secs(2), "later")),
        Some("panic") => panic!("boom {count}"),
        Some("delete") => Ok(cx.state().delete("count")?),
        _ => Ok(()),
    }
}

#[test]
fn a_run_that_ends_well_is_committed() {
    let mut run = Run::new(counter).state("count", 4).envelope(|event| event.partition_key = Some("p".into()));
    let ended = run.event("x.y", json!({})).assert_done().assert_emitted("count.changed");
    let emit = ended.emit();
    assert_eq!((emit.json::<u64>(), emit.version, emit.subject.as_deref()), (5, 3, Some("count")));
    assert_eq!((emit.id.as_str(), emit.causation_id.as_str()), ("event-1/1", "event-1"));
    assert_eq!(emit.partition_key.as_deref(), Some("p"));
    assert_eq!(ended.logs, [(Level::Info, "count 5".to_owned())]);
    assert_eq!(run.state_of("count"), Some(5));
    assert_eq!(run.state_keys(), ["count", "raw"]);
}

#[test]
fn what_a_failed_run_did_never_happened() {
    for then in ["reject", "retry", "panic"] {
        let mut run = Run::new(counter).state("count", 4);
        let ended = run.event("x.y", json!({ "then": then }));
        assert_ne!(ended.ending, Ending::Done);
        assert_eq!((ended.emits.len(), ended.writes.len()), (0, 0), "{then}");
        assert_eq!((ended.dropped_emits.len(), ended.dropped_writes.len()), (1, 2), "{then}");
        assert_eq!(run.state_of("count"), Some(4), "{then}");
        assert_eq!(run.state_keys(), ["count"], "{then}");
    }
}

#[test]
fn endings_are_told_apart() {
    let mut run = Run::new(counter);
    run.event("x.y", json!({ "then": "reject" })).assert_rejected("no");
    run.event("x.y", json!({ "then": "panic" })).assert_trapped("boom 1");
    let ended = run.event("x.y", json!({ "then": "retry" })).assert_retried("later");
    assert_eq!(ended.ending, Ending::Retried { reason: "later".into(), after: Some(Duration::from_secs(2)) });
}

#[test]
fn a_deleted_key_is_gone() {
    let mut run = Run::new(counter).state("count", 4);
    run.event("x.y", json!({ "then": "delete" })).assert_done();
    assert_eq!(run.state_of::<u64>("count"), None);
}

#[test]
fn data_that_cannot_be_read_is_rejected() {
    fn typed(_: Event<Vec<(String, u32)>>, _: &Context) -> Outcome {
        Ok(())
    }
    let ended = Run::new(typed).event("x.y", json!([["a", 1], ["b", -1]]));
    let ended = ended.assert_rejected("the data of x.y version 1 cannot be read");
    ended.assert_rejected("invalid value: integer `-1`, expected u32 at line 1 column 16, in /1/1");
    Run::new(typed)
        .envelope(|event| event.content_type = "text/csv".to_owned())
        .event_bytes("x.y", "a,1")
        .assert_rejected("(its content type is text/csv)");
}

#[test]
fn raw_data_may_be_anything() {
    fn raw(event: Event<Raw>, cx: &Context) -> Outcome {
        cx.new_event("copy.made").publish_bytes("image/png", event.data.into_bytes());
        Ok(())
    }
    let ended = Run::new(raw).event_bytes("x.y", [0xff, 0]).assert_done();
    assert_eq!((ended.emit().data.as_slice(), ended.emit().content_type.as_str()), (&[0xff, 0][..], "image/png"));
}

#[test]
fn the_circumstances_of_the_run_can_be_set() {
    fn tells(_: Event<Raw>, cx: &Context) -> Outcome {
        let told = json!([cx.attempt(), cx.max_attempts(), cx.idempotency_key(), cx.now().as_millis(), cx.random()]);
        cx.emit("told", &told)
    }
    let mut run = Run::new(tells).attempt(2).max_attempts(3).now(Timestamp::from_millis(7)).random(9);
    let first: Value = run.event("x.y", ()).emit().json();
    assert_eq!(first[0], 2);
    assert_eq!(first[1], 3);
    assert_eq!(first[2], "test/event-1");
    assert_eq!(first[3], 7);
    run.advance(Duration::from_millis(5));
    let second: Value = run.event("x.y", ()).emit().json();
    assert_eq!(second[2], "test/event-2");
    assert_eq!(second[3], 12);
    assert_eq!(first[4], second[4], "the same seed, the same numbers");
    assert_ne!(first[4], Run::new(tells).random(10).event("x.y", ()).emit().json::<Value>()[4]);
}

#[test]
fn state_has_the_limits_of_the_contract() {
    fn writes(event: Event<(String, usize)>, cx: &Context) -> Outcome {
        let (key, size) = event.data;
        Ok(cx.state().set_bytes(key, vec![0; size])?)
    }
    let mut run = Run::new(writes);
    run.event("x.y", ("k".repeat(1024), 1 << 20)).assert_done();
    run.event("x.y", ("", 1)).assert_retried("invalid state key: it has 0 bytes");
    run.event("x.y", ("k".repeat(1025), 1)).assert_retried("it has 1025 bytes");
    run.event("x.y", ("k", (1 << 20) + 1)).assert_retried("1048577 bytes is too large");
}

#[test]
fn a_stored_value_of_another_type_is_an_error_with_its_key() {
    let mut run = Run::new(counter).state("count", [1]);
    run.event("x.y", json!({})).assert_retried("state `count` is not u64: invalid type: sequence");
}

#[test]
fn emitted_events_can_be_passed_on() {
    fn second(event: Event<u64>, cx: &Context) -> Outcome {
        cx.emit(format!("again.{}", event.causation_id.unwrap_or_default()), &event.data)
    }
    let ended = Run::new(counter).event("x.y", json!({}));
    let passed = Run::new(second).emitted(ended.emit()).assert_done();
    assert_eq!(passed.emit().event_type, "again.event-1");
    assert_eq!(passed.emit().correlation_id, "correlation-1");
}

#[test]
fn events_carry_the_attributes_that_a_test_sets() {
    fn billed(event: Event<Value>, cx: &Context) -> Outcome {
        let names: Vec<_> = cx.attributes().iter().map(|one| format!("{}={one} {}", one.name, one.type_name)).collect();
        cx.state().set("names", &names)?;
        let weight: f64 = cx.attribute("weight").and_then(Attribute::parse).or_reject("no weight")?;
        let urgent = cx.attribute("urgent").and_then(Attribute::as_bool);
        let key = cx.attribute("key").and_then(Attribute::as_bytes).map(<[u8]>::len);
        cx.emit("billed", &(weight, urgent, key, cx.attribute("Tenant").is_none(), event.data))
    }
    let mut run = Run::new(billed)
        .attribute("tenant", "other")
        .attribute("tenant", "acme")
        .attribute("urgent", true)
        .attribute("count", 12)
        .attribute("key", vec![0, 1, 255])
        .attributes([Attribute::new("weight", "1.50").of_type("Number.float")]);
    let ended = run.event("order.placed", json!(1)).assert_done();
    assert_eq!(ended.emit().json::<Value>(), json!([1.5, true, 3, true, 1]));
    let names = [
        "tenant=acme String",
        "urgent=true Boolean",
        "count=12 Number",
        "key=3 bytes Binary",
        "weight=1.50 Number.float",
    ];
    assert_eq!(run.state_of::<Vec<String>>("names"), Some(names.map(str::to_owned).to_vec()));
    run.emitted(ended.emit()).assert_rejected("no weight");
}
