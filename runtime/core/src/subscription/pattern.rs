//! Parsing, matching and comparing type patterns.

use std::fmt;
use std::ops::RangeInclusive;

use super::{Segment, SyntaxError, TypePattern, VersionBound};

impl TypePattern {
    /// Parses `order.placed`, `order.*`, `order.**`, `*` or `**`, with an optional version part: `@2`, `@>=2,<4`.
    ///
    /// A word may contain anything but dots, `*`, `@` and control characters, since types such as `ECS Container
    /// Instance State Change` and `aws.s3.ObjectCreated:Put` exist.
    ///
    /// # Errors
    /// The first error, with its byte offset. Version bounds that no version meets are an error too.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let (path, version_part) = match text.find('@') {
            Some(at) => (&text[..at], Some(at + 1)),
            None => (text, None),
        };
        if path.is_empty() {
            return fail(0, "no event type is given; write one such as `order.placed`, or `**` for every type");
        }
        let segments = parse_segments(path)?;
        let versions = match version_part {
            Some(at) => parse_versions(&text[at..], at)?,
            None => Vec::new(),
        };
        Ok(Self { text: text.to_owned(), segments, versions })
    }

    /// Whether an event of this type and major version is wanted.
    pub fn matches(&self, event_type: &str, version: u32) -> bool {
        self.matches_version(version) && self.matches_type(event_type)
    }

    /// Whether all version bounds hold.
    pub fn matches_version(&self, version: u32) -> bool {
        self.versions.iter().all(|bound| bound.holds(version))
    }

    /// Whether every event that `other` matches is matched by this pattern.
    pub fn covers(&self, other: &Self) -> bool {
        let Some(theirs) = version_range(&other.versions) else { return true };
        let Some(ours) = version_range(&self.versions) else { return false };
        let versions = ours.start() <= theirs.start() && theirs.end() <= ours.end();
        versions && covers_segments(&self.segments, &other.segments)
    }

    fn matches_type(&self, event_type: &str) -> bool {
        let mut words = event_type.split('.');
        for segment in &self.segments {
            match (segment, words.next()) {
                (Segment::Rest, word) => return word.is_some(),
                (Segment::Any, Some(_)) => {}
                (Segment::Exact(wanted), Some(word)) if wanted == word => {}
                _ => return false,
            }
        }
        words.next().is_none()
    }
}

impl fmt::Debug for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl VersionBound {
    /// Whether a version is within the bound.
    pub fn holds(self, version: u32) -> bool {
        match self {
            Self::Equal(n) => version == n,
            Self::AtLeast(n) => version >= n,
            Self::Above(n) => version > n,
            Self::AtMost(n) => version <= n,
            Self::Below(n) => version < n,
        }
    }

    fn range(self) -> Option<RangeInclusive<u32>> {
        Some(match self {
            Self::Equal(n) => n..=n,
            Self::AtLeast(n) => n..=u32::MAX,
            Self::Above(n) => n.checked_add(1)?..=u32::MAX,
            Self::AtMost(n) => 0..=n,
            Self::Below(n) => 0..=n.checked_sub(1)?,
        })
    }
}

/// The versions that meet all bounds; `None` if there are none.
fn version_range(bounds: &[VersionBound]) -> Option<RangeInclusive<u32>> {
    let (mut low, mut high) = (0, u32::MAX);
    for bound in bounds {
        let range = bound.range()?;
        low = low.max(*range.start());
        high = high.min(*range.end());
    }
    (low <= high).then_some(low..=high)
}

fn covers_segments(ours: &[Segment], theirs: &[Segment]) -> bool {
    for (index, our) in ours.iter().enumerate() {
        match (our, theirs.get(index)) {
            (Segment::Rest, their) => return their.is_some(),
            (Segment::Any, Some(Segment::Any | Segment::Exact(_))) => {}
            (Segment::Exact(word), Some(Segment::Exact(other))) if word == other => {}
            _ => return false,
        }
    }
    ours.len() == theirs.len()
}

fn parse_segments(path: &str) -> Result<Vec<Segment>, SyntaxError> {
    let mut segments = Vec::new();
    let mut at = 0;
    for word in path.split('.') {
        let end = at + word.len();
        segments.push(parse_segment(word, at, end == path.len())?);
        at = end + 1;
    }
    Ok(segments)
}

fn parse_segment(word: &str, at: usize, last: bool) -> Result<Segment, SyntaxError> {
    match word {
        "" => return fail(at, "a segment is empty; write one word between two dots"),
        "*" => return Ok(Segment::Any),
        "**" if last => return Ok(Segment::Rest),
        "**" => return fail(at, "`**` can only be the last segment; write `*` for one segment"),
        _ => {}
    }
    if let Some(star) = word.find('*') {
        let reason = format!(
            "`{}` mixes a word with a wildcard, but `*` stands for a whole segment; write `*`, or list the types",
            word
        );
        return fail(at + star, reason);
    }
    if let Some((offset, found)) = word.char_indices().find(|(_, c)| c.is_control()) {
        return fail(at + offset, format!("the control character U+{:04X} cannot be part of a type", u32::from(found)));
    }
    Ok(Segment::Exact(word.to_owned()))
}

/// `at` is the position of `text` in the pattern.
fn parse_versions(text: &str, at: usize) -> Result<Vec<VersionBound>, SyntaxError> {
    let mut bounds = Vec::new();
    let mut start = at;
    for part in text.split(',') {
        let blank = part.len() - part.trim_start().len();
        bounds.push(parse_bound(part.trim(), start + blank)?);
        start += part.len() + 1;
    }
    if version_range(&bounds).is_none() {
        return fail(at, format!("no version can meet `{}`", text));
    }
    Ok(bounds)
}

