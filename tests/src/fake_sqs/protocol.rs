//! The operations: JSON in, JSON out. Checks what SQS checks, because a client whose requests SQS would reject is
//! broken.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::faults::Effects;
use super::queue::{Message, Outgoing, Queue, Receive};
use super::refusal::Refusal;
use super::state::State;

/// Maximum bytes of a message, and of all messages of one call.
const MAX_BYTES: usize = 1 << 20;

type Answer = Result<Value, Refusal>;

/// Carries a call out. `ReceiveMessage` does not wait: the caller does.
pub(super) fn carry_out(state: &mut State, operation: &str, input: &Value, effects: &Effects) -> Answer {
    match operation {
        "CreateQueue" => create(state, input),
        "GetQueueUrl" => {
            let name = required(input, "QueueName")?;
            let queue = state.queues.get(name).ok_or(Refusal::NO_QUEUE)?;
            Ok(json!({ "QueueUrl": state.queue_url(&queue.name) }))
        }
        "DeleteQueue" => {
            let name = queue(state, input)?.name.clone();
            state.queues.remove(&name);
            state.wake();
            Ok(json!({}))
        }
        "PurgeQueue" => {
            queue(state, input)?.live.clear();
            Ok(json!({}))
        }
        "GetQueueAttributes" => attributes(state, input),
        "SetQueueAttributes" => {
            let new = strings(&input["Attributes"]);
            queue(state, input)?.attributes.extend(new);
            state.wake();
            Ok(json!({}))
        }
        "ReceiveMessage" => receive(state, input, effects),
        "SendMessage" => send(state, input, input),
        "SendMessageBatch" => {
            let entries = input["Entries"].as_array().map_or(&[][..], Vec::as_slice);
            if entries.iter().map(size).sum::<usize>() > MAX_BYTES {
                return Err(Refusal::BATCH_TOO_LONG);
            }
            batch(state, input, effects, send)
        }
        "DeleteMessage" if effects.keep => queue(state, input).map(|_| json!({})),
        "DeleteMessage" => delete(state, input, input),
        "DeleteMessageBatch" if effects.keep => batch(state, input, effects, |_, _, _| Ok(json!({}))),
        "DeleteMessageBatch" => batch(state, input, effects, delete),
        "ChangeMessageVisibility" => lease(state, input, input),
        "ChangeMessageVisibilityBatch" => batch(state, input, effects, lease),
        _ => Err(Refusal::UNKNOWN_OPERATION),
    }
}

/// The name of the queue that a call is for.
pub(super) fn queue_name(input: &Value) -> Option<&str> {
    let url = input["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next());
    url.or_else(|| input["QueueName"].as_str())
}

/// How long a call may wait.
pub(super) fn wait(state: &mut State, input: &Value) -> Result<Duration, Refusal> {
    let default = queue(state, input)?.number("ReceiveMessageWaitTimeSeconds", 0);
    Ok(Duration::from_secs(number(input, "WaitTimeSeconds", 0..=20)?.unwrap_or(default)))
}

fn queue<'a>(state: &'a mut State, input: &Value) -> Result<&'a mut Queue, Refusal> {
    required(input, "QueueUrl")?;
    queue_name(input).and_then(|name| state.queues.get_mut(name)).ok_or(Refusal::NO_QUEUE)
}

fn required<'a>(input: &'a Value, name: &str) -> Result<&'a str, Refusal> {
    input[name].as_str().filter(|value| !value.is_empty()).ok_or_else(|| Refusal::missing(name))
}

fn number(input: &Value, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
    let value = &input[name];
    match value.as_u64() {
        None if value.is_null() => Ok(None),
        Some(number) if range.contains(&number) => Ok(Some(number)),
        _ => {
            let (low, high) = (range.start(), range.end());
            let reason = format!("Must be between {low} and {high}, if provided.");
            Err(Refusal::value(format!("Value {value} for parameter {name} is invalid. Reason: {reason}")))
        }
    }
}

