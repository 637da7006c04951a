use reactor_core::event::{Identity, SystemAttributes};

use super::*;

fn system(message_id: &str, dedup_id: Option<&str>) -> SystemAttributes {
    SystemAttributes { message_id: Some(message_id.into()), dedup_id: dedup_id.map(str::to_owned), group_id: None }
}

fn identity(config: &ChannelConfig, body: &str, system: SystemAttributes) -> Identity {
    let message = Message { system, ..Message::from_body(body.to_owned()) };
    decode(&message, &Settings::new(config)).expect("decodes").events[0].identity
}

fn native(id: &str, source: &str, order: &str) -> String {
    format!(r#"{{"eventId":"{id}","eventType":"t","source":"{source}","data":{{"order":{order}}}}}"#)
}

#[test]
fn the_envelopes_id_counts_with_its_source_and_nothing_of_the_transport() {
    let auto = channel(Format::Auto);
    let one = identity(&auto, &native("1", "a", "1"), system("m1", Some("d1")));
    assert_eq!(one, identity(&auto, &native("1", "a", "2"), system("m2", None)));
    let other_queue = ChannelConfig { name: "other".into(), ..channel(Format::Auto) };
    assert_eq!(one, identity(&other_queue, &native("1", "a", "1"), system("m3", None)));
    assert_ne!(one, identity(&auto, &native("1", "b", "1"), system("m1", Some("d1"))));
    assert_ne!(one, identity(&auto, &native("2", "a", "1"), system("m1", Some("d1"))));
}

#[test]
fn a_configured_pointer_comes_first_and_falls_back() {
    let config = ChannelConfig { identity: Some(pointer("/data/order")), ..channel(Format::Auto) };
    let one = identity(&config, &native("1", "a", "7"), system("m1", None));
    assert_eq!(one, identity(&config, &native("2", "b", "7.0"), system("m2", None)));
    assert_ne!(one, identity(&config, &native("1", "a", "\"7\""), system("m1", None)));
    let other = ChannelConfig { name: "other".into(), ..config.clone() };
    assert_ne!(one, identity(&other, &native("1", "a", "7"), system("m1", None)), "values belong to a channel");
    let plain = identity(&channel(Format::Auto), &native("1", "a", "null"), system("m1", None));
    assert_eq!(plain, identity(&config, &native("1", "a", "null"), system("m1", None)));
}

#[test]
fn two_deliveries_of_one_sns_publish_are_one_event() {
    let auto = channel(Format::Auto);
    let wrapped = |id: &str| {
        format!(
            r#"{{"Type":"Notification","MessageId":"{id}","TopicArn":"arn","Message":"hi","Timestamp":"2026-01-02T03:04:05Z"}}"#
        )
    };
    let one = identity(&auto, &wrapped("s1"), system("m1", None));
    assert_eq!(one, identity(&auto, &wrapped("s1"), system("m2", Some("d"))));
    assert_ne!(one, identity(&auto, &wrapped("s2"), system("m1", None)));
    let inner = native("1", "a", "1");
    let text = serde_json::to_string(&inner).expect("string");
    let around = wrapped("s3").replace("\"hi\"", &text);
    let direct = identity(&auto, &inner, system("m1", None));
    assert_eq!(direct, identity(&auto, &around, system("m2", None)), "the envelope inside comes first");
}

#[test]
fn without_an_id_the_transports_ids_count() {
    let raw = channel(Format::Raw(Box::new(RawFormat::of(RawField::Constant("t".into())))));
    let fifo = identity(&raw, "x", system("m1", Some("d1")));
    assert_eq!(fifo, identity(&raw, "y", system("m2", Some("d1"))));
    let other = ChannelConfig { name: "other".into(), ..raw.clone() };
    assert_ne!(fifo, identity(&other, "x", system("m1", Some("d1"))), "deduplication ids belong to a queue");
    let standard = identity(&raw, "x", system("m1", None));
    assert_eq!(standard, identity(&other, "y", system("m1", None)));
    assert_ne!(standard, identity(&raw, "x", system("m2", None)));
    let bare = identity(&raw, "x", SystemAttributes::default());
    assert_eq!(bare, identity(&raw, "x", SystemAttributes::default()));
    assert_ne!(bare, identity(&raw, "y", SystemAttributes::default()));
}

#[test]
fn the_transport_speaks_where_the_envelope_is_silent() {
    let body = |rest: &str| format!(r#"{{"eventId":"1","eventType":"t"{rest}}}"#);
    let run = |rest: &str| {
        let mut message = message(&body(rest), &[("traceparent", "00-1")]);
        message.system.group_id = Some("g".into());
        only(run(Format::Auto, &message))
    };
    let silent = run("");
    assert_eq!((silent.partition_key.as_deref(), silent.trace_parent.as_deref()), (Some("g"), Some("00-1")));
    let loud = run(r#","partitionKey":"p","traceparent":"00-2""#);
    assert_eq!((loud.partition_key.as_deref(), loud.trace_parent.as_deref()), (Some("p"), Some("00-2")));
}
