//! Messages as SQS and SNS accept them: which, in what batches, and with what ids.

use std::borrow::Cow;

use reactor_core::attribute::Attribute;
use reactor_core::channel::{ChannelError, Trouble};
use reactor_core::event::{Identity, Message};

/// Most attributes of a message.
const MAX_ATTRIBUTES: usize = 10;
/// Longest group or deduplication id.
const MAX_ID: usize = 128;

/// The size that AWS counts, which includes the types of attributes.
fn size(message: &Message) -> usize {
    message.size() + message.attributes.iter().map(|attribute| attribute.kind.len()).sum::<usize>()
}

/// Whether a message was rejected, perhaps because of others in the same call.
pub(super) fn is_refused(answer: &Result<(), ChannelError>) -> bool {
    answer.as_ref().is_err_and(|error| error.trouble == Trouble::Refused)
}

/// Whether a message can be sent at all; one that cannot must not fail the rest of its batch.
pub(super) fn check(message: &Message, most_bytes: usize) -> Result<(), ChannelError> {
    let refuse = |why: String| Err(ChannelError { trouble: Trouble::Refused, detail: why });
    let size = size(message);
    if size > most_bytes {
        return refuse(format!(
            "the message has {size} bytes with its attributes, and the channel accepts at most {most_bytes}"
        ));
    }
    let Ok(body) = std::str::from_utf8(&message.body) else {
        return refuse("the body is not text, and the channel only accepts text".into());
    };
    if body.is_empty() {
        return refuse("the body is empty, which the channel does not accept".into());
    }
    if let Some(c) = body
        .chars()
        .chain(message.attributes.iter().filter_map(Attribute::as_text).flat_map(str::chars))
        .find(|c| !allowed(*c))
    {
        return refuse(format!(
            "the message contains the character U+{:04X}, which the channel does not accept",
            u32::from(c)
        ));
    }
    let count = message.attributes.len();
    if count > MAX_ATTRIBUTES {
        return refuse(format!("the message has {count} attributes, and the channel accepts at most {MAX_ATTRIBUTES}"));
    }
    match message.attributes.iter().find(|one| one.name.is_empty() || one.size() == one.name.len()) {
        Some(one) => refuse(format!("the attribute `{}` is empty, which the channel does not accept", one.name)),
        None => Ok(()),
    }
}

/// The characters that XML 1.0, and therefore SQS, can carry.
fn allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// A valid group or deduplication id: the id itself or its hash.
fn id(wanted: &str) -> Cow<'_, str> {
    if !wanted.is_empty() && wanted.len() <= MAX_ID && wanted.bytes().all(|byte| byte.is_ascii_graphic()) {
        Cow::Borrowed(wanted)
    } else {
        Cow::Owned(Identity::of(&[wanted.as_bytes()]).to_string())
    }
}

/// Group and deduplication id of a message to a FIFO queue or topic. A message without a key forms its own group.
pub(crate) fn fifo(message: &Message) -> (String, String) {
    let dedup = message
        .system
        .dedup_id
        .as_deref()
        .map(id)
        .unwrap_or_else(|| Cow::Owned(Identity::of(&[&message.body]).to_string()));
    let group = message.system.group_id.as_deref().map_or_else(|| dedup.clone(), id);
    (group.into_owned(), dedup.into_owned())
}

/// Divides the sendable messages into batches that are small enough, by number.
pub(super) fn batches(messages: &[Message], sendable: &[usize], most_bytes: usize) -> Vec<Vec<usize>> {
    let (mut batches, mut bytes): (Vec<Vec<usize>>, _) = (Vec::new(), 0);
    for index in sendable {
        let size = size(&messages[*index]);
        match batches.last_mut().filter(|_| bytes + size <= most_bytes) {
            Some(batch) => batch.push(*index),
            None => {
                bytes = 0;
                batches.push(vec![*index]);
            }
        }
        bytes += size;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_channel_would_not_take_is_refused_before() {
        let message = |body: &str, attributes: &[(&str, &str)]| {
            let attributes = attributes.iter().map(|pair| Attribute::from(*pair)).collect();
            Message { attributes, ..Message::from_body(body.to_owned()) }
        };
        let many: Vec<(&str, &str)> = vec![("a", "b"); 11];
        for (bad, why) in [
            (message("", &[]), "empty"),
            (message("a\u{0}", &[]), "U+0000"),
            (message("a\u{fffe}", &[]), "U+FFFE"),
            (message("a", &[("k", "")]), "`k`"),
            (message("a", &[("k", "\u{b}")]), "character"),
            (message("a", &many), "11 attributes"),
            (message(&"a".repeat(101), &[]), "101 bytes"),
            (Message::from_body(vec![255]), "not text"),
        ] {
            let error = check(&bad, 100).expect_err(why);
            assert!(error.trouble == Trouble::Refused && error.detail.contains(why), "{error}");
        }
        assert!(check(&message("{\"ä\":\"\u{1f600}\"}\r\n\t", &many[..10]), 100).is_ok());
    }

    #[test]
    fn ids_are_kept_where_they_can_be() {
        assert_eq!(id("order-7"), "order-7");
        assert_eq!(id("ä b"), id("ä b"));
        for odd in ["", "ä", "a b", &"x".repeat(129)] {
            assert_eq!(id(odd).len(), 32, "{odd}");
        }
        let mut message = Message::from_body("x");
        message.system.dedup_id = Some("e1".into());
        assert_eq!(fifo(&message), ("e1".into(), "e1".into()));
        message.system.group_id = Some("g".into());
        assert_eq!(fifo(&message), ("g".into(), "e1".into()));
    }

    #[test]
    fn batches_are_not_too_large() {
        let messages: Vec<Message> = [4, 4, 3, 9, 1].map(|size| Message::from_body("x".repeat(size))).into();
        assert_eq!(batches(&messages, &[0, 1, 2, 3, 4], 8), [vec![0, 1], vec![2], vec![3], vec![4]]);
        assert_eq!(batches(&messages, &[], 8), Vec::<Vec<usize>>::new());
    }
}
