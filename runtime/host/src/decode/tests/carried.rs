//! What a message carries beside its body reaches the event, from every place where it can stand.

use serde_json::json;

use reactor_core::attribute::Attribute;

use super::*;
use crate::decode::encode_cloudevents;

/// The attributes as people are shown them, in order.
fn carried(event: &Event) -> Vec<String> {
    event.attributes.iter().map(ToString::to_string).collect()
}

fn sorted(event: &Event) -> Vec<String> {
    let mut all = carried(event);
    all.sort();
    all
}

fn typed() -> Vec<Attribute> {
    vec![
        ("tenant", "acme").into(),
        Attribute::typed("weight", "Number.float", "1.50"),
        Attribute::typed("policy", "String.Json", "{}"),
        Attribute::binary("key", "Binary", vec![0, 1, 255]),
    ]
}

const NATIVE: &str = r#"{"eventId":"1","eventType":"t","source":"s","data":{}}"#;
const CLOUD: &str = r#"{"specversion":"1.0","id":"1","type":"t","source":"s","data":{}}"#;
const BRIDGE: &str = r#"{"id":"1","detail-type":"t","source":"s","detail":{}}"#;

#[test]
fn attributes_of_the_message_reach_the_event_in_every_format() {
    for (format, body) in [
        (Format::Auto, NATIVE),
        (Format::Native, NATIVE),
        (Format::CloudEvents, CLOUD),
        (Format::Sns, NATIVE),
        (Format::EventBridge, BRIDGE),
        (Format::Raw(Box::new(RawFormat::of(RawField::Constant("t".into())))), "x"),
    ] {
        let message = Message { attributes: typed(), ..Message::from_body(body) };
        assert_eq!(only(run(format.clone(), &message)).attributes, typed(), "{format:?}");
        assert!(only(run(format, &Message::from_body(body))).attributes.is_empty());
    }
}

#[test]
fn attributes_in_the_wrapper_of_sns_count_more_than_those_around_it() {
    for text in [NATIVE, "hello", r#"{"a":1}"#] {
        let wrapper = json!({
            "Type": "Notification", "MessageId": "m", "TopicArn": "arn:t", "Message": text,
            "MessageAttributes": {
                "tenant": { "Type": "String", "Value": "inner" },
                "weight": { "Type": "Number", "Value": "1.50" },
                "key": { "Type": "Binary", "Value": "AAH/" },
                "tags": { "Type": "String.Array", "Value": "[\"a\",\"b\"]" },
            },
        });
        let message = message(&wrapper.to_string(), &[("tenant", "outer"), ("hall", "3")]);
        let expected = [
            "hall: 3",
            "key: AAH/ (Binary)",
            "tags: [\"a\",\"b\"] (String.Array)",
            "tenant: inner",
            "weight: 1.50 (Number)",
        ];
        assert_eq!(sorted(&only(run(Format::Auto, &message))), expected, "{text}");
    }
}

#[test]
fn extensions_of_cloudevents_keep_their_types_in_both_modes() {
    let structured = r#"{"specversion":"1.0","id":"1","type":"t","source":"s","dataschema":"https://x/2.json",
        "tenantid":"acme","sampledrate":10,"urgent":true,"nothing":null,"correlationid":12345,"dataversion":"2023-10-16",
        "hop":"far","partitionkey":"p","big":123456789012345678901234567890,"data":{"tenantid":"no"}}"#;
    let event = only(run(Format::CloudEvents, &message(structured, &[("hall", "3"), ("tenantid", "outer")])));
    let expected = [
        "hall: 3",
        "tenantid: acme",
        "dataschema: https://x/2.json",
        "sampledrate: 10 (Number)",
        "urgent: true (Boolean)",
        "dataversion: 2023-10-16",
        "hop: far",
        "big: 123456789012345678901234567890 (Number)",
    ];
    assert_eq!(carried(&event), expected);
    assert_eq!((event.correlation_id.as_str(), event.partition_key.as_deref()), ("12345", Some("p")));
    for prefix in ["ce-", "CE_", "cloudEvents:"] {
        let text = |name: &str, value: &str| Attribute::text(format!("{prefix}{name}"), value);
        let mut message = Message::from_body(r#"{"a":1}"#);
        message.attributes = vec![
            text("specversion", "1.0"),
            text("id", "1"),
            text("type", "t"),
            text("source", "s"),
            text("dataschema", "https://x/2.json"),
            text("TenantId", "acme"),
            text("correlationid", "c"),
            Attribute::typed(format!("{prefix}sampledrate"), "Number", "10"),
            ("tenantid", "outer").into(),
            ("Content-Type", "application/json").into(),
        ];
        let expected = [
            "Content-Type: application/json",
            "dataschema: https://x/2.json",
            "sampledrate: 10 (Number)",
            "tenantid: acme",
        ];
        assert_eq!(sorted(&only(run(Format::Auto, &message))), expected, "{prefix}");
    }
}

