//! One word, one thing: words that were given up for the field's own do not come back.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// What is not written any more, and what is written for it. A word is found at the beginning of a longer one, too.
const GIVEN_UP: [(&str, &str); 9] = [
    ("inlet", "poller"),
    ("outlet", "sender"),
    ("guess", "speculative run"),
    ("put away", "away"),
    ("channel outside", "remote channel"),
    ("channels outside", "remote channels"),
    ("queue outside", "remote queue"),
    ("queues outside", "remote queues"),
    ("topic outside", "remote topic"),
];

#[test]
fn words_that_were_given_up_do_not_come_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for folder in ["runtime", "guest-sdk", "docs", "examples", "xtask/src"] {
        collect(&root.join(folder), &mut files);
    }
    files.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    assert!(files.len() > 300, "only {} files were found", files.len());
    let mut found = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            for (word, instead) in in_line(line) {
                let place = file.strip_prefix(root).unwrap().display();
                found.push(format!("{place}:{number}: `{word}`; write `{instead}`"));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_word_is_found_in_any_case_and_form_and_not_inside_another() {
    let words = |line| in_line(line).map(|(word, _)| word).collect::<Vec<_>>();
    assert_eq!(words("struct Inlets { outlet: u8 }"), ["inlet", "outlet"]);
    assert_eq!(words("a queue outside is guessed"), ["guess", "queue outside"]);
    assert_eq!(words("fn is_inlet()"), ["inlet"]);
    assert!(words("the finlet of a toutlet stays outside").is_empty());
}

/// The words in a line that were given up.
fn in_line(line: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let line = line.to_lowercase();
    GIVEN_UP.into_iter().filter(move |(word, _)| {
        line.match_indices(word).any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric()))
    })
}

/// Sources and pages in a folder and those below it.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_text =
            path.extension().is_some_and(|end| ["rs", "md", "sql", "wit", "toml"].iter().any(|text| end == *text));
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if is_text {
            files.push(path);
        }
    }
}
