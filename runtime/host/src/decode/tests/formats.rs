use super::*;

#[test]
fn native_has_defaults_for_all_but_id_and_type() {
    let event = only(auto(r#"{"eventId":"e1","eventType":"order.placed"}"#));
    assert_eq!((event.id.as_str(), event.event_type.as_str(), event.version), ("e1", "order.placed", 1));
    assert_eq!((event.source.as_str(), event.correlation_id.as_str(), event.hop), ("shop", "e1", 0));
    assert_eq!((event.content_type.as_str(), data(&event)), ("application/json", "null"));
}

#[test]
fn native_fields_arrive_and_data_is_a_slice_of_the_body() {
    let body = r#"{"eventId":"e1","eventType":"order.placed","eventVersion":"2.1","timestamp":1769860800500,"source":"web",
        "correlationId":"c","causationId":"k","subject":"s","partitionKey":7,"reactorHops":3,"traceparent":"00-a-b-01",
        "unknown":{"x":1},"data": { "b" : [1.50, "\u00e9"] } }"#;
    let message = message(body, &[]);
    let event = only(run(Format::Native, &message));
    assert_eq!(event.version, 2);
    assert_eq!(event.time.map(|time| time.as_millisecond()), Some(1_769_860_800_500));
    assert_eq!((event.source.as_str(), event.correlation_id.as_str()), ("web", "c"));
    assert_eq!(event.causation_id.as_deref(), Some("k"));
    assert_eq!((event.subject.as_deref(), event.partition_key.as_deref()), (Some("s"), Some("7")));
    assert_eq!((event.hop, event.trace_parent.as_deref()), (0, Some("00-a-b-01")));
    let own = Settings::new(&channel(Format::Native)).with_emitters(["web".to_owned()].iter());
    assert_eq!(only(decode(&message, &own).and_then(Contents::whole)).hop, 3, "of a reactor of this host");
    assert_eq!(data(&event), r#"{ "b" : [1.50, "\u00e9"] }"#);
    assert!(message.body.as_ptr_range().contains(&event.data.as_ptr()), "copied");
}

#[test]
fn native_errors_name_the_field() {
    for (body, reason, word) in [
        (r#"{"eventId":"e"}"#, Reason::MissingField, "`eventType`"),
        (r#"{"eventType":"t"}"#, Reason::MissingField, "`eventId`"),
        (r#"{"eventId":null,"eventType":"t"}"#, Reason::MissingField, "`eventId`"),
        (r#"{"eventId":[5],"eventType":"t"}"#, Reason::BadField, "`eventId` is an array"),
        (r#"{"eventId":"e","eventType":""}"#, Reason::MissingField, "`eventType`"),
        (r#"{"eventId":"e","eventType":"t","timestamp":"noon"}"#, Reason::BadField, "`timestamp`"),
        (r#"{"eventId":"e","eventType":"t","contentType":"text/csv","total":1}"#, Reason::BadField, "`contentType`"),
        (r#"{"eventId":"e","eventType":"t","data":1,"dataBase64":""}"#, Reason::BadField, "`dataBase64`"),
        (r#"{"eventId":"e","eventType":"t","dataBase64":"%"}"#, Reason::BadField, "base64"),
        (r#"{"eventId":"e","eventType":"t","dataBase64":"e30="}"#, Reason::Empty, ""),
        (r#"[1]"#, Reason::UnknownEnvelope, "not a JSON object"),
    ] {
        let result = run(Format::Native, &message(body, &[]));
        if reason == Reason::Empty {
            assert_eq!(data(&only(result)), "{}", "{body}");
            continue;
        }
        let error = result.expect_err(body);
        assert_eq!(error.reason, reason, "{body}: {error}");
        assert!(error.detail.contains(word), "{body}: {error}");
    }
}

#[test]
fn native_events_may_be_flat_and_their_ids_numbers() {
    let event = only(auto(
        r#"{"eventId":7,"eventType":"order.placed","source":"s","orderId":"o-1","total": 12.50, "a\"b":[1]}"#,
    ));
    assert_eq!((event.id.as_str(), data(&event)), ("7", r#"{"orderId":"o-1","total":12.50,"a\"b":[1]}"#));
    let event = only(auto(r#"{"eventId":"e","eventType":"t","hop":"Cascade","reactorHops":["x"]}"#));
    assert_eq!((event.hop, data(&event)), (0, r#"{"hop":"Cascade"}"#), "a name that others use, too");
    let event = only(auto(r#"{"eventId":"e","eventType":"t","dataBase64":null,"orderId":"o-1"}"#));
    assert_eq!(data(&event), r#"{"orderId":"o-1"}"#, "what is null is not there");
    let event = only(auto(r#"{"eventId":"e","eventType":"t","data":null,"orderId":"o-1"}"#));
    assert_eq!(data(&event), "null", "it is there, and so it counts");
    let event = only(auto(r#"{"eventId":"e","eventType":"t","timestamp":1769860800}"#));
    assert_eq!(event.time.map(|time| time.to_string()).as_deref(), Some("2026-01-31T12:00:00Z"));
}

#[test]
fn a_byte_order_mark_is_ignored() {
    let bare = r#"{"eventId":"e1","eventType":"t","data":{"a":1}}"#;
    let marked = format!("\u{feff}{bare}");
    assert_eq!(only(auto(&marked)), only(auto(bare)));
    assert_eq!(only(auto(&sns(&marked))), only(auto(&sns(bare))));
    let data = |body: &str| only(run(raw(RawField::Constant("t".into()), None, None), &message(body, &[]))).data;
    assert_eq!(data("\u{feff}{\"a\":1}"), data("{\"a\":1}"));
}

#[test]
fn extensions_that_mean_something_here_refuse_nothing() {
    let with = |rest: &str| format!(r#"{{"specversion":"1.0","type":"t","source":"s","id":"i"{rest}}}"#);
    let event = only(auto(&with(
        r#","correlationid":12345,"dataversion":"2024-05-06","hop":7,"reactorhops":"many","traceparent":true"#,
    )));
    assert_eq!((event.correlation_id.as_str(), event.version, event.hop), ("12345", 1, 0));
    let event = only(auto(&with(r#","eventversion":"x","dataversion":"3","correlationid":[1],"partitionkey":{}"#)));
    assert_eq!((event.correlation_id.as_str(), event.version, event.partition_key), ("i", 3, None));
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-type", "t"),
        ("ce-source", "s"),
        ("ce-id", "i"),
        ("ce-hop", "7"),
        ("ce-reactorhops", "x"),
        ("ce-dataversion", "2024-05-06"),
    ];
    let event = only(run(Format::Auto, &message("{}", &attributes)));
    assert_eq!((event.version, event.hop), (1, 0));
}

const CLOUD_EVENT: &str = r#"{"specversion":"1.0","type":"com.example.someevent","source":"/mycontext","id":"C1","time":"2018-04-05T17:31:00Z",
    "subject":"s","partitionkey":"p","correlationid":"c","dataversion":"3.2","datacontenttype":"application/vnd.x+json","data":{"a":1}}"#;

#[test]
fn cloudevents_structured() {
    let event = only(auto(CLOUD_EVENT));
    assert_eq!((event.id.as_str(), event.event_type.as_str()), ("C1", "com.example.someevent"));
    assert_eq!((event.source.as_str(), event.version), ("/mycontext", 3));
    assert_eq!(event.time.map(|time| time.as_second()), Some(1_522_949_460));
    assert_eq!((event.partition_key.as_deref(), event.correlation_id.as_str()), (Some("p"), "c"));
    assert_eq!((event.content_type.as_str(), data(&event)), ("application/vnd.x+json", r#"{"a":1}"#));
}

#[test]
fn cloudevents_data_has_three_forms() {
    let with = |rest: &str| format!(r#"{{"specversion":"1.0","type":"t","source":"s","id":"i"{rest}}}"#);
    for (rest, content_type, expected) in [
        ("", "application/json", "null"),
        (r#","data":"x""#, "application/json", r#""x""#),
        (r#","datacontenttype":"text/plain","data":"a\nb""#, "text/plain", "a\nb"),
        (r#","datacontenttype":"text/plain","data":{"a":1}"#, "text/plain", r#"{"a":1}"#),
        (r#","datacontenttype":"text/plain""#, "text/plain", ""),
        (r#","datacontenttype":"application/xml","data_base64":"PGEvPg==""#, "application/xml", "<a/>"),
        (r#","data_base64":"WzFd""#, "application/json", "[1]"),
    ] {
        let event = only(auto(&with(rest)));
        assert_eq!((event.content_type.as_str(), data(&event)), (content_type, expected), "{rest}");
    }
    assert_eq!(reason(auto(&with(r#","data_base64":"Wzpd""#))), Reason::InvalidJson);
    assert_eq!(reason(auto(r#"{"specversion":"0.3","type":"t","source":"s","id":"i"}"#)), Reason::BadField);
    assert_eq!(reason(auto(r#"{"specversion":"1.0","type":"t","id":"i"}"#)), Reason::MissingField);
}

#[test]
fn cloudevents_batch_is_several_events() {
    let events = auto(&format!("[{CLOUD_EVENT}, {}]", CLOUD_EVENT.replace("C1", "C2"))).expect("batch");
    assert_eq!(events.iter().map(|e| e.event.id.as_str()).collect::<Vec<_>>(), ["C1", "C2"]);
    assert_ne!(events[0].identity, events[1].identity);
    assert_eq!(reason(run(Format::CloudEvents, &message("[]", &[]))), Reason::Empty);
    let error = run(Format::CloudEvents, &message(&format!("[{CLOUD_EVENT},{{\"id\":1}}]"), &[])).expect_err("bad");
    assert!(error.detail.contains("element 1"), "{error}");
}

#[test]
fn cloudevents_binary_in_attributes_of_every_prefix() {
    for prefix in ["ce-", "ce_", "CE-", "cloudEvents:", "cloudEvents_"] {
        let names =
            ["specversion", "id", "type", "source", "time", "dataversion", "subject"].map(|n| format!("{prefix}{n}"));
        let values = ["1.0", "B1", "t.x", "/s", "2018-04-05T17:31:00Z", "2", "sub"];
        let mut attributes: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values).collect();
        let event = only(run(Format::Auto, &message(r#" {"eventId":"inner","eventType":"x"} "#, &attributes)));
        assert_eq!((event.id.as_str(), event.event_type.as_str(), event.version), ("B1", "t.x", 2), "{prefix}");
        assert_eq!((event.source.as_str(), event.subject.as_deref()), ("/s", Some("sub")));
        assert_eq!(data(&event), r#"{"eventId":"inner","eventType":"x"}"#);
        attributes.push(("Content-Type", "text/xml"));
        let event = only(run(Format::CloudEvents, &message("<a/>", &attributes)));
        assert_eq!((event.content_type.as_str(), data(&event)), ("text/xml", "<a/>"));
    }
    let bare = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-type", "t")];
    let error = run(Format::Auto, &message("{}", &bare)).expect_err("no source");
    assert!(error.reason == Reason::MissingField && error.detail.contains("`ce-source`"), "{error}");
}

fn sns(text: &str) -> String {
    let json = serde_json::to_string(text).expect("string");
    format!(
        r#"{{"Type":"Notification","MessageId":"m-1","TopicArn":"arn:aws:sns:eu-1:1:t","Subject":"S","Message":{json},
        "Timestamp":"2026-01-02T03:04:05.678Z","SignatureVersion":"1","Signature":"x",
        "MessageAttributes":{{"color":{{"Type":"String","Value":"red"}}}}}}"#
    )
}

#[test]
fn sns_wrapper_is_removed() {
    for format in [Format::Auto, Format::Sns] {
        let native = r#"{"eventId":"e1","eventType":"order.placed","data":{"q":"\"\\"}}"#;
        let event = only(run(format.clone(), &message(&sns(native), &[])));
        assert_eq!((event.id.as_str(), data(&event)), ("e1", r#"{"q":"\"\\"}"#));
        assert_eq!(only(run(format, &message(native, &[]))).id, "e1", "raw delivery");
    }
    assert_eq!(only(auto(&sns(CLOUD_EVENT))).id, "C1");
}

#[test]
fn sns_notification_without_envelope() {
    for (text, expected) in [
        ("Hello from SNS!", r#""Hello from SNS!""#),
        ("", r#""""#),
        ("42", r#""42""#),
        ("{oops", r#""{oops""#),
        (r#" {"eventType":"Bounce"} "#, r#"{"eventType":"Bounce"}"#),
        ("[1,2]", "[1,2]"),
    ] {
        let event = only(auto(&sns(text)));
        assert_eq!((event.id.as_str(), event.event_type.as_str()), ("m-1", "aws.sns.notification"), "{text}");
        assert_eq!((event.source.as_str(), event.subject.as_deref()), ("arn:aws:sns:eu-1:1:t", Some("S")));
        assert_eq!(data(&event), expected);
    }
    let twice = only(auto(&sns(&sns("x"))));
    assert_eq!(twice.event_type, "aws.sns.notification");
    assert_eq!(data(&twice), sns("x"), "a wrapper inside a wrapper stays closed");
    for broken in [
        r#"{"eventId":"e","eventType":"t","title":"cut \ud83d"}"#,
        r#"{"eventId":"e","eventType":"t","dat"#,
        r#" { "eventId":"e","n":1e400}"#,
        r#"[{"specversion":"1.0","#,
        "{",
    ] {
        let error = auto(&sns(broken)).expect_err(broken);
        assert!(error.reason == Reason::InvalidJson && error.detail.contains("`Message`"), "{broken}: {error}");
    }
    assert_eq!(reason(auto(&sns(r#"{"a":1,"a":2}"#))), Reason::DuplicateKey);
    assert_eq!(reason(auto(&sns(&"[".repeat(100_000)))), Reason::TooDeep);
}

#[test]
fn sns_carries_attributes_and_talks_about_subscriptions() {
    let attributes =
        ["specversion", "id", "type", "source"].map(|name| format!(r#""ce-{name}":{{"Type":"String","Value":"1.0"}}"#));
    let wrapper = sns("<a/>").replace(r#""color":{"Type":"String","Value":"red"}"#, &attributes.join(","));
    let event = only(auto(&wrapper));
    assert_eq!((event.event_type.as_str(), data(&event)), ("1.0", "<a/>"));
    let confirm = sns("You have chosen to subscribe").replace("\"Notification\"", "\"SubscriptionConfirmation\"");
    let event = only(auto(&confirm));
    assert_eq!(event.event_type, "aws.sns.SubscriptionConfirmation");
    assert_eq!(data(&event), confirm);
}

#[test]
fn eventbridge_detail_is_the_data() {
    let body = r#"{"version":"0","id":"8952","detail-type":"ECS Task State Change","source":"aws.ecs","account":"1",
        "time":"2016-12-06T16:41:06Z","region":"us-east-1","resources":["arn:x","arn:y"],"detail":{"status":"ACTIVE"}}"#;
    let event = only(auto(body));
    assert_eq!((event.id.as_str(), event.event_type.as_str()), ("8952", "ECS Task State Change"));
    assert_eq!((event.source.as_str(), event.subject.as_deref()), ("aws.ecs", Some("arn:x")));
    assert_eq!((event.version, data(&event)), (1, r#"{"status":"ACTIVE"}"#));
    for field in ["\"id\"", "\"source\"", "\"detail-type\"", "\"detail\""] {
        let result = run(Format::EventBridge, &message(&body.replace(field, "\"other\""), &[]));
        assert_eq!(reason(result), Reason::MissingField, "{field}");
    }
}

fn s3_record(key: &str, sequencer: &str) -> String {
    format!(
        r#"{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-1","eventTime":"2026-01-02T03:04:05.678Z",
        "eventName":"ObjectCreated:Put","responseElements":{{"x-amz-request-id":"R"}},
        "s3":{{"bucket":{{"name":"b","arn":"arn:aws:s3:::b"}},"object":{{"key":"{key}","size":1,"sequencer":"{sequencer}"}}}}}}"#
    )
}

#[test]
fn s3_records_are_events_with_stable_ids() {
    let body = format!(r#"{{"Records":[{},{}]}}"#, s3_record("a%20b", "01"), s3_record("c", "02"));
    let events = auto(&body).expect("s3");
    assert_eq!(events.len(), 2);
    let first = &events[0].event;
    assert_eq!((first.event_type.as_str(), first.version), ("aws.s3.ObjectCreated:Put", 2));
    assert_eq!((first.source.as_str(), first.subject.as_deref()), ("arn:aws:s3:::b", Some("a b")));
    assert_eq!(data(first), s3_record("a%20b", "01"));
    assert_ne!(events[0].identity, events[1].identity);
    assert_eq!(auto(&body).expect("again"), events);
    let moved = format!(r#"{{"Records":[{}]}}"#, s3_record("c", "02"));
    assert_eq!(auto(&moved).expect("alone")[0].identity, events[1].identity, "its place does not count");
    let later = format!(r#"{{"Records":[{}]}}"#, s3_record("c", "03"));
    assert_ne!(auto(&later).expect("later")[0].identity, events[1].identity);
}

#[test]
fn s3_odd_notifications() {
    let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2014-10-13T15:57:02.089Z","Bucket":"b","RequestId":"5582815E1AEA5ADF","HostId":"8c"}"#;
    let event = only(auto(test));
    assert_eq!((event.event_type.as_str(), event.id.as_str()), ("aws.s3.TestEvent", "5582815E1AEA5ADF"));
    assert_eq!(data(&event), test);
    assert_eq!(reason(run(Format::S3, &message(r#"{"Records":[]}"#, &[]))), Reason::Empty);
    assert_eq!(reason(run(Format::S3, &message(r#"{"Records":[7]}"#, &[]))), Reason::BadField);
    let body = format!(
        r#"{{"Records":[{},{}]}}"#,
        s3_record("a", "01"),
        s3_record("b", "02").replace("\"bucket\"", "\"pail\"")
    );
    let error = auto(&body).expect_err("second is bad");
    assert!(error.reason == Reason::MissingField && error.detail.contains("/Records/1"), "{error}");
}

/// What is good of a message, by ids and parts, and what is said of the rest.
fn split(format: Format, body: &str) -> (Vec<(u32, String)>, String) {
    let contents = decode(&message(body, &[]), &Settings::new(&channel(format))).expect("something is good");
    let good = contents.events.into_iter().map(|decoded| (decoded.part, decoded.event.id)).collect();
    (good, contents.broken.map(|error| format!("{}: {error}", error.reason.code())).unwrap_or_default())
}

#[test]
fn a_bad_element_takes_no_good_one_with_it() {
    let bad = s3_record("b", "02").replace("\"object\"", "\"thing\"");
    let body = format!(r#"{{"Records":[{bad},{},7,{}]}}"#, s3_record("a", "01"), s3_record("c", "03"));
    for format in [Format::Auto, Format::S3] {
        let (good, broken) = split(format, &body);
        assert_eq!(good.iter().map(|(part, _)| *part).collect::<Vec<_>>(), [1, 3]);
        assert!(broken.starts_with("missing-field: /Records/0: ") && broken.contains("; /Records/2: "), "{broken}");
    }
    let (good, broken) = split(Format::CloudEvents, &format!(r#"[{CLOUD_EVENT},{{"id":"x"}},null]"#));
    assert_eq!(good, [(0, "C1".to_owned())]);
    assert!(broken.contains("element 1 of the batch") && broken.contains("element 2 of the batch"), "{broken}");
    let native = |id| format!(r#"{{"eventId":"{id}","eventType":"t"}}"#);
    let (good, broken) = split(Format::Auto, &format!(r#"[{},{{"a":1}},{},{CLOUD_EVENT}]"#, native("a"), native("b")));
    assert_eq!(good.iter().map(|(part, id)| (*part, id.as_str())).collect::<Vec<_>>(), [(0, "a"), (2, "b"), (3, "C1")]);
    assert!(broken.starts_with("unknown-envelope: element 1 of the array"), "{broken}");
    let many = format!("[{},{}]", native("a"), vec!["1"; 1_000].join(","));
    let (_, broken) = split(Format::Auto, &many);
    assert!(broken.ends_with("and 996 more") && broken.len() < 500, "{broken}");
}

fn raw(event_type: RawField, id: Option<RawField>, source: Option<RawField>) -> Format {
    Format::Raw(Box::new(RawFormat { id, source, ..RawFormat::of(event_type) }))
}

#[test]
fn raw_takes_type_id_and_source_from_where_it_is_told() {
    let format = raw(
        RawField::Pointer(pointer("/meta/kind")),
        Some(RawField::Pointer(pointer("/no"))),
        Some(RawField::Attribute("from".into())),
    );
    let with = |body: &str, attributes: &[(&str, &str)]| run(format.clone(), &message(body, attributes));
    let event = only(with("\n{\"meta\":{\"kind\":\"k.x\"},\"no\":12}\n", &[("from", "web")]));
    assert_eq!((event.event_type.as_str(), event.id.as_str(), event.source.as_str()), ("k.x", "12", "web"));
    assert_eq!(data(&event), r#"{"meta":{"kind":"k.x"},"no":12}"#);
    assert_eq!(reason(with(r#"{"meta":{"kind":"k"},"no":1}"#, &[])), Reason::MissingField);
    assert_eq!(reason(with(r#"{"meta":{"kind":"k"}}"#, &[("from", "web")])), Reason::MissingField);
    assert_eq!(reason(with(r#"{"meta":{"kind":[]},"no":1}"#, &[("from", "web")])), Reason::BadField);
    assert_eq!(reason(with("plain", &[("from", "web")])), Reason::InvalidJson);
}

#[test]
fn raw_bodies_may_be_anything() {
    let format = || raw(RawField::Constant("t".into()), None, None);
    let typed = |body: &'static [u8], declared: &str| {
        let mut message = Message::from_body(body);
        if !declared.is_empty() {
            message.attributes.push(("contentType", declared).into());
        }
        run(format(), &message)
    };
    for (body, declared, content_type) in [
        (&b"{\"a\":1}"[..], "", "application/json"),
        (b"hello", "", "text/plain; charset=utf-8"),
        (b"{oops", "", "text/plain; charset=utf-8"),
        (b"\xff\x00", "", "application/octet-stream"),
        (b"a,b", "text/csv", "text/csv"),
        (b" a \r\n", "", "text/plain; charset=utf-8"),
        (b"\x01\x02\x03 \n", "", "text/plain; charset=utf-8"),
        (b"\xff \n", "", "application/octet-stream"),
    ] {
        let event = only(typed(body, declared));
        assert_eq!((event.content_type.as_str(), &event.data[..]), (content_type, body));
    }
    assert_eq!(reason(typed(b"{oops", "application/json")), Reason::InvalidJson);
    assert_eq!(reason(typed(b"{\"a\":1,\"a\":1}", "")), Reason::DuplicateKey);
    assert_eq!(reason(typed(b"", "")), Reason::Empty);
}

#[test]
fn known_shapes_that_are_no_events_are_told_by_name() {
    let records = |source: &str| format!(r#"{{"Records":[{{{source},"body":"x"}}]}}"#);
    for (body, words) in [
        (records(r#""eventSource":"aws:sqs""#), "`/Records/0/body`"),
        (records(r#""EventSource":"aws:sns""#), "`/Records/0/Sns/Message`"),
        (records(r#""eventSource":"aws:kinesis""#), "Lambda"),
        (records(r#""eventSource":"aws:dynamodb""#), "\"/eventName\""),
        (r#"["com.example.Pointer",{"s3BucketName":"b","s3Key":"k"}]"#.to_owned(), "extended client"),
    ] {
        for format in [Format::Auto, Format::Native, Format::CloudEvents, Format::EventBridge, Format::S3] {
            let error = run(format.clone(), &message(&body, &[])).expect_err(&body);
            assert!(matches!(error.reason, Reason::UnknownEnvelope | Reason::MissingField | Reason::BadField));
            // A batch of CloudEvents is an array, too, and tells of its elements.
            let told = error.detail.contains(words) || format == Format::CloudEvents && body.starts_with('[');
            assert!(told, "{format:?} {body}: {error}");
        }
    }
    let error = run(Format::Native, &message("[1]", &[])).expect_err("an array");
    assert!(error.detail.contains("an array") && error.detail.contains("one event per line"), "{error}");
    let other = auto(&records(r#""eventSource":"aws:other""#)).expect_err("no event");
    assert!(!other.detail.contains("Lambda"), "{other}");
    let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = run(Format::Auto, &Message::from_body(utf16)).expect_err("no UTF-8");
    assert!(error.reason == Reason::NotUtf8 && error.detail.contains("UTF-16"), "{error}");
}

#[test]
fn unknown_envelopes_are_told_what_was_looked_for() {
    for (body, word) in [
        (r#"{"foo":1,"bar":2}"#, "`foo`, `bar`"),
        (r#"{"eventType":"t"}"#, "no `eventId`"),
        (r#"{"eventId":"t"}"#, "no `eventType`"),
        ("[]", "it is an array"),
        (r#"[{"a":1},2]"#, "one event per line"),
        ("{}", "it is an object without members"),
        ("7", "it is a number"),
    ] {
        let error = auto(body).expect_err(body);
        assert_eq!(error.reason, Reason::UnknownEnvelope);
        assert!(error.detail.contains(word) && error.detail.contains("\"raw\""), "{error}");
    }
}