#[test]
fn what_the_envelope_says_counts_more_than_the_message_however_much_that_carries() {
    let cloud = CLOUD.replace("\"data\"", "\"n3\":\"envelope\",\"own\":1,\"data\"");
    for count in [4, 16, 17, 1_000] {
        let mut message = Message::from_body(cloud.clone());
        message.attributes = (0..count).map(|n| Attribute::text(format!("n{n}"), "message")).collect();
        let event = only(run(Format::CloudEvents, &message));
        let mut expected = message.attributes.clone();
        expected[3] = Attribute::text("n3", "envelope");
        expected.push(Attribute::typed("own", "Number", "1"));
        assert_eq!(event.attributes, expected, "{count}");
    }
}

#[test]
fn members_beside_the_data_of_a_native_event_are_not_lost() {
    let body = r#"{"eventId":"1","eventType":"t","tenant":"acme","weight":1.50,"tags":["a"],"meta":{"b":1},"data":{}}"#;
    let expected =
        ["tenant: acme", "weight: 1.50 (Number)", "tags: [\"a\"] (String.Array)", "meta: {\"b\":1} (String.Json)"];
    assert_eq!(carried(&only(auto(body))), expected);
    let flat = only(auto(&body.replace(",\"data\":{}", "")));
    assert_eq!((carried(&flat).len(), data(&flat).contains("acme")), (0, true));
}

#[test]
fn what_the_host_itself_writes_into_cloudevents_is_no_extension() {
    let event = only(auto(
        r#"{"eventId":"e","eventType":"t","eventVersion":2,"source":"s","correlationId":"c","causationId":"k",
        "partitionKey":"p","traceparent":"00-a-b-01","hop":3,"subject":"x","timestamp":"2026-01-02T03:04:05Z","data":{"a":1}}"#,
    ));
    // With everything it is structured, since a message has room for ten attributes; with less it is binary.
    for event in [event.clone(), Event { subject: None, trace_parent: None, hop: 0, ..event }] {
        let message = encode_cloudevents(&event);
        assert_eq!(only(run(Format::CloudEvents, &message)).attributes, [], "{message:?}");
    }
}

#[test]
fn the_envelope_of_eventbridge_reaches_the_event() {
    let body = r#"{"version":"0","id":"1","detail-type":"t","source":"s","account":"123456789012","region":"us-west-2",
        "time":"2019-11-16T01:54:34Z","resources":["arn:a","arn:b"],"replay-name":"again","detail":{}}"#;
    let event = only(auto(body));
    let expected = [
        "version: 0",
        "account: 123456789012",
        "region: us-west-2",
        "resources: [\"arn:a\",\"arn:b\"] (String.Array)",
        "replay-name: again",
    ];
    assert_eq!(carried(&event), expected);
    assert_eq!(event.subject.as_deref(), Some("arn:a"));
}

#[test]
fn a_key_of_s3_is_the_one_in_the_bucket() {
    for (written, key) in [
        ("photos/2024/my+holiday+%28caf%C3%A9%29%2B1.jpg", "photos/2024/my holiday (caf\u{e9})+1.jpg"),
        ("a1%2Fcolors.xml", "a1/colors.xml"),
        ("plain-key_1.txt", "plain-key_1.txt"),
        ("100%25", "100%"),
        ("%e2%82%ac", "\u{20ac}"),
        // What is no text, or breaks a line, stays as it was written.
        ("a%FFb", "a%FFb"),
        ("a%0Ab", "a%0Ab"),
        ("50%", "50%"),
        ("%zz%4", "%zz%4"),
    ] {
        let record = json!({
            "eventName": "ObjectCreated:Put", "s3": { "bucket": { "name": "b" }, "object": { "key": written } },
        });
        let event = only(auto(&json!({ "Records": [record] }).to_string()));
        assert_eq!(event.subject.as_deref(), Some(key), "{written}");
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&event.data).expect("JSON"), record);
    }
}

fn raw_of(change: impl FnOnce(&mut RawFormat)) -> Format {
    let mut raw = RawFormat::of(RawField::Attribute("eventType".into()));
    change(&mut raw);
    Format::Raw(Box::new(raw))
}

fn wrapped(text: &str, attributes: &serde_json::Value) -> String {
    let wrapper = json!({
        "Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:t", "Message": text, "MessageAttributes": attributes,
    });
    wrapper.to_string()
}

