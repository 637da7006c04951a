//! The second line of defence after [`super::Written`]: replaces values of variables in any text by their source form.
//!
//! The program's own messages use the source form anyway. This protects against texts from elsewhere that may repeat a
//! value: the operating system, AWS, the shell, a module.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};

use super::written::{LEAST, Located, Part, Written};

/// Values of at least this length are also found inside words; shorter ones only as whole words.
const LONG: usize = 8;
/// Common words that any line may contain, and that JSON needs to stay valid.
const COMMON: &[&str] = &[
    "true",
    "false",
    "null",
    "trace",
    "debug",
    "info",
    "warn",
    "error",
    "http",
    "https",
    "local",
    "reactor",
    "channel",
    "event",
    "level",
    "message",
    "target",
    "timestamp",
];

/// What was noted while reading a file.
#[derive(Default)]
pub(super) struct Noted {
    /// Hidden values, and what is shown instead.
    values: BTreeMap<String, String>,
    /// The same for texts that events take from the configuration.
    constants: BTreeMap<String, String>,
}

impl Noted {
    /// Notes a text with variables: its meaning, and the value of each variable.
    pub(super) fn text(&mut self, text: &Written) {
        if !text.has_variable() {
            return;
        }
        let set = |part: &Part| !matches!(part, Part::Variable { is_set: false, .. });
        if text.parts().iter().all(set) {
            self.add(text.meaning(), text.shown());
        }
        for part in text.parts() {
            if let Part::Variable { name, value, is_set: true } = part {
                let shown = format!("${{{name}}}");
                self.add(value, &shown);
                // A value of several lines is also printed line by line.
                value.lines().for_each(|line| self.add(line.trim(), &shown));
            }
        }
    }

    /// Notes a text that becomes part of events.
    pub(super) fn constant(&mut self, text: &Written) {
        if text.has_variable() {
            self.constants.insert(text.meaning().to_owned(), text.shown().to_owned());
        }
    }

    /// Notes a path with variables.
    pub(super) fn path(&mut self, path: &Located) {
        let meaning = path.path().display().to_string();
        if meaning != path.shown() {
            self.add(&meaning, path.shown());
        }
    }

    fn add(&mut self, value: &str, shown: &str) {
        let is_number = value.len() < LONG && value.parse::<f64>().is_ok();
        let is_common = COMMON.iter().any(|word| word.eq_ignore_ascii_case(value));
        if value.len() >= LEAST && !is_number && !is_common {
            self.values.entry(value.to_owned()).or_insert_with(|| shown.to_owned());
        }
    }

    /// The secrets noted. Text that is in the file itself is not secret.
    pub(super) fn secrets(self, file: &str) -> Secrets {
        let mut forms = BTreeMap::new();
        for (value, shown) in self.values {
            if file.contains(&value) {
                continue;
            }
            for form in spellings(&value) {
                forms.entry(form).or_insert_with(|| shown.clone());
            }
        }
        Secrets { constants: self.constants, ..Secrets::new(forms) }
    }
}

/// The spellings of a value in logs, JSON, URLs and host names.
fn spellings(value: &str) -> [String; 5] {
    let json = serde_json::Value::from(value).to_string();
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    [
        value.to_owned(),
        json[1..json.len() - 1].to_owned(),
        value.escape_debug().to_string(),
        value.bytes().map(encode).collect(),
        value.to_ascii_lowercase(),
    ]
}

/// The values of all variables of a configuration.
#[derive(Default)]
pub struct Secrets {
    forms: BTreeMap<String, String>,
    constants: BTreeMap<String, String>,
    /// The search automaton; `None` if there are no values.
    finder: Option<AhoCorasick>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.forms.len())
    }
}

impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        (&self.forms, &self.constants) == (&other.forms, &other.constants)
    }
}

impl Secrets {
    fn new(forms: BTreeMap<String, String>) -> Self {
        let mut finder = AhoCorasick::builder();
        finder.match_kind(MatchKind::LeftmostLongest);
        // It fails only for more text than a configuration can hold.
        let finder = if forms.is_empty() { None } else { finder.build(forms.keys()).ok() };
        Self { forms, constants: BTreeMap::new(), finder }
    }

    /// Whether there are no values to hide.
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty() && self.constants.is_empty()
    }

    /// The source form of an event's type or source, if it comes from the configuration.
    pub fn constant(&self, text: &str) -> Option<&str> {
        self.constants.get(text).map(String::as_str)
    }

    /// A text with each value replaced by `${NAME}`.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(finder) = &self.finder else { return text.into() };
        let shown: Vec<&String> = self.forms.values().collect();
        let (mut hidden, mut from) = (String::new(), 0);
        for found in finder.find_iter(text) {
            if found.len() >= LONG || is_whole(text, found.range()) {
                hidden += &text[from..found.start()];
                hidden += shown[found.pattern().as_usize()];
                from = found.end();
            }
        }
        if from == 0 {
            return text.into();
        }
        hidden += &text[from..];
        hidden.into()
    }
}

/// Whether a range of a text has no letter, digit or underscore next to it.
fn is_whole(text: &str, range: std::ops::Range<usize>) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    !text[..range.start].ends_with(in_word) && !text[range.end..].starts_with(in_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(pairs: &[(&str, &str)], file: &str) -> Secrets {
        let mut noted = Noted::default();
        for (name, value) in pairs {
            let part = Part::Variable { name: (*name).to_owned(), value: (*value).to_owned(), is_set: true };
            noted.text(&Written::new(format!("${{{name}}}"), vec![part]));
        }
        noted.secrets(file)
    }

    #[test]
    fn values_are_found_however_they_are_spelled() {
        let net = secrets(&[("A", "Can\"ary one"), ("KEY", "first line\nsecond line"), ("STAGE", "prod")], "");
        for (text, expected) in [
            ("nothing", "nothing"),
            ("xCan\"ary onex", "x${A}x"),
            (r#"{"a":"Can\"ary one"}"#, r#"{"a":"${A}"}"#),
            ("/Can%22ary%20one/", "/${A}/"),
            ("can\"ary one", "${A}"),
            ("first line\nsecond line", "${KEY}"),
            ("> second line", "> ${KEY}"),
            ("orders-prod is no product", "orders-${STAGE} is no product"),
        ] {
            assert_eq!(net.hide(text), expected, "{text}");
        }
    }

    #[test]
    fn what_everybody_may_know_is_not_hidden() {
        let net =
            secrets(&[("A", "abc"), ("B", "1000"), ("C", "true"), ("D", "Error"), ("E", "shop")], "from = \"shop\"");
        assert!(net.is_empty(), "{net:?}");
        assert_eq!(net.hide("abc 1000 true Error shop"), "abc 1000 true Error shop");
    }
}
