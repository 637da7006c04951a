//! Prints the cost of decoding: nanoseconds per event, by envelope.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod rounds;

use std::hint::black_box;
use std::time::Duration;

use reactor_config::model::{ChannelConfig, Format, RawField, RawFormat, Unrouted};
use reactor_core::event::Message;
use reactor_core::json;
use reactor_host::decode::{Settings, decode, encode_native};

use self::rounds::nanos_per_call;

fn main() {
    let filler = r#"{"sku":"A-1000-XL","quantity":2,"price":19.99,"tags":["new","sale"]}"#;
    let items = [filler; 4].join(",");
    let data = format!(r#"{{"orderId":"o-1234","currency":"EUR","items":[{items}]}}"#);
    let native = format!(
        r#"{{"eventId":"0f8fad5b-d9cb-469f-a165-70867728950e","eventType":"order.placed","eventVersion":1,"timestamp":"2026-11-23T13:31:03.123Z","source":"shop","correlationId":"c-77","data":{data}}}"#
    );
    let cloud = format!(
        r#"{{"specversion":"1.0","id":"0f8fad5b-d9cb-469f-a165-70867728950e","type":"order.placed","source":"/shop","time":"2026-11-23T13:31:03.123Z","data":{data}}}"#
    );
    let bridge = format!(
        r#"{{"version":"0","id":"0f8fad5b-d9cb-469f-a165-70867728950e","detail-type":"order.placed","source":"shop","account":"1","time":"2026-11-23T13:31:03Z","region":"eu-1","resources":[],"detail":{data}}}"#
    );
    let wrapped = format!(
        r#"{{"Type":"Notification","MessageId":"95df01b4-ee98-5cb9-9903-4c221d41eb5e","TopicArn":"arn:aws:sns:eu-1:1:t","Message":{},"Timestamp":"2026-11-23T13:31:03.123Z","SignatureVersion":"1","Signature":"EXAMPLE"}}"#,
        serde_json::to_string(&native).unwrap()
    );
    let s3 = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-1","eventTime":"2026-11-23T13:31:03.123Z","eventName":"ObjectCreated:Put","responseElements":{"x-amz-request-id":"C3D13FE58DE4C810"},"s3":{"s3SchemaVersion":"1.0","bucket":{"name":"b","arn":"arn:aws:s3:::b"},"object":{"key":"Happy%20Face.jpg","size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e","sequencer":"0A1B2C3D4E5F678901"}}}]}"#;
    let raw = Format::Raw(Box::new(RawFormat::of(RawField::Constant("t".into()))));
    println!("{:<24} {:>7} {:>10}", "decode", "bytes", "ns/event");
    for (name, format, body) in [
        ("native", Format::Native, native.as_str()),
        ("native, auto", Format::Auto, &native),
        ("cloudevents, auto", Format::Auto, &cloud),
        ("eventbridge, auto", Format::Auto, &bridge),
        ("sns around native, auto", Format::Auto, &wrapped),
        ("s3, auto", Format::Auto, s3),
        ("raw", raw, &data),
    ] {
        let settings = Settings::new(&channel(format));
        let message = Message::from_body(body.to_owned());
        let nanos = nanos_per_call(|| decode(black_box(&message), &settings).unwrap());
        println!("{name:<24} {:>7} {nanos:>10.0}", body.len());
    }
    let check = nanos_per_call(|| json::check(black_box(&native)));
    println!("{:<24} {:>7} {check:>10.0}", "of native: the check", native.len());
    let event =
        decode(&Message::from_body(native), &Settings::new(&channel(Format::Native))).unwrap().events.remove(0).event;
    println!(
        "{:<24} {:>7} {:>10.0}",
        "encode native",
        event.data.len(),
        nanos_per_call(|| encode_native(black_box(&event)))
    );
}

fn channel(format: Format) -> ChannelConfig {
    ChannelConfig {
        name: "shop".into(),
        outside: None,
        retention: Duration::from_secs(1),
        format,
        unrouted: Unrouted::Keep,
        max_event: 256 * 1024,
        identity: None,
        dead_letter: None,
    }
}
