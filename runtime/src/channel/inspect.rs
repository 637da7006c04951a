//! What can be found out about a remote channel without changing anything there: whether it is reachable, and whether
//! its queue, topic and subscription are set up for what the reactors do with it.
//!
//! The first half asks, the second half judges the answers, without I/O.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use serde::Serialize;
use serde_json::Value;

use crate::config::Written;
use crate::config::model::{ChannelConfig, ChannelKind, ReactorConfig, Settle};
use crate::config::units::show_duration;

use super::aws::{Aws, explain};
use super::filter::{FilterPolicy, filter_policy};
use super::foreign::lets_through;
use super::sns::{SnsTopic, allows, changes, permission, statements};
use super::sqs::SqsQueue;
use super::{ChannelError, Receipt, Result, Source, Trouble};

/// No queue has ever given it out: what is tried with it is refused, for this reason or for want of permission.
const NO_RECEIPT: &str = "reactor-check";
/// The largest `maxReceiveCount`.
const MOST_RECEIVES: u32 = 1_000;
/// How a fix begins that nobody has to make.
const BY_UP: &str = "`reactor up` will";

type Attributes = HashMap<QueueAttributeName, String>;

/// Something that was found out about a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What is so.
    pub what: String,
    /// What to do about it, or what will be done; `None` if there is nothing to do.
    pub fix: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All is as it should be.
    Ok,
    /// Good to know.
    Note,
    /// It works, but perhaps not as intended.
    Warning,
    /// It does not work.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl Finding {
    /// A finding that nothing can be done about.
    pub fn new(level: Level, what: impl Into<String>) -> Self {
        Self { level, what: what.into(), fix: None }
    }

    /// The same finding with what to do about it.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

/// Asks what there is to know of a channel that these reactors read; `is_written` says whether reactors send to it.
/// Nothing is changed, made, received or sent. Empty if the channel is not outside; otherwise there is a finding.
pub async fn inspect(aws: &Aws, channel: &ChannelConfig, readers: &[&ReactorConfig], is_written: bool) -> Vec<Finding> {
    // Whatever the configuration says, nothing is made: the clients are told so, and the findings know better.
    let queue_of = |name: &Written| Arc::new(SqsQueue::new(aws.clone(), name.clone(), false));
    let (mut findings, there, action) = match &channel.kind {
        ChannelKind::Local { .. } => return Vec::new(),
        ChannelKind::Sqs { queue, create, .. } => {
            let inspection = Inspection { channel, readers, create: *create };
            let (seen, findings) = inspection.queue(&queue_of(queue)).await;
            (findings, seen.map(|_| format!("queue `{queue}` exists")), "sqs:SendMessage")
        }
        ChannelKind::Sns { topic, queue, create, .. } => {
            let inspection = Inspection { channel, readers, create: *create };
            // A queue that nobody reads through is not used.
            let queue = queue.as_ref().filter(|_| !readers.is_empty()).map(queue_of);
            let topic = SnsTopic::new(aws.clone(), topic.clone(), false, queue.clone());
            let (there, findings) = inspection.subscribed(&topic, queue.as_deref()).await;
            (findings, there, "sns:Publish")
        }
    };
    if is_written && there.is_some() {
        let what = "whether the host may send there was not tried, because that would send a message";
        findings.push(Finding::new(Level::Note, what).fix(format!("it needs {action}")));
    }
    if let Some(there) = there
        && findings.iter().all(|finding| finding.level < Level::Warning)
    {
        findings.insert(0, Finding::new(Level::Ok, there));
    }
    // AWS has its own names for what is looked at, with the configured ones in them.
    findings.into_iter().map(|finding| hidden(finding, &channel.kind)).collect()
}

/// A finding with what was written in place of the names of queue and topic.
fn hidden(finding: Finding, kind: &ChannelKind) -> Finding {
    let names: Vec<&Written> = match kind {
        ChannelKind::Local { .. } => Vec::new(),
        ChannelKind::Sqs { queue, .. } => vec![queue],
        ChannelKind::Sns { topic, queue, .. } => [topic].into_iter().chain(queue).collect(),
    };
    let hide = |text: String| names.iter().fold(text, |text, name| name.hide(&text).into_owned());
    Finding { what: hide(finding.what), fix: finding.fix.map(hide), ..finding }
}

