//! An attempt, combined from the two places that record it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use reactor_core::event::{AttemptRecord, Fault};
use reactor_core::store::KeptAttempt;

/// An attempt that has ended. The record of a failed attempt stays, with its error, with its delivery or dead letter;
/// every attempt is kept for the configured time, with its duration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// Outcome or fault code.
    pub code: String,
    /// The error from the guest or the sandbox; `None` if the attempt succeeded or its letter was dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Wall-clock time at which it ended.
    pub at: Timestamp,
    /// blake3 of the module that ran, in hex.
    pub module: String,
    /// A crash cut it short: nothing measured it, and its worker is the one that found it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// How long the run took; `None` if the attempt was interrupted or is no longer kept.
    #[serde(rename = "tookMs", serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub took: Option<Duration>,
    /// The host that ran it: how many owners the store had had by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<u64>,
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn millis<S: Serializer>(took: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    took.map(|took| took.as_micros() as f64 / 1_000.0).serialize(to)
}

impl Attempt {
    /// A reactor's attempts at one event, oldest first: those with a record, and those that are kept.
    pub fn all(records: &[AttemptRecord], kept: &[KeptAttempt]) -> Vec<Self> {
        let mut unmatched: Vec<&KeptAttempt> = kept.iter().collect();
        let of_record = |record: &AttemptRecord| {
            let is_it = |kept: &&KeptAttempt| {
                (kept.number, &kept.code, kept.at.as_millisecond())
                    == (record.number, &record.code, record.at.as_millisecond())
            };
            let kept = unmatched.iter().position(is_it).map(|at| unmatched.remove(at));
            Self {
                number: record.number,
                code: record.code.clone(),
                error: Some(record.error.clone()),
                at: record.at,
                module: record.module.clone(),
                interrupted: kept.is_some_and(is_interrupted),
                took: kept.and_then(took),
                worker: kept.map(|kept| kept.worker),
            }
        };
        let mut all: Vec<Self> = records.iter().map(of_record).collect();
        all.extend(unmatched.into_iter().map(|kept| Self {
            number: kept.number,
            code: kept.code.clone(),
            error: None,
            at: kept.at,
            module: kept.module.clone(),
            interrupted: is_interrupted(kept),
            took: took(kept),
            worker: Some(kept.worker),
        }));
        all.sort_by_key(|attempt| attempt.at);
        all
    }
}

/// Every run takes longer than the microsecond that the store counts in.
fn took(kept: &KeptAttempt) -> Option<Duration> {
    Some(kept.took).filter(|took| !took.is_zero())
}

fn is_interrupted(kept: &KeptAttempt) -> bool {
    kept.code == Fault::Host.code() && took(kept).is_none()
}

#[cfg(test)]
mod tests {
    use reactor_core::event::{ChannelId, DeliveryId, Offset, Origin, ReactorId};
    use reactor_core::store::AttemptEnd;

    use super::*;

    #[test]
    fn an_attempt_that_failed_is_told_once_with_its_error_and_its_duration() {
        let at = |millis: i64| Timestamp::from_microsecond(millis * 1_000 + 7).expect("a time");
        let record = |number, millis| AttemptRecord {
            number,
            code: "retry".into(),
            error: "out of stock".into(),
            at: at(millis),
            module: "ab".into(),
        };
        let kept = |number, code: &str, millis: i64| KeptAttempt {
            delivery: DeliveryId(1),
            reactor: ReactorId(1),
            origin: Origin { channel: ChannelId(1), offset: Offset(1), part: 0 },
            number,
            end: AttemptEnd::Retry,
            code: code.into(),
            at: Timestamp::from_millisecond(millis).expect("a time"),
            took: Duration::from_micros(1_500),
            module: "ab".into(),
            worker: 3,
            event_id: String::new(),
            event_type: String::new(),
            correlation_id: String::new(),
        };
        // The first has been forgotten, the second is in both places, and the third succeeded. After a redrive, numbers
        // start again.
        let all = Attempt::all(&[record(1, 10), record(2, 20)], &[kept(2, "retry", 20), kept(1, "done", 30)]);
        let told: Vec<_> = all.iter().map(|one| (one.number, &*one.code, one.error.is_some(), one.worker)).collect();
        assert_eq!(told, [(1, "retry", true, None), (2, "retry", true, Some(3)), (1, "done", false, Some(3))]);
        let json = serde_json::to_value(&all[2]).expect("JSON");
        assert_eq!((&json["tookMs"], json.get("error"), json.get("interrupted")), (&1.5.into(), None, None));
        // One that a crash cut short was not measured.
        let cut = KeptAttempt { took: Duration::ZERO, ..kept(1, "host", 10) };
        let json = serde_json::to_value(Attempt::all(&[], &[cut])).expect("JSON");
        assert_eq!((&json[0]["interrupted"], json[0].get("tookMs")), (&true.into(), None));
    }
}
