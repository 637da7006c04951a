//! Known shapes that are not events: what an undecodable body probably is, and what to do with it.

use reactor_core::json::{Object, Value, elements};

use super::text::without_mark;

/// The first element of the message with which the extended client libraries of SQS and SNS replace a large one.
const POINTERS: [&str; 2] =
    ["software.amazon.payloadoffloading.PayloadS3Pointer", "com.amazon.sqs.javamessaging.MessageS3Pointer"];

/// What a body is, in words, if it is one of these shapes.
pub(super) fn describe(body: &[u8]) -> Option<String> {
    let text = without_mark(std::str::from_utf8(body).ok()?).trim_ascii();
    // Only JSON has a shape, and a body may be anything here.
    reactor_core::json::check(text).ok()?;
    match Object::read(text) {
        Some(object) => records_of_lambda(&object),
        None => pointer(&elements(text)),
    }
}

/// `["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": ..., "s3Key": ...}]`
fn pointer(elements: &[&str]) -> Option<String> {
    let [class, place] = elements else { return None };
    let Value::String(class) = Value::of(class) else { return None };
    let place = Object::read(place)?;
    (POINTERS.contains(&&*class) || place.has("s3BucketName") && place.has("s3Key")).then(|| {
        "this is what the extended client library of SQS sends in place of a large message: a pointer to an object in S3, \
         which is not fetched here; send smaller messages, or take the pointer as the data, with \
         `format = { raw = { type = { pointer = \"/0\" } } }`"
            .to_owned()
    })
}

/// `{"Records": [{"eventSource": "aws:sqs", "body": ...}]}`: the wrapper in which AWS passes messages to a function.
fn records_of_lambda(object: &Object<'_>) -> Option<String> {
    let record = object.text("Records").map(elements).and_then(|records| Object::read(records.first()?))?;
    let source = record.string("eventSource").or_else(|| record.string("EventSource"))?;
    let inside = match &*source {
        "aws:sqs" => "the event is in `/Records/0/body`, as text: publish that",
        "aws:sns" => "the event is in `/Records/0/Sns/Message`, as text: publish that",
        "aws:kinesis" => "the event is in `/Records/0/kinesis/data`, in base64: publish what that stands for",
        "aws:dynamodb" => {
            "publish each record by itself, to a channel with `format = { raw = { type = { pointer = \"/eventName\" } } }`"
        }
        _ => return None,
    };
    Some(format!(
        "this is what AWS passes to a Lambda function (`Records` of `{}`), wrapped around what was sent; {inside}",
        super::fields::shown(&source)
    ))
}
