//! Where serde stopped in a JSON text, as a JSON pointer.
//!
//! serde knows only line and column. The path is found by walking the text up to there, after the failure, so that
//! valid data costs nothing extra.

use serde_json::error::Error;

/// A type's name and those of its parameters, without their modules.
pub(crate) fn type_name<T>() -> String {
    without_modules(std::any::type_name::<T>())
}

/// Not generic, so that a guest contains it once; and without `str::split`, which costs a guest 3 kB.
#[cold]
fn without_modules(path: &str) -> String {
    let mut name = Vec::with_capacity(path.len());
    let mut bytes = path.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b':' && bytes.next_if_eq(&b':').is_some() {
            // Bytes outside ASCII are parts of names, too.
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
            let module = name.iter().rev().take_while(|byte| is_name(byte)).count();
            name.truncate(name.len() - module);
        } else {
            name.push(byte);
        }
    }
    String::from_utf8(name).unwrap_or_else(|_| path.to_owned())
}

/// serde's message and the JSON pointer of the place.
#[cold]
pub(crate) fn describe(text: &[u8], error: &Error) -> String {
    let pointer = pointer_at(&text[..offset(text, error.line(), error.column())]);
    if pointer.is_empty() { error.to_string() } else { format!("{error}, in {pointer}") }
}

/// Bytes before the place: `line` counts from 1, `column` is the number of bytes read of the line.
fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive(|&byte| byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    start.saturating_add(column).min(text.len())
}

enum Container {
    Object(Option<String>),
    Array(usize),
}

/// The pointer of the value in which the truncated text ends.
fn pointer_at(text: &[u8]) -> String {
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let last = at + 1 == text.len();
        match byte {
            b'{' => open.push(Container::Object(None)),
            b'[' => open.push(Container::Array(0)),
            b'}' | b']' => drop(open.pop()),
            // A comma at the very end stopped the reader after the value before it.
            b',' if !last => match open.last_mut() {
                Some(Container::Array(index)) => *index += 1,
                Some(Container::Object(key)) => *key = None,
                None => {}
            },
            b'"' => {
                let end = string_end(text, at);
                if let Some(Container::Object(key @ None)) = open.last_mut() {
                    *key = Some(unescape(&text[at..end]));
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    render(&open)
}

/// One past the closing quote of the string that starts at `start`, or the end of the text.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = text.get(at) {
        at += if byte == b'\\' { 2 } else { 1 };
        if byte == b'"' {
            break;
        }
    }
    at.min(text.len())
}

fn unescape(quoted: &[u8]) -> String {
    serde_json::from_slice(quoted).unwrap_or_else(|_| std::str::from_utf8(quoted).unwrap_or("?").to_owned())
}

fn render(open: &[Container]) -> String {
    let mut pointer = String::new();
    for container in open {
        match container {
            Container::Object(Some(key)) => {
                pointer.push('/');
                for char in key.chars() {
                    match char {
                        '~' => pointer.push_str("~0"),
                        '/' => pointer.push_str("~1"),
                        other => pointer.push(other),
                    }
                }
            }
            Container::Object(None) => {}
            Container::Array(index) => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug)]
    struct Order {
        #[serde(rename = "lines/all")]
        _lines: Vec<Line>,
    }

    #[derive(Deserialize, Debug)]
    struct Line {
        _sku: String,
        _quantity: u32,
    }

    fn failure<T: serde::de::DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
        describe(text.as_bytes(), &serde_json::from_str::<T>(text).unwrap_err())
    }

    #[test]
    fn a_wrong_type_is_named_by_its_path() {
        let text = r#"{"a": [1, "}"], "lines/all": [{"_sku": "a,b", "_quantity": 1}, {"_sku": "c", "_quantity": -2}]}"#;
        let said = failure::<Order>(text);
        assert!(said.contains("invalid value: integer `-2`"), "{said}");
        assert!(said.ends_with("in /lines~1all/1/_quantity"), "{said}");
    }

    #[test]
    fn a_missing_field_is_named_by_its_object() {
        let said = failure::<Order>("{\n \"lines/all\": [\n  {\"_sku\": \"a\"}\n ]\n}");
        assert!(said.starts_with("missing field `_quantity` at line 3"), "{said}");
        assert!(said.ends_with("in /lines~1all/0"), "{said}");
    }

    #[test]
    fn at_the_root_there_is_no_path() {
        assert_eq!(failure::<Line>("{}"), "missing field `_sku` at line 1 column 2");
        assert_eq!(failure::<Line>(""), "EOF while parsing a value at line 1 column 0");
    }

    #[test]
    fn any_cut_of_any_text_is_survived() {
        let text = br#"{"a\"": [{"b\u00e9": "\\"}, "\ud800", ]], }, "c"#;
        for end in 0..=text.len() {
            pointer_at(&text[..end]);
        }
        assert_eq!(pointer_at(br#"{"a\"b": {"c"#), "/a\"b/\"c");
    }

    #[test]
    fn type_names_lose_their_modules() {
        assert_eq!(type_name::<Line>(), "Line");
        assert_eq!(type_name::<Vec<(String, u8)>>(), "Vec<(String, u8)>");
        assert_eq!(type_name::<&[Option<Line>]>(), "&[Option<Line>]");
        assert_eq!(without_modules("Vec<größe::Ärger>"), "Vec<Ärger>");
        assert_eq!(without_modules("a: b::C"), "a: C");
    }
}