#[test]
fn raw_takes_its_parts_from_attributes_of_the_wrapper() {
    let format = raw_of(|raw| {
        raw.id = Some(RawField::Attribute("id".into()));
        raw.key = Some(RawField::Pointer(pointer("/attributes/shard")));
        raw.subject = Some(RawField::Pointer(pointer("/orderId")));
    });
    let attributes = json!({
        "eventType": { "Type": "String", "Value": "order.shipped" },
        "id": { "Type": "Number", "Value": "7" },
        "shard": { "Type": "String", "Value": "s3" },
    });
    let inside = r#"{"orderId":"o-7"}"#;
    let wrapper = wrapped(inside, &attributes);
    let event = only(run(format.clone(), &message(&wrapper, &[])));
    assert_eq!((event.event_type.as_str(), event.id.as_str(), data(&event)), ("order.shipped", "7", inside));
    assert_eq!((event.partition_key.as_deref(), event.subject.as_deref()), (Some("s3"), Some("o-7")));
    assert_eq!(sorted(&event), ["eventType: order.shipped", "id: 7 (Number)", "shard: s3"]);
    // What is asked for stands beside the wrapper: that is data, as ever.
    let beside = [("eventType", "t"), ("id", "i"), ("shard", "s")];
    assert_eq!(data(&only(run(format.clone(), &message(&wrapper, &beside)))), wrapper);
    // The type stands beside it, and the rest inside.
    let event = only(run(format.clone(), &message(&wrapper, &beside[..1])));
    assert_eq!((event.event_type.as_str(), event.id.as_str()), ("order.shipped", "7"));
    let none = wrapped("{}", &json!({}));
    assert_eq!(reason(run(format, &message(&none, &[]))), Reason::MissingField);
    let event = only(run(raw_of(|_| {}), &message(&wrapped("x", &attributes), &[])));
    assert_eq!((event.id.as_str(), data(&event)), ("sns-1", "x"));
}

#[test]
fn raw_takes_time_subject_key_version_and_correlation_id() {
    let format = raw_of(|raw| {
        raw.event_type = RawField::Constant("t".into());
        raw.time = Some(RawField::Pointer(pointer("/at")));
        raw.subject = Some(RawField::Pointer(pointer("/about")));
        raw.key = Some(RawField::Pointer(pointer("/shard")));
        raw.version = Some(RawField::Pointer(pointer("/v")));
        raw.correlation_id = Some(RawField::Attribute("flow".into()));
    });
    let with = |body: &str, attributes: &[(&str, &str)]| run(format.clone(), &message(body, attributes));
    let noon = Some("2026-01-31T12:00:00Z".parse().expect("time"));
    let event = only(with(r#"{"at":1769860800,"about":"o-1","shard":7,"v":"2.1"}"#, &[("flow", "f")]));
    assert_eq!((event.time, event.version, event.correlation_id.as_str()), (noon, 2, "f"));
    assert_eq!((event.subject.as_deref(), event.partition_key.as_deref()), (Some("o-1"), Some("7")));
    let event = only(with(r#"{"at":"2026-01-31T13:00:00+01:00","about":null}"#, &[]));
    assert_eq!((event.time, event.version, &event.correlation_id), (noon, 1, &event.id));
    assert_eq!((event.subject, event.partition_key), (None, None));
    for bad in [r#"{"at":"noon"}"#, r#"{"at":12}"#, r#"{"v":"x"}"#, r#"{"shard":{}}"#] {
        assert_eq!(reason(with(bad, &[])), Reason::BadField, "{bad}");
    }
}

#[test]
fn a_raw_pointer_at_attributes_finds_the_body_first() {
    let format = raw_of(|raw| raw.event_type = RawField::Pointer(pointer("/attributes/kind")));
    let kind = |body: &str| only(run(format.clone(), &message(body, &[("kind", "attribute")]))).event_type;
    assert_eq!(kind(r#"{"attributes":{"kind":"body"}}"#), "body");
    assert_eq!(kind(r#"{"attributes":{}}"#), "attribute");
    assert_eq!(kind("no JSON"), "attribute");
    assert_eq!(reason(run(format.clone(), &message("{}", &[]))), Reason::MissingField);
}

#[test]
fn an_identity_may_be_an_attribute() {
    let channel = ChannelConfig { identity: Some(pointer("/attributes/key")), ..channel(Format::Auto) };
    let settings = Settings::new(&channel);
    let identity = |attribute: Attribute, id: &str| {
        let body = NATIVE.replace("\"1\"", &format!("\"{id}\""));
        let message = Message { attributes: vec![attribute], ..Message::from_body(body) };
        decode(&message, &settings).and_then(Contents::whole).expect("decodes").remove(0).identity
    };
    assert_eq!(identity(("key", "a").into(), "1"), identity(("key", "a").into(), "2"));
    assert_ne!(identity(("key", "a").into(), "1"), identity(("key", "b").into(), "1"));
    let number = |digits: &str| Attribute::typed("key", "Number", digits);
    assert_eq!(identity(number("1.0"), "1"), identity(number("1"), "2"), "numbers are equal by value");
    assert_ne!(identity(number("1"), "1"), identity(("key", "1").into(), "1"));
}
