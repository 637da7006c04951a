//! Batch calls of SQS and SNS: they take many messages and answer for each under its number.

use aws_sdk_sqs::primitives::Blob;
use futures_util::future::BoxFuture;

use reactor_core::attribute::{Attribute, AttributeValue, TEXT};
use reactor_core::channel::Result;
use reactor_core::event::Message;

use super::message::{batches, check, is_refused};
use super::{Tried, silence};

/// An attribute as it is sent.
pub(crate) struct Outgoing<'a> {
    /// The type that it was received with.
    pub(crate) kind: &'a str,
    /// Either this or `bytes` is set.
    pub(crate) text: Option<String>,
    pub(crate) bytes: Option<Blob>,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn of(attribute: &'a Attribute) -> Self {
        let text = |kind, text| Self { kind, text: Some(text), bytes: None };
        match &attribute.value {
            AttributeValue::Text(value) | AttributeValue::Number(value) => text(&*attribute.kind, value.clone()),
            AttributeValue::Boolean(truth) => text(TEXT, truth.to_string()),
            AttributeValue::Binary(bytes) => {
                Self { kind: &attribute.kind, text: None, bytes: Some(Blob::new(&bytes[..])) }
            }
        }
    }
}

/// Sends messages in calls that are small enough; `call` gets the numbers of its messages. Returns a result for each
/// message.
pub(crate) async fn send_all<'m>(
    messages: &'m [Message],
    most_bytes: usize,
    call: impl Fn(Vec<usize>) -> BoxFuture<'m, Result<Vec<Result<()>>>>,
) -> Vec<Result<()>> {
    let mut answers: Vec<Result<()>> = messages.iter().map(|message| check(message, most_bytes)).collect();
    let sendable: Vec<usize> = (0..messages.len()).filter(|index| answers[*index].is_ok()).collect();
    for batch in batches(messages, &sendable, most_bytes) {
        let mut sent = each(batch.len(), call(batch.clone()).await);
        if batch.len() > 1 && sent.iter().all(is_refused) {
            // One message, or the batch as a whole, was too large: send each alone.
            for (index, answer) in batch.iter().zip(&mut sent) {
                *answer = each(1, call(vec![*index]).await).remove(0);
            }
        }
        batch.into_iter().zip(sent).for_each(|(index, answer)| answers[index] = answer);
    }
    answers
}

/// The individual results, or the same error for each.
pub(crate) fn each(count: usize, answer: Result<Vec<Result<()>>>) -> Vec<Result<()>> {
    answer.unwrap_or_else(|error| vec![Err(error); count])
}

/// The results of a call in the order of its entries, whose ids are their numbers.
pub(crate) fn in_order(
    what: &Tried<'_>,
    count: usize,
    found: impl Iterator<Item = (String, Result<()>)>,
) -> Vec<Result<()>> {
    let mut answers = vec![Err(silence(what)); count];
    for (id, answer) in found {
        if let Some(slot) = id.parse().ok().and_then(|index: usize| answers.get_mut(index)) {
            *slot = answer;
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_sent_with_the_types_that_they_were_received_with() {
        let sent = |attribute: &Attribute| {
            let Outgoing { kind, text, bytes } = Outgoing::of(attribute);
            (kind.to_owned(), text, bytes.map(Blob::into_inner))
        };
        let (text, bytes) = (|kind: &str, text: &str| (kind.into(), Some(text.into()), None), vec![0, 1, 255]);
        assert_eq!(sent(&("tenant", "acme").into()), text("String", "acme"));
        assert_eq!(sent(&Attribute::typed("w", "Number.float", "1.50")), text("Number.float", "1.50"));
        assert_eq!(sent(&Attribute::typed("n", "Number", "+1")), text("Number", "+1"));
        assert_eq!(sent(&Attribute::typed("l", "String.Array", "[1]")), text("String.Array", "[1]"));
        let binary = Attribute::binary("k", "Binary.key", bytes.clone());
        assert_eq!(sent(&binary), ("Binary.key".into(), None, Some(bytes)));
    }
}
