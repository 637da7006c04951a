//! Format `s3`: each entry of `Records` is an event, and so is the test message that S3 sends once.

use reactor_core::event::Identity;
use reactor_core::json::{Object, elements};

use super::draft::Draft;
use super::error::{DecodeError, Reason};
use super::input::Input;
use super::{Drafts, fields, one};

const ENVELOPE: &str = "S3";

/// What S3 sends when notifications are switched on.
const TEST: &str = "s3:TestEvent";

/// Whether an object is a notification: one of its records is S3's, or it is the test message.
pub(super) fn is(object: &Object<'_>) -> bool {
    let records = object.text("Records").map(elements).unwrap_or_default();
    let is_record = |text: &&str| Object::read(text).is_some_and(|record| record.has("s3") && record.has("eventName"));
    is_test(object) || records.iter().any(is_record)
}

fn is_test(object: &Object<'_>) -> bool {
    object.string("Event").is_some_and(|event| event == TEST)
}

pub(super) fn decode(input: &Input<'_>, object: &Object<'_>) -> Drafts {
    if is_test(object) {
        return one(test_message(input, object));
    }
    let records = elements(object.text("Records").ok_or_else(|| DecodeError::missing(ENVELOPE, "Records"))?);
    if records.is_empty() {
        return Err(DecodeError::new(Reason::Empty, "`Records` of the S3 notification has no entries"));
    }
    let read =
        |(index, text): (usize, &&str)| record(input, text).map_err(|error| error.at(format_args!("/Records/{index}")));
    Ok(records.iter().enumerate().map(read).collect())
}

fn record(input: &Input<'_>, text: &str) -> Result<Draft, DecodeError> {
    let Some(record) = Object::read(text) else {
        return Err(DecodeError::new(Reason::BadField, "the record is not an object"));
    };
    let name = fields::required(&record, ENVELOPE, "eventName")?;
    let s3 = record.object("s3").ok_or_else(|| DecodeError::missing(ENVELOPE, "s3"))?;
    let bucket = s3.object("bucket").ok_or_else(|| DecodeError::missing(ENVELOPE, "s3/bucket"))?;
    let object = s3.object("object").ok_or_else(|| DecodeError::missing(ENVELOPE, "s3/object"))?;
    let bucket_name = fields::required(&bucket, ENVELOPE, "name")?;
    let key = fields::required(&object, ENVELOPE, "key")?;
    let request = record.object("responseElements").and_then(|response| response.string("x-amz-request-id"));
    let id = Identity::of(&[
        bucket_name.as_bytes(),
        key.as_bytes(),
        object.string("versionId").unwrap_or_default().as_bytes(),
        name.as_bytes(),
        object.string("sequencer").unwrap_or_default().as_bytes(),
        request.unwrap_or_default().as_bytes(),
        record.string("eventTime").unwrap_or_default().as_bytes(),
    ]);
    // Early notifications wrote `s3:ObjectCreated:Put`.
    let short = name.strip_prefix("s3:").unwrap_or(&name);
    let mut draft = Draft::new(input, id.to_string(), format!("aws.s3.{short}"));
    let event = &mut draft.event;
    event.version = fields::version(&record, "eventVersion")?;
    event.source = fields::text(&bucket, "arn")?.unwrap_or_else(|| format!("arn:aws:s3:::{bucket_name}"));
    event.time = fields::time(&record, "eventTime")?;
    event.subject = Some(decoded(&key).unwrap_or(key));
    event.data = input.slice(text);
    Ok(draft)
}

/// A key as it is in the bucket: S3 form-encodes it in notifications. One that is then not text, or contains a line
/// end, stays as written.
fn decoded(key: &str) -> Option<String> {
    let hex = |digit: Option<&u8>| digit.and_then(|digit| char::from(*digit).to_digit(16));
    let (bytes, mut plain) = (key.as_bytes(), Vec::with_capacity(key.len()));
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'+', ..) => plain.push(b' '),
            (b'%', Some(high), Some(low)) => {
                plain.push(u8::try_from(high * 16 + low).ok()?);
                at += 2;
            }
            _ => plain.push(*byte),
        }
        at += 1;
    }
    fields::check_text("key", String::from_utf8(plain).ok()?.into()).ok()
}

fn test_message(input: &Input<'_>, object: &Object<'_>) -> Result<Draft, DecodeError> {
    let id = fields::required(object, ENVELOPE, "RequestId")?;
    let mut draft = Draft::new(input, id, "aws.s3.TestEvent".to_owned());
    let event = &mut draft.event;
    if let Some(bucket) = fields::text(object, "Bucket")? {
        event.source = format!("arn:aws:s3:::{bucket}");
    }
    event.time = fields::time(object, "Time")?;
    event.data = input.slice(input.json()?);
    Ok(draft)
}
