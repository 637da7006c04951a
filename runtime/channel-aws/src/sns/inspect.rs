//! Inspection of a topic, and of the queue through which it is read, without changing anything there.
//!
//! The first half makes requests; the second half judges the answers without I/O.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use reactor_channel::inspect::{Finding, Level};
use reactor_channel::kind::Opened;
use reactor_config::Written;

use super::filter::{FilterPolicy, filter_policy};
use super::foreign::lets_through;
use super::settings::{allows, changes, permission, statements};
use super::topic::SnsTopic;
use crate::aws::explain;
use crate::aws::inspect::{BY_UP, Setup, failed, unseen};
use crate::sqs::{SqsQueue, inspect};

pub(super) struct Inspection<'a> {
    pub(super) channel: Opened<'a>,
    pub(super) setup: Setup,
}

impl Inspection<'_> {
    /// A topic's ARN, if it could be inspected.
    async fn topic(&self, topic: &SnsTopic) -> (Option<Arc<str>>, Vec<Finding>) {
        let failed = |error, action| vec![failed(&error, &format!("topic `{}`", topic.topic), action, self.setup)];
        let arn = match topic.arn().await {
            Ok(arn) => arn,
            Err(error) => return (None, failed(error, "sns:ListTopics")),
        };
        match topic.aws.sns.get_topic_attributes().topic_arn(&*arn).send().await {
            Ok(_) => (Some(arn), Vec::new()),
            Err(error) => (None, failed(explain(&topic.what("looking at"), &error), "sns:GetTopicAttributes")),
        }
    }

    /// Inspects a topic and, if it is read through one, its queue; returns a description if all of it exists.
    pub(super) async fn subscribed(
        &self,
        topic: &SnsTopic,
        queue: Option<&SqsQueue>,
    ) -> (Option<String>, Vec<Finding>) {
        let Some(queue) = queue else {
            let (arn, findings) = self.topic(topic).await;
            return (arn.map(|_| format!("topic `{}` exists", topic.topic)), findings);
        };
        let ((arn, mut findings), (attributes, more)) =
            tokio::join!(self.topic(topic), inspect::queue(queue, self.channel, self.setup));
        findings.extend(more);
        findings.extend(order(&topic.topic, &queue.queue));
        let (Some(arn), Some(attributes)) = (arn, attributes) else { return (None, findings) };
        let there = format!("topic `{}` and queue `{}` exist", topic.topic, queue.queue);
        if let Some(queue) = attributes.get(&QueueAttributeName::QueueArn) {
            let policy = attributes.get(&QueueAttributeName::Policy).map_or("", String::as_str);
            findings.extend(permitted(policy, &arn, queue, self.setup));
            findings.extend(self.subscription(topic, queue).await);
        }
        (Some(there), findings)
    }

    async fn subscription(&self, topic: &SnsTopic, queue: &str) -> Vec<Finding> {
        let Opened { channel, readers } = self.channel;
        let on = || readers.iter().flat_map(|reactor| &reactor.on);
        let filter = filter_policy(channel, on());
        let found = match topic.subscription(queue).await {
            Ok(found) => found,
            Err(error) => return vec![unseen(&error, "sns:ListSubscriptionsByTopic", self.setup)],
        };
        let Some(found) = found else { return vec![unsubscribed(topic.topic.shown(), filter.as_ref(), self.setup)] };
        if !found.starts_with("arn:") {
            let what = "the queue's subscription to the topic is not confirmed";
            return vec![Finding::new(Level::Error, what).fix("confirm it, or remove it and subscribe again")];
        }
        match topic.subscription_attributes(&found).await {
            Ok(attributes) => {
                let is_wide = |scope: &str, policy: &Value| lets_through(scope, policy, channel, on());
                subscription(&attributes, filter.as_ref(), is_wide, self.setup)
            }
            Err(error) => vec![unseen(&error, "sns:GetSubscriptionAttributes", self.setup)],
        }
    }
}

/// Compares whether topic and queue are FIFO.
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

