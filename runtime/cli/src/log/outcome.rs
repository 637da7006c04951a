//! The outcome of an event for one reactor, in words and as JSON.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

use reactor_core::event::{AttemptRecord, Offset};
use reactor_history::Attempt;

/// The position of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) channel: String,
    pub(super) offset: Offset,
    /// The index of the event in its message, from 0.
    pub(super) part: u32,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.channel, self.offset)?;
        if self.part > 0 { write!(f, " (event {})", self.part + 1) } else { Ok(()) }
    }
}

impl Spot {
    fn to_json(&self) -> Value {
        json!({ "channel": self.channel, "offset": self.offset.0, "part": self.part })
    }
}

/// The state of a delivery.
pub(super) enum Outcome {
    /// It has not been admitted yet.
    Pending,
    /// Admitted, but nothing is known of it: the reactor did not read the channel then, or the ledger has forgotten it.
    Unknown,
    /// Running, or about to.
    Running(Vec<AttemptRecord>),
    /// Waiting for its next attempt at this time.
    Waiting(Vec<AttemptRecord>, Timestamp),
    /// Waiting for an earlier event of its key.
    Held(Vec<AttemptRecord>, Option<Spot>),
    /// Waiting until a person redrives or drops this dead letter of its key.
    Parked(Vec<AttemptRecord>, u64),
    /// Waiting until the remote queue delivers its message again.
    Away(Vec<AttemptRecord>),
    Done,
    Dead {
        letter: u64,
        reason: String,
        history: Vec<AttemptRecord>,
    },
    /// It died, and a person has dropped its letter.
    Dropped {
        letter: u64,
        reason: String,
    },
    Duplicate(Duplicate),
}

/// An event that did not run because it counts as the same as another one.
pub(super) struct Duplicate {
    /// The other event; `None` if an earlier version has not noted it.
    pub(super) first: Option<Spot>,
    /// The outcome of the other event.
    pub(super) outcome: Box<Outcome>,
    /// The differences between the two.
    pub(super) differs: Vec<&'static str>,
}

impl Outcome {
    /// Its name in the output.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::Running(_) => "running",
            Self::Waiting(..) => "waiting",
            Self::Held(..) => "held",
            Self::Parked(..) => "parked",
            Self::Away(_) => "away",
            Self::Done => "done",
            Self::Dead { .. } => "dead",
            Self::Dropped { .. } => "dropped",
            Self::Duplicate(_) => "duplicate",
        }
    }

    pub(super) fn history(&self) -> &[AttemptRecord] {
        match self {
            Self::Running(history)
            | Self::Waiting(history, _)
            | Self::Held(history, _)
            | Self::Parked(history, _)
            | Self::Away(history)
            | Self::Dead { history, .. } => history,
            Self::Pending | Self::Unknown | Self::Done | Self::Dropped { .. } | Self::Duplicate(_) => &[],
        }
    }

    /// Whether it is final unless a person acts.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Pending | Self::Running(_) | Self::Waiting(..) | Self::Held(..) | Self::Away(_) => false,
            Self::Unknown | Self::Parked(..) | Self::Done | Self::Dead { .. } => true,
            Self::Dropped { .. } | Self::Duplicate(_) => true,
        }
    }

    /// A few words, for a line in a list.
    pub(super) fn brief(&self) -> String {
        let attempts = self.history().len();
        let more = match self {
            Self::Dead { letter, reason, .. } | Self::Dropped { letter, reason } => {
                format!("{reason}, letter {letter}")
            }
            Self::Waiting(_, due) => format!("{attempts} failed, next at {due:.0}"),
            Self::Held(_, Some(head)) => format!("behind {head}"),
            Self::Parked(_, letter) => format!("behind letter {letter}"),
            Self::Duplicate(Duplicate { first, outcome, differs }) => {
                let of = first.as_ref().map_or_else(|| "an earlier event".to_owned(), Spot::to_string);
                let differs: String = differs.iter().map(|what| format!(", other {what}")).collect();
                format!("of {of}, {}{differs}", outcome.word())
            }
            Self::Running(_) if attempts > 0 => format!("{attempts} failed"),
            Self::Held(_, None) | Self::Running(_) | Self::Pending | Self::Unknown | Self::Away(_) | Self::Done => {
                return self.word().to_owned();
            }
        };
        format!("{}[{more}]", self.word())
    }

    /// A sentence or two that name the possible actions.
    pub(super) fn sentence(&self) -> String {
        let more = match self {
            Self::Dead { letter, reason, .. } => format!(", {reason}; `reactor dead show {letter}`"),
            Self::Dropped { letter, reason } => {
                format!(": dead letter {letter} ({reason}) was dropped; the reactor never handled the event")
            }
            Self::Waiting(_, due) => format!(", next attempt at {due:.3}"),
            Self::Held(_, Some(head)) => format!(" behind {head}, an earlier event of its key that has not ended"),
            Self::Held(_, None) => " behind an earlier event of its key".to_owned(),
            Self::Parked(_, letter) => {
                format!(
                    " behind dead letter {letter} of its key; `reactor dead redrive {letter}`, or `reactor dead drop {letter}`"
                )
            }
            Self::Away(_) => ": it goes on when the queue delivers its message again".to_owned(),
            Self::Pending => ", not admitted yet".to_owned(),
            Self::Unknown => {
                ": the reactor did not read the channel at that time, or the dedup window of the event is over"
                    .to_owned()
            }
            Self::Duplicate(duplicate) => duplicate.sentence(),
            Self::Running(_) | Self::Done => String::new(),
        };
        format!("{}{more}", self.word())
    }

    /// As JSON, with the known attempts.
    pub(super) fn to_json(&self, reactor: &str, attempts: &[Attempt]) -> Value {
        let mut object = json!({ "reactor": reactor, "outcome": self.word() });
        if !attempts.is_empty() {
            object["attempts"] = json!(attempts);
        }
        match self {
            Self::Waiting(_, due) => object["due"] = json!(due),
            Self::Dead { letter, reason, .. } | Self::Dropped { letter, reason } => {
                object["letter"] = json!(letter);
                object["reason"] = json!(reason);
            }
            Self::Parked(_, letter) => object["letter"] = json!(letter),
            Self::Held(_, head) => object["behind"] = json!(head.as_ref().map(Spot::to_json)),
            Self::Duplicate(Duplicate { first, outcome, differs }) => {
                object["first"] = json!(first.as_ref().map(Spot::to_json));
                object["firstOutcome"] = json!(outcome.word());
                object["differs"] = json!(differs);
            }
            Self::Pending | Self::Unknown | Self::Running(_) | Self::Away(_) | Self::Done => {}
        }
        object
    }
}

