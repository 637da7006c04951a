//! Decoding, seen from outside: messages in, events or errors out.

mod carried;
mod formats;
mod hostile;
mod identity;
mod roundtrip;
mod samples;

use std::time::Duration;

use reactor_config::model::{ChannelConfig, Format, RawField, RawFormat, Unrouted};
use reactor_core::event::{Event, Message};
use reactor_core::subscription::Pointer;

use super::{Contents, DecodeError, Decoded, Reason, Settings, decode};

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

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).expect("pointer")
}

fn all_formats() -> Vec<Format> {
    let raw = |event_type| Format::Raw(Box::new(RawFormat::of(event_type)));
    vec![
        Format::Auto,
        Format::Native,
        Format::CloudEvents,
        Format::Sns,
        Format::EventBridge,
        Format::S3,
        raw(RawField::Constant("t".into())),
        raw(RawField::Pointer(pointer("/type"))),
    ]
}

fn message(body: &str, attributes: &[(&str, &str)]) -> Message {
    let attributes = attributes.iter().map(|pair| (*pair).into()).collect();
    Message { attributes, ..Message::from_body(body.to_owned()) }
}

fn run(format: Format, message: &Message) -> Result<Vec<Decoded>, DecodeError> {
    decode(message, &Settings::new(&channel(format))).and_then(Contents::whole)
}

fn auto(body: &str) -> Result<Vec<Decoded>, DecodeError> {
    run(Format::Auto, &message(body, &[]))
}

fn only(result: Result<Vec<Decoded>, DecodeError>) -> Event {
    let mut decoded = result.expect("decodes");
    assert_eq!(decoded.len(), 1);
    decoded.remove(0).event
}

fn data(event: &Event) -> &str {
    std::str::from_utf8(&event.data).expect("utf-8")
}

fn reason(result: Result<Vec<Decoded>, DecodeError>) -> Reason {
    result.expect_err("refused").reason
}
