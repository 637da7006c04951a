//! The pages of `docs/codes`, one per code, as part of the program.

macro_rules! pages {
    ($($code:literal,)*) => {
        &[$(($code, include_str!(concat!("../../../docs/codes/", $code, ".md")))),*]
    };
}

/// Each code with its page, in the order of the codes.
pub(super) const PAGES: &[(&str, &str)] = pages![
    "bad-field",
    "bad-name",
    "bad-value",
    "cancelled",
    "cpu-above-timeout",
    "cpu-limit",
    "dead-letter-circle",
    "dead-letter-loop",
    "denied",
    "done",
    "duplicate",
    "duplicate-key",
    "emit-denied",
    "emit-invalid",
    "emit-limit",
    "empty",
    "file",
    "foreign-pattern",
    "format-mismatch",
    "hop-limit",
    "host",
    "host-call-limit",
    "http-limit",
    "initial-above-max",
    "invalid-event",
    "invalid-json",
    "memory-limit",
    "misconfigured",
    "missing",
    "missing-field",
    "missing-key",
    "module",
    "never",
    "no-retry",
    "no-such-field",
    "not-granted",
    "not-utf8",
    "out-of-range",
    "park-without-order",
    "path-escapes",
    "refused",
    "reject",
    "rejected",
    "repeated",
    "retries-exhausted",
    "retry",
    "self-loop",
    "shadowed",
    "short-lease",
    "short-window",
    "stale-receipt",
    "state-limit",
    "syntax",
    "throttled",
    "timeout",
    "too-deep",
    "too-large",
    "too-many",
    "too-old",
    "trap",
    "undeliverable",
    "unknown-channel",
    "unknown-envelope",
    "unknown-key",
    "unreachable",
    "unreadable",
    "unrouted",
    "variable",
    "write-only",
    "wrong-type",
];

/// The text after the code in a page's first line, `# CODE: summary`.
pub(super) fn summary(page: &str) -> &str {
    page.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, summary)| summary)
}

/// The known code most similar to this one.
pub(super) fn nearest(code: &str) -> Option<&'static str> {
    let likeness = |known: &&str| strsim::jaro(known, code);
    PAGES.iter().map(|(known, _)| *known).max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The second argument of a call, if it is a string; `call` begins after the opening parenthesis.
    fn second_argument(call: &str) -> Option<&str> {
        let (mut depth, mut commas, mut start) = (0, 0, 0);
        for (at, c) in call.char_indices() {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' if depth > 0 => depth -= 1,
                ',' | ')' if depth == 0 => {
                    if commas == 1 || c == ')' {
                        let argument = call[start..at].trim();
                        return argument.strip_prefix('"')?.strip_suffix('"');
                    }
                    (commas, start) = (1, at + 1);
                }
                _ => {}
            }
        }
        None
    }

    /// The strings between two marks in a text.
    fn strings<'t>(text: &'t str, from: &str, to: &str) -> Vec<&'t str> {
        let inside = text.split_once(from).and_then(|(_, rest)| rest.split_once(to)).map(|(inside, _)| inside);
        inside.unwrap_or_else(|| panic!("no {from}")).split('"').skip(1).step_by(2).collect()
    }

    /// Every code in a source file that users see.
    fn collect(file: &Path, found: &mut BTreeSet<String>) {
        let text = fs::read_to_string(file).expect("a source file");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let mut codes: Vec<&str> = Vec::new();
        for marker in ["Problem::at(", ".problem(", ".error("] {
            codes.extend(text.split(marker).skip(1).filter_map(second_argument));
        }
        if text.contains("fn code(self) -> &'static str") {
            codes.extend(strings(text, "fn code(self) -> &'static str", "\n    }\n"));
        }
        if file.ends_with("host/src/judge.rs") {
            codes.extend(strings(text, "pub fn judge(", "\n}\n"));
            codes.extend(strings(text, "pub fn describe(", "\n}\n").into_iter().filter(|code| !code.is_empty()));
        }
        codes.extend(text.split("end_span(\"").skip(1).filter_map(|rest| rest.split('"').next()));
        if file.iter().any(|part| part == "host") {
            codes.extend(text.split(" reason: \"").skip(1).filter_map(|rest| rest.split('"').next()));
        }
        if file.ends_with("store/dead_letter.rs") {
            codes.extend(text.split(": &str = \"").skip(1).filter_map(|rest| rest.split('"').next()));
        }
        found.extend(codes.into_iter().map(str::to_owned));
    }

    fn sources(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
            match (entry.is_dir(), entry.file_name().and_then(|name| name.to_str()).unwrap_or_default()) {
                (true, "tests" | "benches" | "conformance") | (false, "tests.rs") => {}
                (true, _) => sources(&entry, found),
                (false, name) if name.ends_with(".rs") => collect(&entry, found),
                (false, _) => {}
            }
        }
    }

    #[test]
    fn every_page_is_part_of_the_program() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/codes");
        let files = fs::read_dir(folder).expect("the pages").flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        let codes: BTreeSet<String> = names.map(|name| name.strip_suffix(".md").unwrap_or(&name).to_owned()).collect();
        let listed: Vec<String> = PAGES.iter().map(|(code, _)| (*code).to_owned()).collect();
        assert_eq!(listed, codes.into_iter().collect::<Vec<_>>(), "PAGES is the folder, in its order");
    }

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let mut given = BTreeSet::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut given);
        let explained: BTreeSet<String> = PAGES.iter().map(|(code, _)| (*code).to_owned()).collect();
        let missing: Vec<_> = given.difference(&explained).collect();
        let stale: Vec<_> = explained.difference(&given).collect();
        assert!(missing.is_empty() && stale.is_empty(), "no page: {missing:?}; no code: {stale:?}");
    }

    #[test]
    fn pages_begin_with_their_code_and_name_others_that_exist() {
        for (code, page) in PAGES {
            assert!(page.starts_with(&format!("# {code}: ")) && !summary(page).is_empty(), "{code}: {page}");
            let others =
                page.lines().filter_map(|line| line.strip_prefix("See also ")).flat_map(|line| line.split('`'));
            for other in others.skip(1).step_by(2) {
                assert!(PAGES.iter().any(|(known, _)| *known == other), "{code} names `{other}`");
            }
        }
    }
}
