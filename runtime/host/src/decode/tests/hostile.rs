use bytes::Bytes;
use proptest::prelude::*;

use reactor_core::attribute::Attribute;

use super::*;

fn native(data: &str) -> String {
    format!(r#"{{"eventId":"e","eventType":"t","data":{data}}}"#)
}

#[test]
fn what_cannot_be_an_event_is_refused_with_its_reason() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for (body, expected) in [
        (Vec::new(), Reason::Empty),
        (b" \n".to_vec(), Reason::Empty),
        (b"hello".to_vec(), Reason::InvalidJson),
        (b"\xff{}".to_vec(), Reason::NotUtf8),
        (b"{\"eventId\":\"\xc3\x28\"}".to_vec(), Reason::NotUtf8),
        (b"{\"eventId\":\"a\0b\",\"eventType\":\"t\"}".to_vec(), Reason::InvalidJson),
        (br#"{"eventId":"a\u0000b","eventType":"t"}"#.to_vec(), Reason::BadField),
        (br#"{"eventId":"\ud800","eventType":"t"}"#.to_vec(), Reason::InvalidJson),
        (native(r#""\udfff""#).into_bytes(), Reason::InvalidJson),
        (native(r#"{"a":1,"a":2}"#).into_bytes(), Reason::DuplicateKey),
        (br#"{"eventId":"a","eventType":"t","eventId":"b"}"#.to_vec(), Reason::DuplicateKey),
        (br#"{"eventId":"a","eventType":"t","event\u0049d":"b"}"#.to_vec(), Reason::DuplicateKey),
        (native(&deep).into_bytes(), Reason::TooDeep),
        (deep.clone().into_bytes(), Reason::TooDeep),
        ("{\"a\":".repeat(40_000).into_bytes(), Reason::TooDeep),
        (native("1").trim_end_matches('}').to_owned().into_bytes(), Reason::InvalidJson),
        ((native("1") + "{}").into_bytes(), Reason::InvalidJson),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let error = run(Format::Auto, &Message::from_body(Bytes::from(body))).expect_err(&shown);
        assert_eq!(error.reason, expected, "{shown}: {error}");
        assert!(error.detail.len() < 600, "{error}");
    }
}

#[test]
fn json_inside_json_stays_text() {
    let event = only(auto(&native(r#""{\"a\":1,\"a\":2}""#)));
    assert_eq!(data(&event), r#""{\"a\":1,\"a\":2}""#);
    assert_eq!(data(&only(auto(&native(r#""a\u0000b""#)))), r#""a\u0000b""#, "an escaped NUL in data is the data's");
}

#[test]
fn a_million_levels_are_refused_in_every_format() {
    let mut config = channel(Format::Auto);
    config.max_event = 16 << 20;
    for format in all_formats() {
        config.format = format;
        for open in ["[", "{\"a\":"] {
            let result = decode(&Message::from_body(open.repeat(100_0000)), &Settings::new(&config));
            assert_eq!(reason(result.and_then(Contents::whole)), Reason::TooDeep, "{:?}", config.format);
        }
    }
}

#[test]
fn the_size_limit_is_exact_and_counts_attributes() {
    let mut config = channel(Format::Auto);
    let body = native("\"x\"");
    let message = message(&body, &[("name", "value")]);
    config.max_event = message.size();
    assert!(decode(&message, &Settings::new(&config)).is_ok());
    config.max_event -= 1;
    let error = decode(&message, &Settings::new(&config)).expect_err("one byte over");
    assert_eq!(error.reason, Reason::TooLarge);
    assert!(error.detail.contains("\"shop\"") && error.detail.contains("max-event"), "{error}");
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from("1.0")),
        Just(Value::from("Notification")),
        Just(Value::from(r#"{"Records":[{"s3":{},"eventName":"x"}]}"#)),
    ];
    let key = prop_oneof![
        "eventId|eventType|eventVersion|timestamp|reactorHops|data|dataBase64|contentType|subject|partitionKey",
        "specversion|type|id|source|time|data_base64|datacontenttype|detail|detail-type|resources",
        "Type|MessageId|TopicArn|Message|MessageAttributes|Timestamp|Records|s3|bucket|object|key|name|eventName|Event",
        any::<String>(),
    ];
    leaf.prop_recursive(4, 48, 12, move |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => proptest::collection::vec((key.clone(), inner), 0..12).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What must hold for the answer to any input.
fn check_answer(message: &Message) -> Result<(), TestCaseError> {
    for format in all_formats() {
        match run(format, message) {
            Ok(decoded) => {
                prop_assert!(!decoded.is_empty());
                for Decoded { event, .. } in decoded {
                    prop_assert!(!event.id.is_empty() && !event.event_type.is_empty() && !event.source.is_empty());
                    if event.content_type == "application/json" {
                        prop_assert!(serde_json::from_slice::<serde_json::Value>(&event.data).is_ok());
                    }
                }
            }
            Err(error) => prop_assert!(!error.detail.is_empty() && error.detail.len() < 2000),
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_survived(body in proptest::collection::vec(any::<u8>(), 0..200), name in ".{0,20}", value in ".{0,20}") {
        let mut message = Message::from_body(body);
        message.attributes.push(Attribute::text(name, value));
        check_answer(&message)?;
    }

    #[test]
    fn any_json_is_survived(body in json(), ce in "ce-(id|type|specversion|source|time|datacontenttype)", value in ".{0,8}") {
        let mut message = Message::from_body(body.to_string());
        check_answer(&message)?;
        message.attributes.push(Attribute::text(ce, value));
        check_answer(&message)?;
    }

    #[test]
    fn any_cut_or_flip_is_survived(at in 0usize..200, byte in any::<u8>(), cut in any::<bool>()) {
        let text = r#"{"Type":"Notification","MessageId":"m","TopicArn":"a","Message":"{\"eventId\":\"e\",\"eventType\":\"t\",\"data\":[{\"a\":1}]}","Timestamp":"2026-01-02T03:04:05Z"}"#;
        let mut body = text.as_bytes().to_vec();
        let at = at % body.len();
        if cut { body.truncate(at); } else { body[at] = byte; }
        check_answer(&Message::from_body(body))?;
    }
}