impl Duplicate {
    fn sentence(&self) -> String {
        let first = self.first.as_ref().map_or_else(|| "an earlier event".to_owned(), Spot::to_string);
        let next = match &*self.outcome {
            Outcome::Dead { letter, .. } => format!("; `reactor dead redrive {letter}` runs it again"),
            _ => String::new(),
        };
        format!(" of {first}, which is {}: not run{next}", self.outcome.word())
    }

    /// The warning if two different events were taken for one.
    pub(super) fn warning(&self) -> Option<String> {
        let first = self.first.as_ref().filter(|_| !self.differs.is_empty())?;
        let what = self.differs.join(" and ");
        let differs = if self.differs.len() > 1 { "differ from those" } else { "differs from that" };
        Some(format!(
            "warning: its {what} {differs} of {first}, and yet both have the same dedup key: \
             an id, `identity` or `dedup.key` has to name the event, and not what the event is about"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_outcome_has_a_word_of_its_own_everywhere() {
        let spot = || Spot { channel: "in".into(), offset: Offset(7), part: 1 };
        let dead = || Outcome::Dead { letter: 3, reason: "trap".into(), history: Vec::new() };
        let duplicate = |outcome, differs| {
            Outcome::Duplicate(Duplicate { first: Some(spot()), outcome: Box::new(outcome), differs })
        };
        let all = [
            Outcome::Pending,
            Outcome::Unknown,
            Outcome::Running(Vec::new()),
            Outcome::Waiting(Vec::new(), Timestamp::UNIX_EPOCH),
            Outcome::Held(Vec::new(), Some(spot())),
            Outcome::Parked(Vec::new(), 3),
            Outcome::Away(Vec::new()),
            Outcome::Done,
            dead(),
            Outcome::Dropped { letter: 3, reason: "trap".into() },
            duplicate(dead(), vec!["type", "data"]),
        ];
        let words: BTreeSet<_> = all.iter().map(Outcome::word).collect();
        assert_eq!(words.len(), all.len());
        for outcome in &all {
            let word = outcome.word();
            assert!(outcome.brief().starts_with(word) && outcome.sentence().starts_with(word), "{word}");
            assert_eq!(outcome.to_json("r", &[])["outcome"], word);
        }
        assert_eq!(all[10].brief(), "duplicate[of in/7 (event 2), dead, other type, other data]");
        let Outcome::Duplicate(both) = &all[10] else { panic!("it is one") };
        let warning = both.warning().expect("they differ");
        assert!(warning.starts_with("warning: its type and data differ from those of in/7 (event 2)"), "{warning}");
        let Outcome::Duplicate(same) = duplicate(Outcome::Done, Vec::new()) else { panic!("it is one") };
        assert_eq!(same.warning(), None);
    }
}