struct Inspection<'a> {
    channel: &'a ChannelConfig,
    readers: &'a [&'a ReactorConfig],
    /// Whether `reactor up` makes what is not there.
    create: bool,
}

impl Inspection<'_> {
    /// A queue and its attributes, if it could be looked at.
    async fn queue(&self, queue: &SqsQueue) -> (Option<Attributes>, Vec<Finding>) {
        // A URL or an ARN is no name to make a queue by.
        let create = self.create && !queue.queue.meaning().contains(':');
        let missing = |error, action| vec![failed(&error, &format!("queue `{}`", queue.queue), action, create)];
        if let Err(error) = queue.url().await {
            return (None, missing(error, "sqs:GetQueueUrl"));
        }
        let attributes = match queue.attributes(vec![QueueAttributeName::All]).await {
            Ok(attributes) => attributes,
            Err(error) => return (None, missing(error, "sqs:GetQueueAttributes")),
        };
        let mut findings = Vec::new();
        if !self.readers.is_empty() {
            let arn = attributes.get(&QueueAttributeName::QueueArn).map_or(queue.queue.meaning(), String::as_str);
            findings.extend(probe(queue, arn).await);
            findings.extend(lease(&attributes, self.channel.lease(self.readers.iter().copied())));
            findings.extend(redrive(&attributes, self.channel.settle(), self.readers));
            findings.extend(retention(&attributes, self.readers));
        }
        (Some(attributes), findings)
    }

    /// A topic's ARN, if it could be looked at.
    async fn topic(&self, topic: &SnsTopic) -> (Option<Arc<str>>, Vec<Finding>) {
        let failed = |error, action| vec![failed(&error, &format!("topic `{}`", topic.topic), action, self.create)];
        let arn = match topic.arn().await {
            Ok(arn) => arn,
            Err(error) => return (None, failed(error, "sns:ListTopics")),
        };
        match topic.aws.sns.get_topic_attributes().topic_arn(&*arn).send().await {
            Ok(_) => (Some(arn), Vec::new()),
            Err(error) => (None, failed(explain(&topic.what("looking at"), &error), "sns:GetTopicAttributes")),
        }
    }

    /// A topic, and the queue that it is read through, if it is; answers with what is there, if everything is.
    async fn subscribed(&self, topic: &SnsTopic, queue: Option<&SqsQueue>) -> (Option<String>, Vec<Finding>) {
        let Some(queue) = queue else {
            let (arn, findings) = self.topic(topic).await;
            return (arn.map(|_| format!("topic `{}` exists", topic.topic)), findings);
        };
        let ((arn, mut findings), (attributes, more)) = tokio::join!(self.topic(topic), self.queue(queue));
        findings.extend(more);
        findings.extend(order(&topic.topic, &queue.queue));
        let (Some(arn), Some(attributes)) = (arn, attributes) else { return (None, findings) };
        let there = format!("topic `{}` and queue `{}` exist", topic.topic, queue.queue);
        if let Some(queue) = attributes.get(&QueueAttributeName::QueueArn) {
            let policy = attributes.get(&QueueAttributeName::Policy).map_or("", String::as_str);
            findings.extend(permitted(policy, &arn, queue, self.create));
            findings.extend(self.subscription(topic, queue).await);
        }
        (Some(there), findings)
    }

    async fn subscription(&self, topic: &SnsTopic, queue: &str) -> Vec<Finding> {
        let on = || self.readers.iter().flat_map(|reactor| &reactor.on);
        let filter = filter_policy(self.channel, on());
        let found = match topic.subscription(queue).await {
            Ok(found) => found,
            Err(error) => return vec![unseen(&error, "sns:ListSubscriptionsByTopic", self.create)],
        };
        let Some(found) = found else { return vec![unsubscribed(topic.topic.shown(), filter.as_ref(), self.create)] };
        if !found.starts_with("arn:") {
            let what = "the queue's subscription to the topic is not confirmed";
            return vec![Finding::new(Level::Error, what).fix("confirm it, or remove it and subscribe again")];
        }
        match topic.subscription_attributes(&found).await {
            Ok(attributes) => {
                let is_wide = |scope: &str, policy: &Value| lets_through(scope, policy, self.channel, on());
                subscription(&attributes, filter.as_ref(), is_wide, self.create)
            }
            Err(error) => vec![unseen(&error, "sns:GetSubscriptionAttributes", self.create)],
        }
    }
}

