use std::collections::HashMap;

use proptest::prelude::*;

use super::testing::{FORBIDDEN, hides_nothing, read};
use super::*;

/// Texts with many escapes, backslashes, and sequences that look like escapes.
fn text() -> impl Strategy<Value = String> {
    let forbidden: Vec<char> = FORBIDDEN.chars().collect();
    let piece = prop_oneof![
        3 => proptest::sample::select(forbidden).prop_map(String::from),
        2 => proptest::sample::select(vec!["\\", "n", "t", "u{a}", "\\n", "\\\\", "\\u{202e}", "\n  | ", "  | ", "|", " "])
            .prop_map(String::from),
        2 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_one_line_that_hides_nothing_and_stands_for_no_other(text in text()) {
        let shown = line(&text);
        prop_assert!(hides_nothing(&shown), "{shown:?}");
        prop_assert_eq!(read(&shown), text);
    }

    #[test]
    fn further_lines_stand_behind_the_margin_and_stand_for_no_other_text(text in text()) {
        let shown = lines(&text);
        let mut parts = shown.split('\n');
        let mut back = read(parts.next().expect("a first line"));
        for part in parts {
            prop_assert!(part.starts_with(MARGIN) && hides_nothing(part), "{part:?}");
            back.push('\n');
            back.push_str(&read(&part[MARGIN.len()..]));
        }
        prop_assert_eq!(back, text);
    }

    #[test]
    fn json_keeps_its_value_and_hides_nothing(text in text(), pretty in any::<bool>()) {
        let value = serde_json::json!({ (text.clone()): [text] });
        let json = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let json = json.expect("JSON");
        let shown = super::json(&json);
        prop_assert!(shown.split('\n').all(hides_nothing), "{shown:?}");
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
    }

    #[test]
    fn a_place_of_a_file_is_the_same_place_when_it_is_shown(before in text(), marked in text(), after in text()) {
        let file = format!("{before}{marked}{after}");
        let shown = Shown::new(&file);
        let hidden = |c: char| c != '\n' && c != '\t' && c != '\r' && (c.is_control() || FORBIDDEN.contains(c));
        prop_assert!(!shown.text.contains(hidden) && !shown.text.replace("\r\n", "").contains('\r'), "{:?}", shown.text);
        prop_assert_eq!(shown.text.matches('\n').count(), file.matches('\n').count());
        let place = shown.place(&(before.len()..before.len() + marked.len()));
        // A carriage return at a boundary may belong to the line end after it.
        if !file.contains('\r') {
            prop_assert_eq!(&shown.text[place], &*Shown::new(&marked).text);
        }
    }
}

#[test]
fn every_forbidden_character_is_escaped_and_writing_is_not() {
    let mut seen = HashMap::new();
    for c in FORBIDDEN.chars() {
        assert!(is_hidden(c), "{}", c.escape_unicode());
        assert_eq!(seen.insert(line(&c.to_string()).into_owned(), c), None);
    }
    for text in ["Grüße, e\u{301}", "日本語 한국어", "שלום مرحبا", "हिन्दी ไทย", "naïve \u{1f600} ±√", "\"'`<>&$#"]
    {
        assert_eq!(line(text), text);
    }
    assert_eq!(line("a\nb\\n\t\u{1b}[2J\u{202e}"), r"a\nb\\n\t\u{1b}[2J\u{202e}");
    assert_eq!(line("\u{1f469}\u{200d}\u{1f52c}"), "\u{1f469}\\u{200d}\u{1f52c}", "joined emoji are shown apart");
    assert_eq!(lines("a\n\nb"), "a\n  | \n  | b");
    assert_eq!(super::json("{\r\n\t\"a\": \"\u{202e}\u{e0001}\"}"), "{ \n\t\"a\": \"\\u202e\\udb40\\udc01\"}");
}
