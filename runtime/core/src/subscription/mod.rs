//! What a reactor wants: type patterns, version requirements and content filters, as nouns. No I/O.

mod pattern;
mod pointer;
mod wildcard;

use std::fmt;
use std::time::Duration;

use crate::json::Decimal;

/// A pattern such as `order.placed`, `order.*` (one segment) or `order.**` (one or more segments), with an optional
/// version part after `@`: `@2` or `@>=2,<4`.
#[derive(Clone, PartialEq, Eq)]
pub struct TypePattern {
    /// The text as written, for messages; a variable appears by its name.
    pub text: String,
    /// The segments between dots; never empty.
    pub segments: Vec<Segment>,
    /// Version bounds; every version matches if empty.
    pub versions: Vec<VersionBound>,
}

/// One segment of a type pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this word.
    Exact(String),
    /// `*`: any one segment.
    Any,
    /// `**`: one or more segments; only at the end.
    Rest,
}

/// One bound on the version: `2`, `>=2`, `<4`; all bounds of a pattern must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionBound {
    /// `N`
    Equal(u32),
    /// `>=N`
    AtLeast(u32),
    /// `>N`
    Above(u32),
    /// `<=N`
    AtMost(u32),
    /// `<N`
    Below(u32),
}

/// A JSON pointer (RFC 6901) into the event in its native form: `/data/orderId`, `/source`, `/partitionKey`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pointer {
    /// The text as written, for messages; a variable appears by its name.
    pub text: String,
    /// Unescaped reference tokens; never empty.
    pub tokens: Vec<String>,
}

/// A content filter: every pointer must meet at least one of its conditions.
#[derive(Clone, Default, PartialEq)]
pub struct Filter {
    /// Pointer and its alternatives.
    pub fields: Vec<(Pointer, Vec<Condition>)>,
}

impl fmt::Debug for Filter {
    /// Omits the values compared with, since they may contain variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.fields.iter().map(|(pointer, _)| pointer)).finish()
    }
}

/// One alternative of a filter field, modelled on EventBridge patterns.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Equal to this string, number, boolean or null.
    Equals(Scalar),
    /// Equal to this string, ignoring case. Kept in lower case.
    EqualsIgnoreCase(String),
    /// A string with this prefix.
    Prefix(String),
    /// A string with this suffix.
    Suffix(String),
    /// A string that matches a wildcard.
    Wildcard(Wildcard),
    /// A number within all of these bounds.
    Numeric(Vec<(NumericOp, Decimal<'static>)>),
    /// The value exists, or does not.
    Exists(bool),
    /// A scalar that exists and meets none of these.
    AnythingBut(Vec<Condition>),
}

/// A text with `*` for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wildcard {
    /// The pieces between the stars; one more than there are stars.
    pieces: Vec<String>,
}

/// A comparison of a numeric condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumericOp {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl NumericOp {
    /// Whether it holds for a number and a bound.
    pub fn holds(self, number: &Decimal<'_>, bound: &Decimal<'_>) -> bool {
        match self {
            Self::Equal => number == bound,
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
            Self::Greater => number > bound,
            Self::GreaterOrEqual => number >= bound,
        }
    }
}

/// A JSON scalar to compare with.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A string.
    String(String),
    /// A number, compared by its exact value: 1 equals 1.0, and no two different integers are equal.
    Number(Decimal<'static>),
    /// true or false.
    Bool(bool),
    /// null.
    Null,
}

/// At most `count` starts in each `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many, at least 1.
    pub count: u32,
    /// The unit: a second, a minute or an hour.
    pub per: Duration,
}

/// Why a pattern, pointer or rate could not be parsed, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SyntaxError {
    /// Byte offset in the text.
    pub at: usize,
    /// What is wrong, in a phrase.
    pub reason: String,
}