/// Tries what the host does with received messages, on a message that does not exist.
async fn probe(queue: &SqsQueue, arn: &str) -> Vec<Finding> {
    let receipt = || Receipt(NO_RECEIPT.into());
    let (delete, lease) = ([receipt()], [(receipt(), Duration::ZERO)]);
    let (deleted, leased) = tokio::join!(queue.delete(&delete), queue.lease(&lease));
    let deleted = deleted.iter().filter_map(|answer| refusal(answer, "sqs:DeleteMessage", arn));
    let leased = leased.iter().filter_map(|answer| refusal(answer, "sqs:ChangeMessageVisibility", arn));
    deleted.chain(leased).collect()
}

/// What the answer to a made-up receipt says of the permission.
fn refusal(answer: &Result<()>, action: &str, arn: &str) -> Option<Finding> {
    let error = answer.as_ref().err()?;
    match error.trouble {
        Trouble::StaleReceipt | Trouble::Refused => None,
        Trouble::Denied => {
            let (what, _) = split(error);
            Some(Finding::new(Level::Error, what).fix(format!("add {action} on {arn} to the IAM policy of the host")))
        }
        _ => Some(failed(error, "", action, false)),
    }
}

/// What an error means that kept the channel from being looked at.
fn failed(error: &ChannelError, name: &str, action: &str, create: bool) -> Finding {
    if error.trouble == Trouble::Missing && create {
        return Finding::new(Level::Note, format!("{name} does not exist yet")).fix(format!("{BY_UP} create it"));
    }
    let (what, fix) = split(error);
    let finding = Finding::new(Level::Error, what);
    match fix {
        // Without credentials it is not a matter of permissions.
        Some(fix) if fix.contains("policy") => finding.fix(format!("{fix}: {action} is needed")),
        Some(fix) => finding.fix(fix),
        None => finding,
    }
}

/// What an error means that kept the subscription from being looked at, which the host itself does only with `create`.
fn unseen(error: &ChannelError, action: &str, create: bool) -> Finding {
    let finding = failed(error, "", action, false);
    let level = if error.trouble == Trouble::Denied && !create { Level::Warning } else { Level::Error };
    Finding { level, ..finding }
}

/// An error's text, and the advice at its end, which these kinds of trouble have.
fn split(error: &ChannelError) -> (&str, Option<&str>) {
    let advised = matches!(error.trouble, Trouble::Denied | Trouble::Missing | Trouble::Misconfigured);
    match error.detail.rsplit_once("; ") {
        Some((what, fix)) if advised => (what, Some(fix)),
        _ => (&error.detail, None),
    }
}

/// The queue's time-out against the lease that the host asks for.
fn lease(attributes: &Attributes, lease: Duration) -> Option<Finding> {
    let seconds = number(attributes, &QueueAttributeName::VisibilityTimeout)?;
    let lease = lease.as_secs();
    (seconds != lease).then(|| {
        let what = format!(
            "VisibilityTimeout is {seconds} s and does not matter: the host asks for its own lease of {lease} s with \
             every receive"
        );
        Finding::new(Level::Note, what)
    })
}

/// The redrive policy against the attempts of the readers.
fn redrive(attributes: &Attributes, settle: Option<Settle>, readers: &[&ReactorConfig]) -> Option<Finding> {
    let Some(receives) = attributes.get(&QueueAttributeName::RedrivePolicy).and_then(|policy| max_receives(policy))
    else {
        let what =
            "the queue has no RedrivePolicy: messages that never succeed are kept only as dead letters in the store";
        return Some(Finding::new(Level::Note, what));
    };
    // With the other setting a message is deleted before its first attempt.
    let reader = readers.iter().max_by_key(|reader| reader.retry.max_attempts)?;
    let attempts = reader.retry.max_attempts;
    if settle != Some(Settle::Completed) || receives > attempts.into() {
        return None;
    }
    let what = format!(
        "maxReceiveCount of the RedrivePolicy is {receives}: SQS would move a message away before the {attempts} \
         attempts of reactor `{}` are over",
        reader.name
    );
    let enough = attempts.saturating_add(2).min(MOST_RECEIVES);
    Some(Finding::new(Level::Warning, what).fix(format!("set maxReceiveCount to {enough}")))
}

/// SQS takes, and gives back, the number as a number or as text.
fn max_receives(policy: &str) -> Option<u64> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let count = &policy["maxReceiveCount"];
    count.as_u64().or_else(|| count.as_str()?.parse().ok())
}