fn strings(object: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    object.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn create(state: &mut State, input: &Value) -> Answer {
    let name = required(input, "QueueName")?;
    let attributes = strings(&input["Attributes"]);
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let fifo = attributes.get("FifoQueue").is_some_and(|value| value == "true");
    if name.len() > 80 || !stem.chars().all(good) || fifo != name.ends_with(".fifo") {
        return Err(Refusal::value(
            "The name of a queue has 1 to 80 of A-Z, a-z, 0-9, - and _, and .fifo if it is FIFO",
        ));
    }
    let queue = state.queues.entry(name.to_owned()).or_insert_with(|| Queue::new(name, attributes.clone()));
    if attributes.iter().any(|(name, value)| queue.attributes.get(name) != Some(value)) {
        return Err(Refusal::QUEUE_EXISTS);
    }
    Ok(json!({ "QueueUrl": state.queue_url(name) }))
}

fn attributes(state: &mut State, input: &Value) -> Answer {
    let now = state.now();
    let queue = queue(state, input)?;
    let counts = queue.counts(now);
    let mut all: BTreeMap<String, String> = [
        ("ApproximateNumberOfMessages", counts.visible.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
        ("QueueArn", super::arn(&queue.name)),
        ("VisibilityTimeout", "30".into()),
        ("DelaySeconds", "0".into()),
        ("ReceiveMessageWaitTimeSeconds", "0".into()),
        ("MaximumMessageSize", MAX_BYTES.to_string()),
        ("MessageRetentionPeriod", "345600".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    all.extend(queue.attributes.clone());
    all.retain(|name, _| asks_for(input, "AttributeNames", name));
    Ok(json!({ "Attributes": all }))
}

/// Whether a list of names contains this one, `All`, or a prefix of it that ends in `.*`.
fn asks_for(input: &Value, list: &str, name: &str) -> bool {
    input[list].as_array().into_iter().flatten().filter_map(Value::as_str).any(|pattern| {
        let prefix = pattern.strip_suffix(".*").is_some_and(|start| name.starts_with(start));
        pattern == "All" || pattern == name || prefix
    })
}

fn batch(
    state: &mut State,
    input: &Value,
    effects: &Effects,
    one: impl Fn(&mut State, &Value, &Value) -> Answer,
) -> Answer {
    queue(state, input)?;
    let entries = input["Entries"].as_array().filter(|entries| !entries.is_empty()).ok_or(Refusal::EMPTY_BATCH)?;
    let ids: Vec<_> = entries.iter().map(|entry| entry["Id"].as_str().unwrap_or_default()).collect();
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if entries.len() > 10 {
        return Err(Refusal::TOO_MANY_ENTRIES);
    }
    if ids.iter().any(|id| id.is_empty() || id.len() > 80 || !id.chars().all(good)) {
        return Err(Refusal::ENTRY_ID);
    }
    if ids.iter().collect::<HashSet<_>>().len() < ids.len() {
        return Err(Refusal::ENTRY_IDS);
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (place, (entry, id)) in entries.iter().zip(ids).enumerate() {
        let result = match effects.entries.get(&place) {
            Some(&(code, sender_fault)) => Err((code, sender_fault, "It was to fail.".to_owned())),
            None => one(state, input, entry).map_err(|refusal| (refusal.code, true, refusal.message.into_owned())),
        };
        match result {
            Ok(mut answer) => {
                answer["Id"] = json!(id);
                successful.push(answer);
            }
            Err((code, sender_fault, message)) => {
                failed.push(json!({ "Id": id, "Code": code, "SenderFault": sender_fault, "Message": message }));
            }
        }
    }
    if effects.reverse {
        successful.reverse();
        failed.reverse();
    }
    // Empty lists are omitted, like an empty list of messages.
    let lists = [("Successful", successful), ("Failed", failed)].into_iter().filter(|(_, list)| !list.is_empty());
    Ok(lists.map(|(name, list)| (name.to_owned(), Value::Array(list))).collect::<Map<_, _>>().into())
}

/// The size that counts against the limits: the body, and the names, types and values of attributes.
fn size(entry: &Value) -> usize {
    let length = |value: &Value| value.as_str().map_or(0, str::len);
    let attributes = entry["MessageAttributes"].as_object().into_iter().flatten();
    let attribute = |(name, value): (&String, &Value)| {
        name.len() + length(&value["DataType"]) + length(&value["StringValue"]) + length(&value["BinaryValue"]) * 3 / 4
    };
    length(&entry["MessageBody"]) + attributes.map(attribute).sum::<usize>()
}

fn send(state: &mut State, input: &Value, entry: &Value) -> Answer {
    let now = state.now();
    let queue = queue(state, input)?;
    let new = outgoing(queue, entry)?;
    state.counter += 1;
    let (sequence, id) = (state.counter, format!("{:08x}-0000-4000-8000-{:012x}", state.nonce, state.counter));
    let queue = self::queue(state, input)?;
    let (id, sequence) = queue.send(new, id, sequence, now);
    let mut answer = json!({ "MessageId": id });
    if queue.is_fifo() {
        answer["SequenceNumber"] = json!(format!("{sequence:020}"));
    }
    state.wake();
    Ok(answer)
}

/// Reads and checks a message to be sent.
fn outgoing(queue: &Queue, entry: &Value) -> Result<Outgoing, Refusal> {
    let fifo = queue.is_fifo();
    let body = required(entry, "MessageBody")?;
    // Characters that XML 1.0 cannot carry.
    let bad = |c: char| (c < ' ' && !"\t\n\r".contains(c)) || c == '\u{fffe}' || c == '\u{ffff}';
    if body.contains(bad) {
        return Err(Refusal::CONTENTS);
    }
    let limit = queue.number("MaximumMessageSize", MAX_BYTES as u64);
    if size(entry) as u64 > limit {
        let reason = format!("Message must be shorter than {limit} bytes.");
        return Err(Refusal::value(format!("One or more parameters are invalid. Reason: {reason}")));
    }
    let attributes: BTreeMap<_, _> = entry["MessageAttributes"].as_object().cloned().into_iter().flatten().collect();
    for (name, value) in &attributes {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let kind = value["DataType"].as_str().and_then(|kind| kind.split('.').next()).unwrap_or_default();
        let field = if kind == "Binary" { "BinaryValue" } else { "StringValue" };
        let filled = value[field].as_str().is_some_and(|value| !value.is_empty());
        if !(name.chars().all(good) && name.len() <= 256 && ["String", "Number", "Binary"].contains(&kind) && filled) {
            return Err(Refusal::value(format!("The message attribute '{name}' has a bad name, type or value.")));
        }
    }
    if attributes.len() > 10 {
        return Err(Refusal::value("Number of message attributes exceeds the allowed maximum [10]."));
    }
    let [group, dedup] =
        ["MessageGroupId", "MessageDeduplicationId"].map(|name| entry[name].as_str().map(str::to_owned));
    let delay = number(entry, "DelaySeconds", 0..=900)?;
    let by_content = queue.attributes.get("ContentBasedDeduplication").is_some_and(|value| value == "true");
    for id in [&group, &dedup].into_iter().flatten() {
        if id.is_empty() || id.len() > 128 || !id.chars().all(|c| c.is_ascii_graphic()) {
            return Err(Refusal::value(
                "A group or deduplication id has 1 to 128 letters, digits or punctuation marks.",
            ));
        }
    }
    match (fifo, &group, &dedup) {
        (true, None, _) => Err(Refusal::missing("MessageGroupId")),
        (true, _, None) if !by_content => Err(Refusal::value(
            "The queue should have ContentBasedDeduplication, or the message a MessageDeduplicationId",
        )),
        (false, _, Some(_)) => Err(Refusal::value("MessageDeduplicationId is not valid for this queue type")),
        _ if fifo && delay.is_some_and(|delay| delay > 0) => {
            Err(Refusal::value("DelaySeconds is not valid for this queue type"))
        }
        _ => Ok(Outgoing { body: body.to_owned(), attributes, group, dedup, delay }),
    }
}

fn receive(state: &mut State, input: &Value, effects: &Effects) -> Answer {
    let now = state.now();
    let queue = queue(state, input)?;
    let max = number(input, "MaxNumberOfMessages", 1..=10)?.unwrap_or(1);
    let lease = number(input, "VisibilityTimeout", 0..=43_200)?.unwrap_or(queue.number("VisibilityTimeout", 30));
    let (name, policy) = (queue.name.clone(), queue.attributes.get("RedrivePolicy"));
    let redrive = policy.and_then(|policy| redrive(&serde_json::from_str(policy).ok()?));
    // If the dead letter queue does not exist, messages stay where they are.
    let redrive = redrive.filter(|(dead, _)| state.queues.contains_key(dead));
    let limit = redrive.as_ref().map(|(_, limit)| *limit);
    let wanted = Receive { max: max as usize, lease: Duration::from_secs(lease), twice: effects.twice, limit };
    let queue = state.queues.get_mut(&name).ok_or(Refusal::NO_QUEUE)?;
    let (taken, moved) = queue.receive(wanted, now, &mut state.counter);
    if let Some((dead, _)) = redrive.filter(|_| !moved.is_empty())
        && let Some(dead) = state.queues.get_mut(&dead)
    {
        moved.into_iter().for_each(|message| dead.adopt(message, super::arn(&name), now));
        state.wake();
    }
    if taken.is_empty() {
        return Ok(json!({}));
    }
    Ok(json!({ "Messages": taken.iter().map(|message| received(message, input)).collect::<Vec<_>>() }))
}

/// The name of the dead letter queue, and after how many receives a message goes there.
fn redrive(policy: &Value) -> Option<(String, u32)> {
    let dead = policy["deadLetterTargetArn"].as_str()?.rsplit(':').next()?;
    let limit = &policy["maxReceiveCount"];
    let limit = limit.as_u64().or_else(|| limit.as_str()?.parse().ok())?;
    Some((dead.to_owned(), limit.try_into().ok()?))
}

fn received(message: &Message, input: &Value) -> Value {
    let sequence = message.group.as_ref().map(|_| format!("{:020}", message.sequence));
    let system = [
        ("SenderId", Some("AIDAFAKE".to_owned())),
        ("SentTimestamp", Some(message.sent.to_string())),
        ("ApproximateReceiveCount", Some(message.receives.to_string())),
        ("ApproximateFirstReceiveTimestamp", Some(message.first_received.to_string())),
        ("MessageGroupId", message.group.clone()),
        ("MessageDeduplicationId", message.dedup.clone()),
        ("SequenceNumber", sequence),
        ("DeadLetterQueueSourceArn", message.source.clone()),
    ];
    let asked = |name| ["AttributeNames", "MessageSystemAttributeNames"].iter().any(|list| asks_for(input, list, name));
    let system: Map<_, _> = system
        .into_iter()
        .filter(|(name, _)| asked(name))
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
        .collect();
    let attributes = message.attributes.iter().filter(|(name, _)| asks_for(input, "MessageAttributeNames", name));
    let attributes: Map<_, _> = attributes.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut answer = json!({ "MessageId": message.id, "Body": message.body, "ReceiptHandle": message.receipts.last() });
    for (name, part) in [("Attributes", system), ("MessageAttributes", attributes)] {
        if !part.is_empty() {
            answer[name] = part.into();
        }
    }
    answer
}

fn delete(state: &mut State, input: &Value, entry: &Value) -> Answer {
    let (now, strict) = (state.now(), state.strict);
    queue(state, input)?.delete(required(entry, "ReceiptHandle")?, strict, now)?;
    // The message may have blocked its group.
    state.wake();
    Ok(json!({}))
}

fn lease(state: &mut State, input: &Value, entry: &Value) -> Answer {
    let (now, strict) = (state.now(), state.strict);
    let lease = number(entry, "VisibilityTimeout", 0..=43_200)?.ok_or_else(|| Refusal::missing("VisibilityTimeout"))?;
    queue(state, input)?.lease(required(entry, "ReceiptHandle")?, Duration::from_secs(lease), strict, now)?;
    state.wake();
    Ok(json!({}))
}
