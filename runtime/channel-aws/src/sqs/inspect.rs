//! Inspection of a queue without changing anything there.
//!
//! The first half makes requests; the second half judges the answers without I/O.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use reactor_channel::inspect::{Finding, Level};
use reactor_channel::kind::Opened;
use reactor_config::model::{ReactorConfig, Settle};
use reactor_config::units::show_duration;
use reactor_core::channel::{Lease, Leasing, Receipt, Result, Source, Trouble};

use super::SqsQueue;
use crate::aws::inspect::{Setup, failed, split};

/// No queue ever returned this receipt: calls with it are rejected for that reason or for lack of permission.
const NO_RECEIPT: &str = "reactor-check";
/// The largest `maxReceiveCount`.
const MOST_RECEIVES: u32 = 1_000;

pub(crate) type Attributes = HashMap<QueueAttributeName, String>;

/// A queue's attributes, if it could be inspected, and the findings for the reactors that read the channel.
pub(crate) async fn queue(
    queue: &SqsQueue,
    Opened { channel, readers }: Opened<'_>,
    setup: Setup,
) -> (Option<Attributes>, Vec<Finding>) {
    // A queue cannot be created from a URL or an ARN.
    let setup = if queue.queue.meaning().contains(':') { Setup::ByHand } else { setup };
    let missing = |error, action| vec![failed(&error, &format!("queue `{}`", queue.queue), action, setup)];
    if let Err(error) = queue.url().await {
        return (None, missing(error, "sqs:GetQueueUrl"));
    }
    let attributes = match queue.attributes(vec![QueueAttributeName::All]).await {
        Ok(attributes) => attributes,
        Err(error) => return (None, missing(error, "sqs:GetQueueAttributes")),
    };
    let mut findings = Vec::new();
    if !readers.is_empty() {
        let arn = attributes.get(&QueueAttributeName::QueueArn).map_or(queue.queue.meaning(), String::as_str);
        findings.extend(probe(queue, arn).await);
        findings.extend(lease(&attributes, channel.lease(readers.iter().copied())));
        findings.extend(redrive(&attributes, channel.settle(), readers));
        findings.extend(retention(&attributes, readers));
    }
    (Some(attributes), findings)
}

/// Tries the host's operations on received messages with a message that does not exist.
async fn probe(queue: &SqsQueue, arn: &str) -> Vec<Finding> {
    let receipt = || Receipt(NO_RECEIPT.into());
    let (delete, lease) = ([receipt()], [(receipt(), Lease::GiveBack(Duration::ZERO))]);
    let (deleted, leased) = tokio::join!(queue.acknowledge(&delete), queue.lease(&lease));
    let deleted = deleted.iter().filter_map(|answer| refusal(answer, "sqs:DeleteMessage", arn));
    let leased = leased.iter().filter_map(|answer| refusal(answer, "sqs:ChangeMessageVisibility", arn));
    deleted.chain(leased).collect()
}

/// What the answer to a made-up receipt reveals about the permission.
fn refusal(answer: &Result<()>, action: &str, arn: &str) -> Option<Finding> {
    let error = answer.as_ref().err()?;
    match error.trouble {
        Trouble::StaleReceipt | Trouble::Refused => None,
        Trouble::Denied => {
            let (what, _) = split(error);
            Some(Finding::new(Level::Error, what).fix(format!("add {action} on {arn} to the IAM policy of the host")))
        }
        _ => Some(failed(error, "", action, Setup::ByHand)),
    }
}

/// Compares the queue's visibility timeout with the lease that the host requests.
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

/// Compares the redrive policy with the attempts of the readers.
fn redrive(attributes: &Attributes, settle: Option<Settle>, readers: &[&ReactorConfig]) -> Option<Finding> {
    let Some(receives) = attributes.get(&QueueAttributeName::RedrivePolicy).and_then(|policy| max_receives(policy))
    else {
        let what =
            "the queue has no RedrivePolicy: messages that never succeed are kept only as dead letters in the store";
        return Some(Finding::new(Level::Note, what));
    };
    // With `settle = "stored"`, a message is deleted before its first attempt.
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

/// SQS accepts and returns the number as a number or as text.
fn max_receives(policy: &str) -> Option<u64> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let count = &policy["maxReceiveCount"];
    count.as_u64().or_else(|| count.as_str()?.parse().ok())
}

/// Compares how long the queue keeps messages with how long its readers recognise duplicates.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use reactor_config::model::Config;
    use reactor_core::channel::ChannelError;

    use super::*;

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
        let loaded =
            reactor_config::parse(&text, std::path::Path::new("reactors.toml"), &|_| None, &[super::super::KIND]);
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
}