/// How long the queue keeps messages against how long its readers know duplicates.
fn retention(attributes: &Attributes, readers: &[&ReactorConfig]) -> Option<Finding> {
    let kept = Duration::from_secs(number(attributes, &QueueAttributeName::MessageRetentionPeriod)?);
    let reader = readers.iter().min_by_key(|reader| reader.dedup.window)?;
    let known = reader.dedup.window;
    if kept <= known {
        return None;
    }
    let (name, kept, shown, seconds) = (&reader.name, show_duration(kept), show_duration(known), known.as_secs());
    let what = format!(
        "the queue keeps messages for {kept}, and reactor `{name}` knows duplicates for {shown}: what comes again later \
         runs again"
    );
    let fix = format!("set dedup.window of `{name}` to {kept} or more, or MessageRetentionPeriod to {seconds} or less");
    Some(Finding::new(Level::Warning, what).fix(fix))
}

fn number(attributes: &Attributes, name: &QueueAttributeName) -> Option<u64> {
    attributes.get(name)?.parse().ok()
}

/// FIFO or not: the topic against the queue.
fn order(topic: &Written, queue: &Written) -> Option<Finding> {
    let is_fifo = |name: &Written| name.meaning().ends_with(".fifo");
    match (is_fifo(topic), is_fifo(queue)) {
        (false, true) => {
            let what = format!("queue `{queue}` is FIFO and topic `{topic}` is not: SNS does not send from it there");
            Some(Finding::new(Level::Error, what).fix("use a FIFO topic, or a standard queue"))
        }
        (true, false) => {
            let what = format!("topic `{topic}` is FIFO and queue `{queue}` is not: their order is lost on the way");
            Some(Finding::new(Level::Warning, what).fix("use a FIFO queue, or a standard topic"))
        }
        _ => None,
    }
}

/// Whether the queue's policy lets the topic send to it.
fn permitted(policy: &str, topic: &str, queue: &str, create: bool) -> Option<Finding> {
    if allows(policy, topic) {
        return None;
    }
    let what = "the queue's policy does not name the topic";
    let statement = permission(topic, queue);
    Some(if create {
        Finding::new(Level::Note, what).fix(format!("{BY_UP} add a statement"))
    } else if may_allow(policy) {
        Finding::new(Level::Warning, format!("{what}: it is unclear whether SNS may send to it"))
            .fix(format!("if no messages arrive, add this statement to the policy: {statement}"))
    } else {
        Finding::new(Level::Error, format!("{what}: SNS is not allowed to send to it"))
            .fix(format!("add this statement to the policy: {statement}"))
    })
}

/// Whether a statement lets SNS, or anybody, send on conditions that are not those of other topics.
fn may_allow(policy: &str) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    statements(&policy).iter().any(|statement| {
        let (who, when) = (statement["Principal"].to_string(), statement["Condition"].to_string());
        let is_open = who.contains("\"*\"") || who.contains("sns.amazonaws.com");
        statement["Effect"] == "Allow" && is_open && (when.contains('*') || !when.contains(":sns:"))
    })
}

/// There is no subscription.
fn unsubscribed(topic: &str, filter: Option<&FilterPolicy>, create: bool) -> Finding {
    let what = format!("the queue is not subscribed to topic `{topic}`");
    if create {
        return Finding::new(Level::Note, what).fix(format!("{BY_UP} subscribe it"));
    }
    let settings = settings(&changes(&HashMap::new(), filter));
    Finding::new(Level::Error, what).fix(format!("subscribe it with {settings}, or set `create = true`"))
}

