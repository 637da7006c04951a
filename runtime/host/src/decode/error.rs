//! Why a message cannot be decoded.

use reactor_core::json::{Flaw, FlawKind};

/// A message that cannot become an event; it ends as a dead letter with its raw bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct DecodeError {
    /// The kind of error.
    pub reason: Reason,
    /// What is wrong, where, and what to do about it.
    pub detail: String,
}

/// The kinds of decode errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No bytes, or a notification without records.
    Empty,
    /// Body and attributes are larger than the channel's `max-event`.
    TooLarge,
    /// JSON that is not UTF-8.
    NotUtf8,
    /// Not JSON where JSON is needed.
    InvalidJson,
    /// Nested too deeply.
    TooDeep,
    /// A key stands twice in one object.
    DuplicateKey,
    /// None of the known envelopes.
    UnknownEnvelope,
    /// The envelope lacks a required field.
    MissingField,
    /// A field of the envelope has a value that cannot be used.
    BadField,
}

impl Reason {
    /// The reason code, as it stands in dead letters, metrics and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too-large",
            Self::NotUtf8 => "not-utf8",
            Self::InvalidJson => "invalid-json",
            Self::TooDeep => "too-deep",
            Self::DuplicateKey => "duplicate-key",
            Self::UnknownEnvelope => "unknown-envelope",
            Self::MissingField => "missing-field",
            Self::BadField => "bad-field",
        }
    }
}

impl DecodeError {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    pub(super) fn missing(envelope: &str, field: &str) -> Self {
        let detail = format!("the {envelope} envelope has no `{field}`; the producer must set it");
        Self::new(Reason::MissingField, detail)
    }

    /// One error for several bad elements of a batch, each of which says where it is.
    pub(super) fn of_several(errors: Vec<Self>) -> Option<Self> {
        /// Most errors reported one by one.
        const TOLD: usize = 4;
        let more = errors.len().saturating_sub(TOLD);
        let mut errors = errors.into_iter();
        let mut all = errors.next()?;
        for error in errors.take(TOLD - 1) {
            all.detail = format!("{}; {}", all.detail, error.detail);
        }
        if more > 0 {
            all.detail = format!("{}; and {more} more", all.detail);
        }
        Some(all)
    }

    /// The same error, for an element at this place.
    pub(super) fn at(self, place: impl std::fmt::Display) -> Self {
        Self { reason: self.reason, detail: format!("{place}: {}", self.detail) }
    }

    /// The same error; if the envelope was missing or incomplete, with a description of what the body is instead.
    pub(super) fn of_known_shape(mut self, known: impl FnOnce() -> Option<String>) -> Self {
        let may_be_other = matches!(self.reason, Reason::UnknownEnvelope | Reason::MissingField);
        if let Some(known) = may_be_other.then(known).flatten() {
            self.detail = format!("{}; {known}", self.detail);
        }
        self
    }

    pub(super) fn bad(field: &str, problem: impl std::fmt::Display) -> Self {
        Self::new(Reason::BadField, format!("`{field}` {problem}"))
    }
}

impl From<Flaw> for DecodeError {
    fn from(flaw: Flaw) -> Self {
        match flaw.kind {
            FlawKind::Syntax => Self::new(
                Reason::InvalidJson,
                format!("not valid JSON: {}; send JSON, or set the channel's `format` to \"raw\"", flaw.text),
            ),
            FlawKind::Value => Self::new(
                Reason::InvalidJson,
                format!("no parser can read this JSON: it has {}; fix the producer", flaw.text),
            ),
            FlawKind::Depth => Self::new(Reason::TooDeep, format!("{}; send flatter JSON", flaw.text)),
            FlawKind::DuplicateKey => Self::new(
                Reason::DuplicateKey,
                format!("{}; parsers disagree on which one counts, so send each key once", flaw.text),
            ),
        }
    }
}
