use std::sync::{Arc, Mutex, PoisonError};

use proptest::prelude::*;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use reactor_core::plain;
use reactor_core::plain::testing::{FORBIDDEN, hides_nothing, read};

use super::*;

/// Texts with characters that must not reach a terminal, backslashes, and text that looks like an escape.
fn text() -> impl Strategy<Value = String> {
    let hidden = FORBIDDEN.chars().map(String::from);
    let pieces =
        hidden.chain(["\\", "n", "\\n", "\\u{202e}", "\n  | ", "|", " ", "a"].map(String::from)).collect::<Vec<_>>();
    proptest::collection::vec(proptest::sample::select(pieces), 0..6).prop_map(|pieces| pieces.concat())
}

/// Texts that could be mistaken for part of a log line.
fn id() -> impl Strategy<Value = String> {
    let forged = proptest::sample::select(vec!["", "\"", ": done (3 ms)", " | ", ":", "(attempt 2)", "a", "\\\""]);
    (text(), forged, text()).prop_map(|(before, forged, after)| before + forged + &after)
}

/// The first word of the rest of a log line, and what follows.
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

proptest! {
    #[test]
    fn nothing_in_an_id_or_a_type_is_taken_for_another_part_of_the_line(id in id(), said in text()) {
        let lines = logged(|| {
            let span = tracing::info_span!("delivery", reactor = "r", r#type = id, event = id, attempt = 1);
            span.in_scope(|| tracing::info!(target: LOG_TARGET, "{said}"));
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
        let span = format!("shown={}", plain::line(&name));
        prop_assert!(line.contains(&*plain::line(&said)), "{line}");
        prop_assert!(line.contains(&span), "{line}");
    }
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
        span.in_scope(|| tracing::info!(target: LOG_TARGET, "{}", "one card: done\ntwo"));
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
    let subscriber = lines.fmt_fields(Fields).event_format(Lines(NoTime)).finish();
    tracing::subscriber::with_default(subscriber, log);
    let bytes = written.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    String::from_utf8(bytes).expect("text")
}