/// The attributes of the subscription against what they should be; `is_wide` says of a scope and a policy whether all that
/// the reactors want gets through.
fn subscription(
    found: &HashMap<String, String>,
    filter: Option<&FilterPolicy>,
    is_wide: impl Fn(&str, &Value) -> bool,
    create: bool,
) -> Vec<Finding> {
    let (raw, mut policy): (Vec<_>, Vec<_>) =
        changes(found, filter).into_iter().partition(|(name, _)| *name == "RawMessageDelivery");
    // A step on the way to another scope, and nothing to ask of anybody.
    policy.retain(|(name, value)| filter.is_none() || *name != "FilterPolicy" || value != "{}");
    let mut findings = Vec::new();
    if !raw.is_empty() {
        let finding = Finding::new(Level::Note, "RawMessageDelivery is off: the host removes the wrapper of SNS");
        findings.push(if create { finding.fix(format!("{BY_UP} set {}", settings(&raw))) } else { finding });
    }
    if policy.is_empty() {
        return findings;
    }
    let present = found.get("FilterPolicy").map(|text| serde_json::from_str::<Value>(text).unwrap_or_default());
    let filters = present.as_ref().is_some_and(|policy| policy.as_object().is_none_or(|policy| !policy.is_empty()));
    let scope = found.get("FilterPolicyScope").map_or("MessageAttributes", String::as_str);
    let is_wide = present.is_some_and(|policy| is_wide(scope, &policy));
    let (level, what) = if filters && is_wide {
        (
            Level::Note,
            "the subscription's filter policy differs from the one the host would set, but lets through everything that the reactors ask for",
        )
    } else if filters {
        (
            Level::Warning,
            "the subscription's filter policy does not match what the reactors ask for: some events may not arrive",
        )
    } else {
        (Level::Note, "the subscription filters nothing: events that no reactor asks for arrive as well")
    };
    let settings = settings(&policy);
    findings.push(match (create, filters && is_wide) {
        (true, _) => Finding::new(Level::Note, what).fix(format!("{BY_UP} set {settings}")),
        // Somebody may want it just so, and nothing is lost.
        (false, true) => Finding::new(level, what),
        (false, false) => Finding::new(level, what).fix(format!("set {settings}")),
    });
    findings
}

