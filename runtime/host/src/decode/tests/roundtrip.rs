use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;

use super::super::{MAX_ATTRIBUTES, check_event, encode_cloudevents, encode_native};
use super::*;

fn line() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,12}"
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![0..3u32, any::<u32>()]
}

fn payload() -> impl Strategy<Value = (String, Bytes)> {
    let json =
        prop_oneof![Just("null"), Just("{\"a\":[1.50,\"\\u00e9\\n\"]}"), Just("\"x\""), Just("-0.0"), Just("[]")];
    prop_oneof![
        json.clone().prop_map(|text| ("application/json".to_owned(), Bytes::from(text))),
        json.prop_map(|text| ("application/x+json; a=b".to_owned(), Bytes::from(text))),
        any::<String>().prop_map(|text| ("text/plain".to_owned(), Bytes::from(text))),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| ("image/png".to_owned(), Bytes::from(bytes))),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    let option = || proptest::option::of(line());
    let time = proptest::option::of(-60_000_000_000_000_000_000i128..250_000_000_000_000_000_000);
    let texts = (line(), line(), line(), line());
    let options = (option(), option(), option(), option());
    (texts, options, time, count(), count(), payload()).prop_map(|(texts, options, time, version, hop, payload)| {
        let (id, event_type, source, correlation_id) = texts;
        let (subject, causation_id, partition_key, trace_parent) = options;
        let (content_type, data) = payload;
        let time = time.and_then(|nanos| Timestamp::from_nanosecond(nanos).ok());
        Event {
            id,
            event_type,
            version,
            source,
            time,
            subject,
            correlation_id,
            causation_id,
            partition_key,
            content_type,
            hop,
            trace_parent,
            attributes: Vec::new(),
            data,
        }
    })
}

/// Decodes what a reactor of the host has emitted.
fn own(format: Format, message: &Message, event: &Event) -> Event {
    let settings = Settings::new(&channel(format)).with_emitters([&event.source].into_iter());
    only(decode(message, &settings).and_then(Contents::whole))
}

proptest! {
    #[test]
    fn an_encoded_event_decodes_to_itself(event in events()) {
        let body = encode_native(&event);
        prop_assert_eq!(check_event(&event), Ok(()));
        prop_assert_eq!(own(Format::Native, &Message::from_body(body.clone()), &event), event.clone());
        prop_assert_eq!(own(Format::Auto, &Message::from_body(body.clone()), &event), event.clone());
        let foreign = only(run(Format::Auto, &Message::from_body(body)));
        prop_assert_eq!(foreign, Event { hop: 0, ..event }, "nobody else counts hops");
    }

    #[test]
    fn so_does_one_encoded_as_a_cloud_event(event in events()) {
        let message = encode_cloudevents(&event);
        prop_assert!(message.attributes.len() <= MAX_ATTRIBUTES);
        let text = std::str::from_utf8(&message.body);
        prop_assert!(text.is_ok_and(|text| !text.is_empty()), "what a queue takes");
        prop_assert_eq!(own(Format::CloudEvents, &message, &event), event.clone());
        prop_assert_eq!(own(Format::Auto, &message, &event), event.clone());
        prop_assert_eq!(only(run(Format::Auto, &message)), Event { hop: 0, ..event }, "nobody else counts hops");
    }
}

#[test]
fn data_cannot_escape_from_its_envelope() {
    let mut event = only(auto(r#"{"eventId":"e","eventType":"t"}"#));
    for data in ["1,\"eventId\":\"other\"", "", "{\"a\":1,\"a\":2}", "\u{0}", "nul"] {
        event.data = Bytes::from(data);
        assert!(check_event(&event).is_err(), "{data}");
        let body = encode_native(&event);
        let error = run(Format::Native, &Message::from_body(body.clone())).expect_err(data);
        assert!(matches!(error.reason, Reason::InvalidJson | Reason::Empty | Reason::DuplicateKey), "{error}");
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok(), "the envelope stays whole");
    }
    event.data = Bytes::from(" [1] \n");
    assert_eq!(data(&only(run(Format::Native, &Message::from_body(encode_native(&event))))), "[1]");
}

#[test]
fn what_would_not_decode_is_found_before() {
    let event = only(auto(r#"{"eventId":"e","eventType":"t"}"#));
    let spoil: [fn(&mut Event); 6] = [
        |event| event.event_type.clear(),
        |event| event.event_type.push('\n'),
        |event| event.content_type.clear(),
        |event| event.subject = Some("\u{1b}[2J".into()),
        |event| event.partition_key = Some("a\0b".into()),
        |event| event.data = Bytes::from("oops"),
    ];
    for (index, spoil) in spoil.into_iter().enumerate() {
        let mut event = event.clone();
        spoil(&mut event);
        assert!(check_event(&event).is_err(), "{index}");
        let decoded = run(Format::Native, &Message::from_body(encode_native(&event)));
        // An empty content type is taken for JSON.
        assert!(decoded.is_err() || event.content_type.is_empty(), "{index}");
    }
}
