//! Inspection of a remote channel without changing anything there: whether it is reachable, and whether it is set up
//! for the reactors that use it.

use std::fmt;

use serde::Serialize;

/// One result of inspecting a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// How to fix it, or what the host will do; `None` if nothing needs doing.
    pub fix: Option<String>,
}

/// The severity of a finding.
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
    /// A finding that needs no fix.
    pub fn new(level: Level, what: impl Into<String>) -> Self {
        Self { level, what: what.into(), fix: None }
    }

    /// The same finding with a fix.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}