fn settings(changes: &[(&'static str, String)]) -> String {
    let settings: Vec<_> = changes.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    settings.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::config::model::Config;

    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:news";
    const QUEUE: &str = "arn:aws:sqs:eu-west-1:000000000000:inbox";

    /// A queue with two readers, whose retries and windows differ.
    fn config() -> Config {
        let reactor = |name: &str, attempts: u32, window: &str| {
            format!(
                "[reactors.{name}]\nmodule = \"m.wasm\"\nfrom = [\"c\"]\non = [\"a\"]\n\
                 [reactors.{name}.retry]\nmax-attempts = {attempts}\n[reactors.{name}.dedup]\nwindow = \"{window}\"\n"
            )
        };
        let channel = "[channels.c]\nkind = \"sqs\"\nqueue = \"q\"\n";
        let text = [channel, &reactor("few", 2, "1d"), &reactor("many", 5, "14d")].concat();
        let loaded = crate::config::parse(&text, std::path::Path::new("reactors.toml"), &|_| None);
        loaded.map_err(|problems| problems.render(false)).expect("a configuration").config
    }

    fn readers(config: &Config) -> Vec<&ReactorConfig> {
        config.reactors.values().collect()
    }

    fn attributes(name: QueueAttributeName, value: impl ToString) -> Attributes {
        HashMap::from([(name, value.to_string())])
    }

    fn error(trouble: Trouble, detail: &str) -> ChannelError {
        ChannelError { trouble, detail: detail.into() }
    }

    fn level(finding: Option<Finding>) -> Option<Level> {
        finding.map(|finding| finding.level)
    }

    #[test]
    fn errors_are_told_with_their_advice() {
        let missing = error(Trouble::Missing, "looking for queue `q`: none; create it, or set `create = true`");
        let found = failed(&missing, "queue `q`", "sqs:GetQueueUrl", false);
        assert_eq!((found.level, found.what.as_str()), (Level::Error, "looking for queue `q`: none"));
        assert_eq!(found.fix.as_deref(), Some("create it, or set `create = true`"));
        let found = failed(&missing, "queue `q`", "sqs:GetQueueUrl", true);
        assert_eq!((found.level, found.what.as_str()), (Level::Note, "queue `q` does not exist yet"));
        assert_eq!(found.fix.as_deref(), Some("`reactor up` will create it"));
        let denied = error(Trouble::Denied, "inspecting queue `q`: AccessDenied: a; b; check the IAM policy");
        let found = failed(&denied, "", "sqs:GetQueueAttributes", true);
        assert_eq!((found.level, found.what.as_str()), (Level::Error, "inspecting queue `q`: AccessDenied: a; b"));
        assert_eq!(found.fix.as_deref(), Some("check the IAM policy: sqs:GetQueueAttributes is needed"));
        let nobody = error(Trouble::Denied, "no credentials; set AWS_PROFILE");
        assert_eq!(failed(&nobody, "", "sqs:GetQueueUrl", true).fix.as_deref(), Some("set AWS_PROFILE"));
        let found = failed(&error(Trouble::Unreachable, "connection; broken"), "", "sqs:GetQueueUrl", true);
        assert_eq!(found, Finding::new(Level::Error, "connection; broken"));
    }

    #[test]
    fn only_what_the_host_itself_does_has_to_be_permitted() {
        let denied = error(Trouble::Denied, "AccessDenied; check the IAM policy");
        assert_eq!(unseen(&denied, "sns:ListSubscriptionsByTopic", true).level, Level::Error);
        assert_eq!(unseen(&denied, "sns:ListSubscriptionsByTopic", false).level, Level::Warning);
        let broken = error(Trouble::Unreachable, "broken");
        assert_eq!(unseen(&broken, "sns:ListSubscriptionsByTopic", false).level, Level::Error);
    }

    #[test]
    fn a_made_up_receipt_tells_a_missing_permission_from_its_own_fault() {
        let refusal = |answer| refusal(&answer, "sqs:DeleteMessage", QUEUE);
        assert_eq!(refusal(Ok(())), None);
        assert_eq!(refusal(Err(error(Trouble::StaleReceipt, "invalid"))), None);
        assert_eq!(refusal(Err(error(Trouble::Refused, "invalid"))), None);
        let found = refusal(Err(error(Trouble::Denied, "deleting: AccessDenied; check it"))).expect("a finding");
        assert_eq!((found.level, found.what.as_str()), (Level::Error, "deleting: AccessDenied"));
        let fix = "add sqs:DeleteMessage on arn:aws:sqs:eu-west-1:000000000000:inbox to the IAM policy of the host";
        assert_eq!(found.fix.as_deref(), Some(fix));
        assert_eq!(level(refusal(Err(error(Trouble::Throttled, "slow")))), Some(Level::Error));
    }

    #[test]
    fn the_time_out_of_the_queue_is_told_where_it_is_another() {
        let found =
            |seconds| lease(&attributes(QueueAttributeName::VisibilityTimeout, seconds), Duration::from_secs(60));
        assert_eq!(found(60), None);
        assert_eq!(level(found(30)), Some(Level::Note));
        assert_eq!(lease(&Attributes::new(), Duration::from_secs(60)), None);
    }

    #[test]
    fn messages_are_not_to_be_moved_away_before_the_attempts_are_over() {
        let config = config();
        let readers = readers(&config);
        let judge = |count: Value, settle| {
            let policy = json!({ "deadLetterTargetArn": QUEUE, "maxReceiveCount": count });
            redrive(&attributes(QueueAttributeName::RedrivePolicy, policy), Some(settle), &readers)
        };
        assert_eq!(judge(json!(6), Settle::Completed), None);
        for low in [json!(5), json!("5"), json!(1)] {
            let found = judge(low.clone(), Settle::Completed).expect("a finding");
            assert!(found.level == Level::Warning && found.what.contains("the 5 attempts of reactor `many`"), "{low}");
            assert_eq!(found.fix.as_deref(), Some("set maxReceiveCount to 7"));
            assert_eq!(judge(low, Settle::Stored), None);
        }
        assert_eq!(level(redrive(&Attributes::new(), Some(Settle::Completed), &readers)), Some(Level::Note));
    }

    #[test]
    fn a_queue_is_not_to_keep_messages_longer_than_duplicates_are_known() {
        let config = config();
        let judge =
            |seconds| retention(&attributes(QueueAttributeName::MessageRetentionPeriod, seconds), &readers(&config));
        assert_eq!(judge(86_400), None);
        let found = judge(345_600).expect("a finding");
        assert!(found.level == Level::Warning && found.what.contains("reactor `few`"), "{found:?}");
        assert!(found.fix.is_some_and(|fix| fix.contains("`few` to 4d or more, or MessageRetentionPeriod to 86400")));
    }

    #[test]
    fn topic_and_queue_are_both_fifo_or_neither_is() {
        assert_eq!((order(&"t".into(), &"q".into()), order(&"t.fifo".into(), &"q.fifo".into())), (None, None));
        assert_eq!(level(order(&"t".into(), &"https://sqs/0/q.fifo".into())), Some(Level::Error));
        assert_eq!(level(order(&"arn:aws:sns:eu-west-1:0:t.fifo".into(), &"q".into())), Some(Level::Warning));
    }

    #[test]
    fn the_topic_has_to_be_named_by_the_policy_of_the_queue() {
        let found = permitted("", TOPIC, QUEUE, false).expect("a finding");
        let statement = permission(TOPIC, QUEUE);
        assert!(found.level == Level::Error && found.fix.is_some_and(|fix| fix.ends_with(&statement.to_string())));
        assert_eq!(level(permitted("", TOPIC, QUEUE, true)), Some(Level::Note));
        assert_eq!(permitted(&json!({ "Statement": statement }).to_string(), TOPIC, QUEUE, false), None);
        let conditions = [
            (Value::Null, Level::Warning),
            (json!({ "ArnLike": { "aws:SourceArn": "arn:aws:sns:*:*:*" } }), Level::Warning),
            (json!({ "StringEquals": { "aws:SourceAccount": "000000000000" } }), Level::Warning),
            (json!({ "ArnEquals": { "aws:SourceArn": TOPIC.replace("news", "other") } }), Level::Error),
        ];
        for (condition, expected) in conditions {
            let mut theirs = statement.clone();
            theirs["Condition"] = condition;
            let policy = json!({ "Statement": [theirs] }).to_string();
            assert_eq!(level(permitted(&policy, TOPIC, QUEUE, false)), Some(expected), "{policy}");
        }
        let owner = json!({ "Statement": { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::0:root" } } });
        assert_eq!(level(permitted(&owner.to_string(), TOPIC, QUEUE, false)), Some(Level::Error));
    }

    #[test]
    fn a_subscription_is_there_and_lets_through_what_is_asked_for() {
        let filter = FilterPolicy { scope: "MessageBody", policy: json!({ "eventType": ["a"] }) };
        let missing = unsubscribed("news", Some(&filter), false);
        let settings =
            r#"RawMessageDelivery = true, FilterPolicyScope = MessageBody, FilterPolicy = {"eventType":["a"]}"#;
        assert_eq!(missing.fix, Some(format!("subscribe it with {settings}, or set `create = true`")));
        assert_eq!((missing.level, unsubscribed("news", None, true).level), (Level::Error, Level::Note));
        let judge = |found: &[(&str, &str)], filter: Option<&FilterPolicy>, create| {
            let found = found.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let is_wide = |scope: &str, policy: &Value| {
                scope == "MessageBody"
                    && policy["eventType"].as_array().is_some_and(|types| types.contains(&json!("a")))
            };
            subscription(&found, filter, is_wide, create)
        };
        let levels = |found: &[Finding]| -> Vec<Level> { found.iter().map(|finding| finding.level).collect() };
        let (raw, body) = (("RawMessageDelivery", "true"), ("FilterPolicyScope", "MessageBody"));
        let (right, wrong) = (("FilterPolicy", r#"{"eventType":["a"]}"#), ("FilterPolicy", r#"{"eventType":["b"]}"#));
        assert_eq!(judge(&[raw, body, right], Some(&filter), false), []);
        assert_eq!(levels(&judge(&[body, right], Some(&filter), false)), [Level::Note]);
        assert_eq!(levels(&judge(&[raw], Some(&filter), false)), [Level::Note], "too much comes");
        assert_eq!(levels(&judge(&[raw, body, wrong], Some(&filter), false)), [Level::Warning], "too little comes");
        assert_eq!(levels(&judge(&[raw, body, wrong], None, false)), [Level::Warning]);
        let wider = ("FilterPolicy", r#"{"eventType":["a","b"]}"#);
        let found = judge(&[raw, body, wider], Some(&filter), false);
        assert_eq!(
            (levels(&found), &found[0].fix),
            (vec![Level::Note], &None),
            "nothing is lost, and there is nothing to do"
        );
        assert_eq!(levels(&judge(&[raw, body, wider], None, false)), [Level::Note]);
        assert_eq!(levels(&judge(&[raw, right], Some(&filter), false)), [Level::Warning], "it looks at attributes");
        let by_up = judge(&[wrong], Some(&filter), true);
        assert_eq!(levels(&by_up), [Level::Note, Level::Note]);
        let fixes: Vec<_> = by_up.into_iter().filter_map(|finding| finding.fix).collect();
        assert_eq!(fixes[0], "`reactor up` will set RawMessageDelivery = true");
        assert!(fixes[1].starts_with("`reactor up` will set FilterPolicyScope = MessageBody, FilterPolicy = {"));
    }
}
