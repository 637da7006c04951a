//! One validating pass over text from outside: syntax, depth, duplicate keys, lone surrogates.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::object::Key;

/// Deepest nesting of arrays and objects; `[]` has depth 1.
pub const MAX_DEPTH: usize = 64;

/// Keys of one object that are compared one by one before a hash set takes over.
const FEW_KEYS: usize = 16;

/// Longest path, in bytes, that a flaw tells.
const LONGEST_PATH: usize = 200;

/// What is wrong with a JSON text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The kind of flaw.
    pub kind: FlawKind,
    /// What and where, in words: line, column and, below the top, the JSON pointer of the place.
    pub text: String,
}

/// The kinds of flaws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlawKind {
    /// No JSON, or a string with a lone surrogate, or a number outside the range of a double.
    Syntax,
    /// Deeper than [`MAX_DEPTH`].
    Depth,
    /// An object has a key twice.
    DuplicateKey,
}

/// Checks a whole text. Neither time nor memory grow faster than its length, whatever is in it.
///
/// # Errors
/// The first flaw.
pub fn check(text: &str) -> Result<(), Flaw> {
    let mut state = State { keys: Vec::new(), kind: FlawKind::Syntax, path: Vec::new() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Check { state: &mut state, depth: 0 }.deserialize(&mut deserializer).and_then(|()| deserializer.end()).map_err(
        |error| {
            let place = path_text(&state.path);
            Flaw {
                kind: state.kind,
                text: if place.is_empty() { error.to_string() } else { format!("{error}, {place}") },
            }
        },
    )
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
        E::custom(format_args!("the key \"{}\" stands twice in one object", shown))
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
    use super::*;
    use proptest::prelude::*;

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
        for text in [
            "",
            " ",
            "{",
            "nul",
            "[1,]",
            "{\"a\":1,}",
            "1 2",
            "'a'",
            "NaN",
            "01",
            "\u{feff}{}",
            "\"\0\"",
            "\"\n\"",
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\u0041""#,
            r#"{"\ud800":1}"#,
            "1e999",
        ] {
            assert_eq!(flaw(text).kind, FlawKind::Syntax, "{text:?}");
        }
        assert_eq!(check(r#"{"a":"\ud83d\ude00 \u0000","b":[1e308,-0.0,true,null]}"#), Ok(()));
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