/// Checks whether the queue's policy lets the topic send to it.
fn permitted(policy: &str, topic: &str, queue: &str, setup: Setup) -> Option<Finding> {
    if allows(policy, topic) {
        return None;
    }
    let what = "the queue's policy does not name the topic";
    let statement = permission(topic, queue);
    Some(if setup == Setup::ByHost {
        Finding::new(Level::Note, what).fix(format!("{BY_UP} add a statement"))
    } else if may_allow(policy) {
        Finding::new(Level::Warning, format!("{what}: it is unclear whether SNS may send to it"))
            .fix(format!("if no messages arrive, add this statement to the policy: {statement}"))
    } else {
        Finding::new(Level::Error, format!("{what}: SNS is not allowed to send to it"))
            .fix(format!("add this statement to the policy: {statement}"))
    })
}

/// Whether a statement lets SNS, or everyone, send under conditions that may apply to this topic.
fn may_allow(policy: &str) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    statements(&policy).iter().any(|statement| {
        let (who, when) = (statement["Principal"].to_string(), statement["Condition"].to_string());
        let is_open = who.contains("\"*\"") || who.contains("sns.amazonaws.com");
        statement["Effect"] == "Allow" && is_open && (when.contains('*') || !when.contains(":sns:"))
    })
}

/// The finding for a missing subscription.
fn unsubscribed(topic: &str, filter: Option<&FilterPolicy>, setup: Setup) -> Finding {
    let what = format!("the queue is not subscribed to topic `{topic}`");
    if setup == Setup::ByHost {
        return Finding::new(Level::Note, what).fix(format!("{BY_UP} subscribe it"));
    }
    let settings = settings(&changes(&HashMap::new(), filter));
    Finding::new(Level::Error, what).fix(format!("subscribe it with {settings}, or set `create = true`"))
}

