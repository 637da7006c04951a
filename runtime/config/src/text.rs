//! Strings of the file: variables replaced, and every byte still traceable to its position.

use std::ops::Range;

use super::Env;
use super::written::{Part, Written, meaning};

/// A string, with variables replaced.
#[derive(Clone)]
pub struct Text {
    /// Its value. Must not be printed.
    pub value: String,
    /// The form shown in messages: a variable appears by its name, since its value may be secret.
    pub(super) written: String,
    pub(super) span: Range<usize>,
    /// Whether a variable is part of it.
    pub(super) has_variable: bool,
    /// Its literal parts and variables.
    parts: Vec<Part>,
}

impl Text {
    /// A key, in which no variables are replaced.
    pub(super) fn key(name: &str, span: Range<usize>) -> Self {
        let parts = vec![Part::Literal(name.to_owned())];
        Self { value: name.to_owned(), written: name.to_owned(), span, has_variable: false, parts }
    }

    /// A string made of these parts.
    pub(super) fn of(written: &str, span: Range<usize>, parts: Vec<Part>) -> Self {
        let has_variable = parts.iter().any(|part| matches!(part, Part::Variable { .. }));
        Self { value: meaning(&parts), written: written.to_owned(), span, has_variable, parts }
    }

    /// The form the program keeps. Without a variable, it is shown by its meaning, so `$$` appears as a dollar sign.
    pub fn kept(&self) -> Written {
        let shown = if self.has_variable { &self.written } else { &self.value };
        Written::new(shown.clone(), self.parts.clone())
    }

    /// The reason, if it cannot leak a value; otherwise a generic one.
    pub(super) fn reason(&self, why: impl Into<String>) -> String {
        if self.has_variable { "what it stands for is of no use here".to_owned() } else { why.into() }
    }
}

/// An error in a variable, and where in the string.
pub(super) struct VariableError {
    pub(super) at: Range<usize>,
    pub(super) why: String,
    pub(super) help: String,
}

/// Replaces `${NAME}` and `${NAME:-default}`; `$$` is a dollar sign.
pub(super) fn substitute(text: &str, env: Env<'_>) -> Result<Vec<Part>, VariableError> {
    let (mut parts, mut done, mut rest) = (Vec::new(), String::new(), text);
    let fail = |at: Range<usize>, why: String, help: &str| Err(VariableError { at, why, help: help.to_owned() });
    while let Some((before, after)) = rest.split_once('$') {
        let at = text.len() - after.len() - 1;
        done.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            done.push('$');
            rest = after;
            continue;
        }
        let Some(inside) = after.strip_prefix('{') else {
            let why = "a lone dollar sign".to_owned();
            return fail(at..at + 1, why, "write `$$` for a dollar sign, and `${NAME}` for a variable");
        };
        let Some((variable, after)) = inside.split_once('}') else {
            return fail(
                at..text.len(),
                "this variable has no `}`".to_owned(),
                "write `${NAME}`, or `$$` for a dollar sign",
            );
        };
        let (name, default) = match variable.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        let end = text.len() - after.len();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let why = format!("`{name}` is no name of a variable");
            return fail(
                at..end,
                why,
                "a name has letters, digits and `_`; a default follows `:-`, as in `${NAME:-default}`",
            );
        }
        let given = env(name);
        let is_set = given.is_some();
        match given.or_else(|| default.map(str::to_owned)) {
            Some(value) => {
                parts.extend(literal(&mut done));
                parts.push(Part::Variable { name: name.to_owned(), value, is_set });
            }
            None => {
                let help = format!("set it, or give it a default: `${{{name}:-default}}`");
                return fail(at..end, format!("the environment variable `{name}` is not set"), &help);
            }
        }
        rest = after;
    }
    done.push_str(rest);
    parts.extend(literal(&mut done));
    Ok(parts)
}

fn literal(text: &mut String) -> Option<Part> {
    (!text.is_empty()).then(|| Part::Literal(std::mem::take(text)))
}

/// The position of byte `at` of a string's value within its literal, counting quotes and escapes.
pub(super) fn offset_in_literal(literal: &str, at: usize) -> usize {
    let quotes =
        ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quotes| literal.starts_with(quotes)).unwrap_or_default();
    let mut raw = quotes.len();
    if quotes.len() == 3 {
        // A newline right after the opening quotes is not part of the value.
        let rest = &literal[raw..];
        raw += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
    }
    let mut decoded = 0;
    while decoded < at {
        let Some(first) = literal[raw..].chars().next() else { break };
        let (width, bytes) = if first == '\\' && quotes.starts_with('"') {
            escape(&literal[raw..])
        } else {
            (first.len_utf8(), first.len_utf8())
        };
        raw += width;
        decoded += bytes;
    }
    raw.min(literal.len())
}

/// The length in bytes of an escape as written, and of its value.
fn escape(text: &str) -> (usize, usize) {
    let digits = match text[1..].chars().next() {
        Some('x') => 2,
        Some('u') => 4,
        Some('U') => 8,
        Some(blank) if blank.is_whitespace() => return (text.len() - text[1..].trim_start().len(), 0),
        Some(letter) => return (1 + letter.len_utf8(), 1),
        None => return (1, 1),
    };
    let character = text.get(2..2 + digits).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
    ((2 + digits).min(text.len()), character.map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use toml::de::{DeTable, DeValue};

    use super::*;

    #[test]
    fn variables_are_replaced_once() {
        let env = |name: &str| (name == "A").then(|| "${B}$".to_owned());
        let value = |text| {
            let parts = substitute(text, &env).map_err(|error| (error.at, error.why))?;
            let text = Text::of(text, 0..0, parts);
            Ok((text.value, text.has_variable))
        };
        assert_eq!(value("x"), Ok(("x".into(), false)));
        assert_eq!(value("$$x$$"), Ok(("$x$".into(), false)));
        assert_eq!(value("<${A}>"), Ok(("<${B}$>".into(), true)));
        assert_eq!(value("${B:-a:-b}"), Ok(("a:-b".into(), true)));
        assert_eq!(value("${B:-}"), Ok((String::new(), true)));
        assert_eq!(value("é${B}").map_err(|(at, _)| at), Err(2..6));
        assert_eq!(value("a$b").map_err(|(at, _)| at), Err(1..2));
        assert_eq!(value("a${A").map_err(|(at, _)| at), Err(1..4));
        assert_eq!(value("${A B}").map_err(|(at, _)| at), Err(0..6));
    }

    #[test]
    fn every_byte_of_a_value_is_found_in_its_literal() {
        let literals = [
            r#""plain é""#,
            r#"'C:\no\escapes'"#,
            r#""tab\t, \"quote\", \u00e9, \U0001F600, \x41, \\ end""#,
            "\"\"\"\nfirst\n  second \\\n     third\"\"\"",
            "'''\nraw \\n'''",
        ];
        for literal in literals {
            let file = format!("key = {literal}");
            let table = DeTable::parse(&file).expect(literal);
            let Some((_, value)) = table.get_ref().iter().next() else { panic!("{literal}") };
            let DeValue::String(value) = value.get_ref() else { panic!("{literal}") };
            for (at, character) in value.char_indices() {
                let rest = &literal[offset_in_literal(literal, at)..];
                let as_written = rest.starts_with(character);
                assert!(as_written || rest.starts_with('\\'), "{literal}: {character:?} at {at} is not {rest:?}");
            }
            let end = &literal[offset_in_literal(literal, value.len())..];
            assert!(matches!(end, "\"" | "'" | "\"\"\"" | "'''"), "{literal}: {end:?}");
        }
    }
}
