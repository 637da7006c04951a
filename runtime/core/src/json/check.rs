//! One validating pass over text from outside: syntax, depth, duplicate keys, lone surrogates.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::object::Key;

/// Deepest nesting of arrays and objects; `[]` has depth 1.
pub const MAX_DEPTH: usize = 64;

/// Up to this many keys of one object are compared one by one; beyond that a hash set is used.
const FEW_KEYS: usize = 16;

/// Longest path, in bytes, that a flaw reports.
const LONGEST_PATH: usize = 200;

/// What is wrong with a JSON text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The kind of flaw.
    pub kind: FlawKind,
    /// What is wrong and where, in words: line, column and, below the top level, the JSON pointer of the place.
    pub text: String,
}

/// The kinds of flaws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlawKind {
    /// Not JSON.
    Syntax,
    /// Valid grammar but no such value: half of a surrogate pair, or a number beyond the range of a double.
    Value,
    /// Deeper than [`MAX_DEPTH`].
    Depth,
    /// An object has a key twice.
    DuplicateKey,
}

/// Checks a whole text. Time and memory grow at most linearly with its length, for any content.
///
/// # Errors
/// The first flaw.
pub fn check(text: &str) -> Result<(), Flaw> {
    let mut state = State { keys: Vec::new(), kind: FlawKind::Syntax, path: Vec::new() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Check { state: &mut state, depth: 0 }.deserialize(&mut deserializer).and_then(|()| deserializer.end()).map_err(
        |error| {
            let no_value = if state.kind == FlawKind::Syntax { no_value(text, &error) } else { None };
            let (kind, what) = match no_value {
                Some(what) => (FlawKind::Value, format!("{what} at line {} column {}", error.line(), error.column())),
                None => (state.kind, error.to_string()),
            };
            let place = path_text(&state.path);
            Flaw { kind, text: if place.is_empty() { what } else { format!("{what}, {place}") } }
        },
    )
}

/// Describes the text at an error if its syntax is valid but it has no value.
fn no_value(text: &str, error: &serde_json::Error) -> Option<String> {
    /// Longest piece of a number that an error shows.
    const SHOWN: usize = 24;
    let start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let before = &text.as_bytes()[..text.len().min(start + error.column())];
    if let Some(escape) = lone_half(before) {
        let escape = String::from_utf8_lossy(escape);
        return Some(format!(
            "half of a surrogate pair, {escape}, which is not a character (a text was cut in the middle of one)"
        ));
    }
    let is_of_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    let from = before.iter().rposition(|byte| !is_of_number(byte)).map_or(0, |at| at + 1);
    let rest = &text.as_bytes()[from..];
    let number = &rest[..rest.iter().position(|byte| !is_of_number(byte)).unwrap_or(rest.len())];
    let number = std::str::from_utf8(number).ok()?;
    let is_beyond = number.parse::<f64>().is_ok_and(f64::is_infinite);
    is_beyond.then(|| format!("a number beyond the range of a double, {}", &number[..number.len().min(SHOWN)]))
}

/// The escape of a lone half of a surrogate pair at the end of the text read so far. The reader stops within or right
/// after the place where the other half should be.
fn lone_half(read: &[u8]) -> Option<&[u8]> {
    const ESCAPE: usize = br"\ud83d".len();
    let half = |escape: &[u8]| match escape {
        [b'\\', b'u', b'd' | b'D', half, a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => match half {
            b'8' | b'9' | b'a' | b'b' | b'A' | b'B' => Some(true),
            b'c'..=b'f' | b'C'..=b'F' => Some(false),
            _ => None,
        },
        _ => None,
    };
    let from = read.len().saturating_sub(2 * ESCAPE + 2);
    let at = (from..(read.len() + 1).saturating_sub(ESCAPE)).rev().find(|at| half(&read[*at..]).is_some())?;
    let before = at.checked_sub(ESCAPE).map(|before| &read[before..]);
    let has_other = half(&read[at..]) == Some(false) && before.and_then(half) == Some(true);
    (!has_other).then(|| &read[at..at + ESCAPE])
}

/// Tokens come innermost first.
fn path_text(tokens: &[String]) -> String {
    let mut text = String::new();
    for token in tokens.iter().rev() {
        if text.len() + token.len() > LONGEST_PATH {
            text.push_str("/...");
            break;
        }
        text.push('/');
        text.push_str(&token.replace('~', "~0").replace('/', "~1"));
    }
    if text.is_empty() { text } else { format!("in {}", text) }
}

struct State<'de> {
    /// The keys of all open objects, so that an object needs no allocation of its own.
    keys: Vec<Cow<'de, str>>,
    kind: FlawKind,
    path: Vec<String>,
}

struct Check<'s, 'de> {
    state: &'s mut State<'de>,
    depth: usize,
}

impl<'de> Check<'_, 'de> {
    fn enter<E: de::Error>(&mut self) -> Result<usize, E> {
        if self.depth >= MAX_DEPTH {
            self.state.kind = FlawKind::Depth;
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(self.depth + 1)
    }

    fn duplicate<E: de::Error>(&mut self, key: &str) -> E {
        self.state.kind = FlawKind::DuplicateKey;
        let shown: String = key.chars().take(64).collect();
        E::custom(format_args!("the key \"{}\" occurs twice in one object", shown))
    }
}

impl<'de> DeserializeSeed<'de> for Check<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.enter()?;
        let mut index = 0_usize;
        loop {
            match seq.next_element_seed(Check { state: self.state, depth }) {
                Ok(Some(())) => index += 1,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.state.path.push(index.to_string());
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let depth = self.enter()?;
        let start = self.state.keys.len();
        let mut many = HashSet::new();
        while let Some(key) = map.next_key_seed(Key)? {
            if self.state.keys[start..].contains(&key) || many.contains(&key) {
                return Err(self.duplicate(&key));
            }
            if let Err(error) = map.next_value_seed(Check { state: self.state, depth }) {
                self.state.path.push(key.into_owned());
                return Err(error);
            }
            if self.state.keys.len() - start == FEW_KEYS {
                many.extend(self.state.keys.drain(start..));
            }
            if many.is_empty() {
                self.state.keys.push(key);
            } else {
                many.insert(key);
            }
        }
        self.state.keys.truncate(start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flaw(text: &str) -> Flaw {
        check(text).expect_err(text)
    }

    #[test]
    fn the_depth_limit_is_exact_and_a_million_levels_are_harmless() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(check(&nested(MAX_DEPTH)), Ok(()));
        assert_eq!(flaw(&nested(MAX_DEPTH + 1)).kind, FlawKind::Depth);
        assert_eq!(flaw(&"[".repeat(1_000_000)).kind, FlawKind::Depth);
        assert_eq!(flaw(&r#"{"a":"#.repeat(1_000_000)).kind, FlawKind::Depth);
    }

    #[test]
    fn duplicate_keys_are_found_in_small_and_large_objects_at_any_place() {
        for count in [2, FEW_KEYS - 1, FEW_KEYS, FEW_KEYS + 1, FEW_KEYS + 2, 500] {
            let keys: Vec<String> = (0..count).map(|n| format!(r#""k{n}":{{"k0":1}}"#)).collect();
            assert_eq!(check(&format!("{{{}}}", keys.join(","))), Ok(()), "{count}");
            for twice in [0, count / 2, count - 1] {
                let text = format!("{{\"deep\":[0,{{{},\"k{twice}\":1}}]}}", keys.join(","));
                let flaw = flaw(&text);
                assert_eq!(flaw.kind, FlawKind::DuplicateKey, "{text}");
                assert!(flaw.text.contains(&format!("\"k{twice}\"")) && flaw.text.contains("/deep/1"), "{}", flaw.text);
            }
        }
        assert_eq!(flaw(r#"{"a":1,"\u0061":2}"#).kind, FlawKind::DuplicateKey, "escapes hide nothing");
    }

    #[test]
    fn text_that_no_reader_agrees_on_is_refused() {
        for text in
            ["", " ", "{", "nul", "[1,]", "{\"a\":1,}", "1 2", "'a'", "NaN", "01", "\u{feff}{}", "\"\0\"", "\"\n\""]
        {
            assert_eq!(flaw(text).kind, FlawKind::Syntax, "{text:?}");
        }
        assert_eq!(check(r#"{"a":"\ud83d\ude00 \u0000","b":[1e308,-0.0,true,null]}"#), Ok(()));
    }

    #[test]
    fn what_is_written_right_and_is_no_value_is_told_apart() {
        for (text, what) in [
            (r#""\ud800""#, r"\ud800"),
            (r#""\udc00""#, r"\udc00"),
            (r#""\uD83D\u0041""#, r"\uD83D"),
            (r#"{"\ud800":1}"#, r"\ud800"),
            (r#"{"a":"cut \ud83d"}"#, r"\ud83d"),
            (r#"{"a":"cut \ud83d and on"}"#, r"\ud83d"),
            ("1e999", "1e999"),
            ("[-1e400, 2]", "-1e400"),
            (r#"{"a": 1e309}"#, "1e309"),
        ] {
            let flaw = flaw(text);
            assert_eq!(flaw.kind, FlawKind::Value, "{text}: {}", flaw.text);
            assert!(flaw.text.contains(what), "{text}: {}", flaw.text);
        }
        assert_eq!(flaw(r#""\ud83""#).kind, FlawKind::Syntax);
        assert_eq!(flaw(r#"["\ud83d\ude00", tru]"#).kind, FlawKind::Syntax, "a whole pair");
    }

    #[test]
    fn a_flaw_says_where_it_is() {
        let flaw = flaw("{\"data\":\n {\"a/b\": [1, tru]}}");
        assert!(flaw.text.contains("line 2") && flaw.text.contains("/data/a~1b/1"), "{}", flaw.text);
    }

    proptest! {
        #[test]
        fn what_passes_is_what_serde_json_reads(text in "[\\[\\]{}:,\"a1\\\\u0 .e-]{0,24}") {
            if check(&text).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }
    }
}