/// Compares the attributes of the subscription with the required ones; `is_wide` tells for a scope and a policy whether
/// everything that the reactors want gets through.
fn subscription(
    found: &HashMap<String, String>,
    filter: Option<&FilterPolicy>,
    is_wide: impl Fn(&str, &Value) -> bool,
    setup: Setup,
) -> Vec<Finding> {
    let (raw, mut policy): (Vec<_>, Vec<_>) =
        changes(found, filter).into_iter().partition(|(name, _)| *name == "RawMessageDelivery");
    // This is only a step towards another scope; the user need not do it.
    policy.retain(|(name, value)| filter.is_none() || *name != "FilterPolicy" || value != "{}");
    let mut findings = Vec::new();
    if !raw.is_empty() {
        let finding = Finding::new(Level::Note, "RawMessageDelivery is off: the host removes the wrapper of SNS");
        findings.push(if setup == Setup::ByHost {
            finding.fix(format!("{BY_UP} set {}", settings(&raw)))
        } else {
            finding
        });
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
    findings.push(match (setup, filters && is_wide) {
        (Setup::ByHost, _) => Finding::new(Level::Note, what).fix(format!("{BY_UP} set {settings}")),
        // It may be intended, and nothing is lost.
        (Setup::ByHand, true) => Finding::new(level, what),
        (Setup::ByHand, false) => Finding::new(level, what).fix(format!("set {settings}")),
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

    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:news";
    const QUEUE: &str = "arn:aws:sqs:eu-west-1:000000000000:inbox";

    fn level(finding: Option<Finding>) -> Option<Level> {
        finding.map(|finding| finding.level)
    }

    #[test]
    fn topic_and_queue_are_both_fifo_or_neither_is() {
        assert_eq!((order(&"t".into(), &"q".into()), order(&"t.fifo".into(), &"q.fifo".into())), (None, None));
        assert_eq!(level(order(&"t".into(), &"https://sqs/0/q.fifo".into())), Some(Level::Error));
        assert_eq!(level(order(&"arn:aws:sns:eu-west-1:0:t.fifo".into(), &"q".into())), Some(Level::Warning));
    }

    #[test]
    fn the_topic_has_to_be_named_by_the_policy_of_the_queue() {
        let found = permitted("", TOPIC, QUEUE, Setup::ByHand).expect("a finding");
        let statement = permission(TOPIC, QUEUE);
        assert!(found.level == Level::Error && found.fix.is_some_and(|fix| fix.ends_with(&statement.to_string())));
        assert_eq!(level(permitted("", TOPIC, QUEUE, Setup::ByHost)), Some(Level::Note));
        assert_eq!(permitted(&json!({ "Statement": statement }).to_string(), TOPIC, QUEUE, Setup::ByHand), None);
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
            assert_eq!(level(permitted(&policy, TOPIC, QUEUE, Setup::ByHand)), Some(expected), "{policy}");
        }
        let owner = json!({ "Statement": { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::0:root" } } });
        assert_eq!(level(permitted(&owner.to_string(), TOPIC, QUEUE, Setup::ByHand)), Some(Level::Error));
    }

    #[test]
    fn a_subscription_is_there_and_lets_through_what_is_asked_for() {
        let filter = FilterPolicy { scope: "MessageBody", policy: json!({ "eventType": ["a"] }) };
        let missing = unsubscribed("news", Some(&filter), Setup::ByHand);
        let settings =
            r#"RawMessageDelivery = true, FilterPolicyScope = MessageBody, FilterPolicy = {"eventType":["a"]}"#;
        assert_eq!(missing.fix, Some(format!("subscribe it with {settings}, or set `create = true`")));
        assert_eq!((missing.level, unsubscribed("news", None, Setup::ByHost).level), (Level::Error, Level::Note));
        let judge = |found: &[(&str, &str)], filter: Option<&FilterPolicy>, setup| {
            let found = found.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let is_wide = |scope: &str, policy: &Value| {
                scope == "MessageBody"
                    && policy["eventType"].as_array().is_some_and(|types| types.contains(&json!("a")))
            };
            subscription(&found, filter, is_wide, setup)
        };
        let levels = |found: &[Finding]| -> Vec<Level> { found.iter().map(|finding| finding.level).collect() };
        let (raw, body) = (("RawMessageDelivery", "true"), ("FilterPolicyScope", "MessageBody"));
        let (right, wrong) = (("FilterPolicy", r#"{"eventType":["a"]}"#), ("FilterPolicy", r#"{"eventType":["b"]}"#));
        assert_eq!(judge(&[raw, body, right], Some(&filter), Setup::ByHand), []);
        assert_eq!(levels(&judge(&[body, right], Some(&filter), Setup::ByHand)), [Level::Note]);
        assert_eq!(levels(&judge(&[raw], Some(&filter), Setup::ByHand)), [Level::Note], "too much comes");
        assert_eq!(
            levels(&judge(&[raw, body, wrong], Some(&filter), Setup::ByHand)),
            [Level::Warning],
            "too little comes"
        );
        assert_eq!(levels(&judge(&[raw, body, wrong], None, Setup::ByHand)), [Level::Warning]);
        let wider = ("FilterPolicy", r#"{"eventType":["a","b"]}"#);
        let found = judge(&[raw, body, wider], Some(&filter), Setup::ByHand);
        assert_eq!(
            (levels(&found), &found[0].fix),
            (vec![Level::Note], &None),
            "nothing is lost, and there is nothing to do"
        );
        assert_eq!(levels(&judge(&[raw, body, wider], None, Setup::ByHand)), [Level::Note]);
        assert_eq!(
            levels(&judge(&[raw, right], Some(&filter), Setup::ByHand)),
            [Level::Warning],
            "it looks at attributes"
        );
        let by_up = judge(&[wrong], Some(&filter), Setup::ByHost);
        assert_eq!(levels(&by_up), [Level::Note, Level::Note]);
        let fixes: Vec<_> = by_up.into_iter().filter_map(|finding| finding.fix).collect();
        assert_eq!(fixes[0], "`reactor up` will set RawMessageDelivery = true");
        assert!(fixes[1].starts_with("`reactor up` will set FilterPolicyScope = MessageBody, FilterPolicy = {"));
    }
}