fn parse_bound(text: &str, at: usize) -> Result<VersionBound, SyntaxError> {
    type Make = fn(u32) -> VersionBound;
    const OPERATORS: [(&str, Make); 4] = [
        (">=", VersionBound::AtLeast),
        ("<=", VersionBound::AtMost),
        (">", VersionBound::Above),
        ("<", VersionBound::Below),
    ];
    let (operator, make) = OPERATORS
        .into_iter()
        .find(|(operator, _)| text.starts_with(operator))
        .unwrap_or(("", VersionBound::Equal as Make));
    let digits = text[operator.len()..].trim_start();
    let digits_at = at + text.len() - digits.len();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return fail(digits_at, "a version is a whole number; write `@2`, or bounds such as `@>=2,<4`");
    }
    match digits.parse() {
        Ok(number) => Ok(make(number)),
        Err(_) => fail(digits_at, format!("versions go up to {}", u32::MAX)),
    }
}

fn fail<T>(at: usize, reason: impl Into<String>) -> Result<T, SyntaxError> {
    Err(SyntaxError { at, reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> TypePattern {
        TypePattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn words_and_wildcards_match_whole_segments() {
        for (text, event_type, expected) in [
            ("order.placed", "order.placed", true),
            ("order.placed", "order.placed.late", false),
            ("order.placed", "order", false),
            ("order.*", "order.placed", true),
            ("order.*", "order", false),
            ("order.*", "order.placed.late", false),
            ("order.**", "order.placed.late", true),
            ("order.**", "order.placed", true),
            ("order.**", "order", false),
            ("*.placed", "order.placed", true),
            ("*.*.**", "a.b", false),
            ("*.*.**", "a.b.c", true),
            ("*", "order", true),
            ("*", "order.placed", false),
            ("**", "order.placed", true),
            ("aws.s3.ObjectCreated:Put", "aws.s3.ObjectCreated:Put", true),
            ("ECS Container Instance State Change", "ECS Container Instance State Change", true),
        ] {
            assert_eq!(pattern(text).matches(event_type, 1), expected, "{text} on {event_type}");
        }
    }

    #[test]
    fn version_bounds_must_all_hold() {
        assert!(pattern("a@2").matches("a", 2));
        assert!(!pattern("a@2").matches("a", 1));
        let range = pattern("a.*@>=2, <4");
        assert_eq!((0..6).filter(|v| range.matches("a.b", *v)).collect::<Vec<_>>(), [2, 3]);
        let range = pattern("a.*@>2,<=4");
        assert_eq!((0..6).filter(|v| range.matches("a.b", *v)).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        for (text, at, word) in [
            ("", 0, "no event type"),
            ("@2", 0, "no event type"),
            ("a..b", 2, "empty"),
            ("a.", 2, "empty"),
            (".a", 0, "empty"),
            ("order.pl*", 8, "whole segment"),
            ("order.***", 6, "whole segment"),
            ("a.**.b", 2, "last segment"),
            ("a.b\nc", 3, "control character"),
            ("a@", 2, "whole number"),
            ("a@v2", 2, "whole number"),
            ("a@2.1", 2, "whole number"),
            ("a@-1", 2, "whole number"),
            ("a@>=2,", 6, "whole number"),
            ("a@>=2, <x", 8, "whole number"),
            ("a@1@2", 2, "whole number"),
            ("a@99999999999", 2, "up to 4294967295"),
            ("a@>=4,<2", 2, "no version"),
            ("a@<0", 2, "no version"),
            ("a@>4294967295", 2, "no version"),
            ("a@1,2", 2, "no version"),
        ] {
            let error = TypePattern::parse(text).expect_err(text);
            assert!(error.reason.contains(word), "{text}: {error}");
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    #[test]
    fn covering_is_about_every_event() {
        for (ours, theirs, expected) in [
            ("**", "a.b", true),
            ("**", "**", true),
            ("a.**", "a.*", true),
            ("a.**", "a", false),
            ("a.*", "a.**", false),
            ("a.*", "a.b", true),
            ("*.b", "a.*", false),
            ("a.*.**", "a.**", false),
            ("a.b", "a.b@2", true),
            ("a.b@2", "a.b", false),
            ("a.b@>=1,<5", "a.b@>1,<=4", true),
            ("a.b@>=2", "a.b@>=1", false),
        ] {
            assert_eq!(pattern(ours).covers(&pattern(theirs)), expected, "{ours} covers {theirs}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_within_itself(text in ".{0,40}") {
            match TypePattern::parse(&text) {
                Ok(pattern) => prop_assert_eq!(pattern.to_string(), text),
                Err(error) => prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at)),
            }
        }

        #[test]
        fn a_covering_pattern_matches_what_the_covered_one_does(
            ours in "(a|b|\\*)(\\.(a|b|\\*)){0,2}(\\.\\*\\*)?(@[0-3]|@>=[0-3]|@<=[0-3])?",
            theirs in "(a|b|\\*)(\\.(a|b|\\*)){0,2}(\\.\\*\\*)?(@[0-3]|@>=[0-3]|@<=[0-3])?",
            event_type in "(a|b|c)(\\.(a|b|c)){0,3}",
            version in 0u32..5,
        ) {
            let (ours, theirs) = (pattern(&ours), pattern(&theirs));
            if ours.covers(&theirs) && theirs.matches(&event_type, version) {
                prop_assert!(ours.matches(&event_type, version));
            }
        }
    }
}
