use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use proptest::prelude::*;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use super::log::GUEST;
use super::*;

/// Some of every kind that must not reach a terminal, written down apart from the table that is tested.
const FORBIDDEN: &str = "\0\u{7}\u{8}\t\n\u{b}\u{c}\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\
    \u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2061}\u{2064}\
    \u{2066}\u{2067}\u{2068}\u{2069}\u{206a}\u{206f}\u{3164}\u{fe00}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{fffa}\u{fffb}\
    \u{1d173}\u{e0001}\u{e0020}\u{e007f}\u{e0100}\u{e01ef}";

/// Texts with many escapes, backslashes, and what looks like an escape.
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

/// What an escaped line stands for.
fn read(shown: &str) -> String {
    let (mut text, mut chars) = (String::new(), shown.chars());
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        text.push(match chars.next().expect("an escape") {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '\\' => '\\',
            '"' => '"',
            '0' => '\0',
            'u' => {
                let digits: String = chars.by_ref().take_while(|c| *c != '}').skip(1).collect();
                char::from_u32(u32::from_str_radix(&digits, 16).expect("digits")).expect("a character")
            }
            other => panic!("\\{other} in {shown}"),
        });
    }
    text
}

/// Texts that could be taken for a part of a log line.
fn id() -> impl Strategy<Value = String> {
    let forged = proptest::sample::select(vec!["", "\"", ": done (3 ms)", " | ", ":", "(attempt 2)", "a", "\\\""]);
    (text(), forged, text()).prop_map(|(before, forged, after)| before + forged + &after)
}

/// The word that a log line goes on with, and what follows.
fn word(rest: &str) -> (String, &str) {
    let Some(quoted) = rest.strip_prefix('"') else {
        // The colon that follows it is the last one.
        let end = rest.find(' ').expect("a space");
        let end = end - usize::from(rest[..end].ends_with(':') && rest[end..].starts_with(" dead letter"));
        return (read(&rest[..end]), &rest[end..]);
    };
    let mut is_escaped = false;
    let ends = |c| {
        let was_escaped = std::mem::replace(&mut is_escaped, false);
        is_escaped = c == '\\' && !was_escaped;
        c == '"' && !was_escaped
    };
    let end = quoted.find(ends).expect("a closing quote");
    (read(&quoted[..end]), &quoted[end + 1..])
}

fn hides_nothing(shown: &str) -> bool {
    !shown.contains(|c: char| c.is_control() || FORBIDDEN.contains(c))
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
        // A carriage return at a seam may belong to the line end behind it.
        if !file.contains('\r') {
            prop_assert_eq!(&shown.text[place], &*Shown::new(&marked).text);
        }
    }

    #[test]
    fn nothing_in_an_id_or_a_type_is_taken_for_another_part_of_the_line(id in id(), said in text()) {
        let lines = logged(|| {
            let span = tracing::info_span!("delivery", reactor = "r", r#type = id, event = id, attempt = 1);
            span.in_scope(|| tracing::info!(target: GUEST, "{said}"));
            tracing::warn!(reactor = "r", r#type = id, event = id, error = format!("!{said}"), "dead letter");
        });
        for (line, before) in lines.split_terminator('\n').zip([" | ", ": dead letter: !"]) {
            let rest = line.trim_start().split_once(" r ").expect("the reactor").1;
            let (shown, rest) = word(rest);
            prop_assert_eq!(shown, &*id, "the type in {}", line);
            let (shown, rest) = word(rest.strip_prefix(' ').expect("the event"));
            prop_assert_eq!(shown, &*id, "the event in {}", line);
            prop_assert_eq!(rest.strip_prefix(before).map(read), Some(said.clone()), "{}", line);
        }
        prop_assert_eq!(lines.matches('\n').count(), 2);
    }

    #[test]
    fn an_event_of_the_log_is_one_line_that_hides_nothing(name in text(), said in text()) {
        let logged = logged(|| {
            let span = tracing::info_span!("delivery", event = name, shown = %name, debugged = ?name);
            let _in = span.enter();
            tracing::info!(text = said, shown = %said, r#type = ?Some(&said), "{said}");
        });
        let line = logged.strip_suffix('\n').expect("a line end");
        prop_assert!(hides_nothing(line), "{line:?}");
        let span = format!("shown={}", super::line(&name));
        prop_assert!(line.contains(&*super::line(&said)), "{line}");
        prop_assert!(line.contains(&span), "{line}");
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

#[test]
fn diagnostics_stand_below_their_event_behind_the_margin() {
    let logged = logged(|| tracing::error!(diagnostics = %"error: \\x\n --> a\u{202e}", "refused:"));
    assert!(logged.ends_with("refused:\n  | error: \\x\n  |  --> a\\u{202e}\n"), "{logged}");
}

#[test]
fn a_line_is_about_a_delivery_and_says_what_happened() {
    let lines = logged(|| {
        let span = tracing::info_span!(
            "delivery",
            reactor = "pay",
            r#type = "order.placed",
            event = "evt-1",
            correlation = "flow-1",
            attempt = 2
        );
        span.in_scope(|| tracing::info!(target: GUEST, "{}", "one card: done\ntwo"));
        span.in_scope(|| tracing::warn!("a request was denied"));
        let (reactor, r#type, event) = ("pay", "order.placed", "evt-1");
        tracing::debug!(reactor, r#type, event, attempt = 1, ms = 3, emitted = 0, "done");
        tracing::debug!(reactor, r#type, event, attempt = 2, ms = 3, emitted = 1, "done");
        tracing::info!(reactor, r#type, event, code = "retry", ms = 0, again_in_ms = 127, error = "503: busy", "retry");
        tracing::warn!(reactor, r#type, event = "a b", reason = "rejected", ms = 2, error = "", "dead letter");
        tracing::warn!(channel = "shop", offset = 12, code = "invalid-json", "message could not be decoded");
        tracing::info!(reactor, from = "a1", "module replaced");
        tracing::info!("up");
    });
    let expected = [
        "INFO pay order.placed evt-1 (attempt 2) | one card: done\\ntwo",
        "WARN pay order.placed evt-1 (attempt 2): a request was denied",
        "DEBUG pay order.placed evt-1: done (3 ms)",
        "DEBUG pay order.placed evt-1: done (attempt 2, 3 ms, emitted 1)",
        "INFO pay order.placed evt-1: retry (0 ms, again in 127 ms): 503: busy",
        "WARN pay order.placed \"a b\": dead letter (rejected, 2 ms)",
        "WARN channel shop/12: message could not be decoded (invalid-json)",
        "INFO pay: module replaced (from=\"a1\")",
        "INFO up",
    ];
    assert_eq!(lines.lines().map(str::trim_start).collect::<Vec<_>>(), expected);
}

struct NoTime;

impl FormatTime for NoTime {
    fn format_time(&self, _: &mut Writer<'_>) -> std::fmt::Result {
        Ok(())
    }
}

fn logged(log: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let written = Written::default();
    let writer = written.clone();
    let lines = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let subscriber = lines.fmt_fields(super::log::Fields).event_format(super::log::Lines(NoTime)).finish();
    tracing::subscriber::with_default(subscriber, log);
    let bytes = written.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    String::from_utf8(bytes).expect("text")
}
