//! The messages for an invalid `reactors.toml`: compares every `config/NAME.toml` with `config/NAME.txt`. `BLESS=1`
//! rewrites them. Also checks that `docs/reactors-toml.md` lists exactly the keys that are read.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use reactor_channel_aws::testing::KINDS;
use reactor_config::{Loaded, Problems};

const FULL: &str = include_str!("config_full.toml");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

fn env(name: &str) -> Option<String> {
    match name {
        "HOME" => Some("/home/me".to_owned()),
        "SECRET" => Some("canary*".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Loaded, Problems> {
    reactor_config::parse(text, Path::new("reactors.toml"), &env, KINDS)
}

/// What the user sees: errors, or else warnings.
fn told(text: &str) -> String {
    match parse(text) {
        Err(problems) => problems.render(false),
        Ok(loaded) => loaded.warnings.render(false),
    }
}

/// Compares every case of a folder with its expected output; returns their number.
fn compare(folder: &Path) -> usize {
    let bless = std::env::var_os("BLESS").is_some();
    let names = |ending: &str| -> BTreeSet<String> {
        let files = fs::read_dir(folder).expect("the folder of cases").flatten().map(|entry| entry.path());
        let of_kind = files.filter(|path| path.extension().is_some_and(|found| found == ending));
        of_kind.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
    };
    let (cases, mut wrong) = (names("toml"), Vec::new());
    for name in &cases {
        let read = |ending| fs::read_to_string(folder.join(name).with_extension(ending));
        let found = told(&read("toml").expect("a case")) + "\n";
        assert!(found.len() > 1, "{name}: nothing is wrong with it");
        if bless {
            fs::write(folder.join(name).with_extension("txt"), found).expect("a golden file");
        } else if read("txt").unwrap_or_default() != found {
            wrong.push(format!("--- {name}: expected\n{}--- {name}: found\n{found}", read("txt").unwrap_or_default()));
        }
    }
    let orphans: Vec<_> = names("txt").difference(&cases).cloned().collect();
    assert!(orphans.is_empty(), "golden files without a case: {orphans:?}");
    assert!(wrong.is_empty(), "{}\nBLESS=1 writes them anew", wrong.join("\n"));
    cases.len()
}

#[test]
fn golden() {
    let cases = compare(&folder());
    assert!(cases >= 140, "only {cases} cases");
}

/// Files as written by people who know other systems.
#[test]
fn golden_from_the_field() {
    let cases = compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/field/config"));
    assert!(cases >= 3, "only {cases} cases");
}

#[test]
fn errors_as_json_have_their_place() {
    let problems = parse("[channels.a]\nkind = \"local\"\nretenion = \"1d\"\n").expect_err("a wrong key");
    let json = problems.to_json();
    let first = &json["problems"][0];
    assert_eq!((&first["line"], &first["column"], &first["code"]), (&3.into(), &1.into(), &"unknown-key".into()));
}

#[test]
fn what_a_variable_stands_for_is_never_shown() {
    let text = fs::read_to_string(folder().join("secret_in_variable.toml")).expect("a case");
    let problems = parse(&text).expect_err("nothing in it is of use");
    assert!(problems.iter().count() >= 8);
    let told = format!("{}{}{}{problems:?}", problems.render(false), problems.render(true), problems.to_json());
    assert!(!told.contains("canary"), "{told}");
}

/// The places of the strings in a file.
fn strings(table: &DeTable<'_>, found: &mut Vec<Range<usize>>) {
    fn enter(value: &Spanned<DeValue<'_>>, found: &mut Vec<Range<usize>>) {
        match value.get_ref() {
            DeValue::String(_) => found.push(value.span()),
            DeValue::Array(list) => list.iter().for_each(|value| enter(value, found)),
            DeValue::Table(table) => strings(table, found),
            _ => {}
        }
    }
    table.iter().for_each(|(_, value)| enter(value, found));
}

/// Holds for any value of a variable in any string, valid or not. The canary is too short for `Secrets`, so only output
/// derived from the written form passes.
#[test]
fn no_string_of_the_file_shows_what_its_variable_stands_for() {
    const CANARY: &str = "zq7";
    let mut places = Vec::new();
    strings(DeTable::parse(FULL).expect("TOML").get_ref(), &mut places);
    assert!(places.len() >= 45, "only {} strings", places.len());
    let (mut valid, mut wrong) = (0, 0);
    for place in places {
        let is = FULL[place.clone()].trim_matches('"').replace("$$", "$");
        let file = [&FULL[..place.start], "\"<${V}>\"", &FULL[place.end..]].concat();
        let alone = file.replace("<${V}>", "${V}");
        let beside = alone.replace("${V}", "a${V}b");
        for value in [
            CANARY.to_owned(),
            format!("{is}{CANARY}"),
            format!("{is}.{CANARY}"),
            format!("{is}/{CANARY}"),
            format!("{CANARY}{is}"),
            format!("/{CANARY}/~2"),
            format!("/data/{CANARY}"),
            format!("../{CANARY}"),
            format!("/{CANARY}"),
            format!("https://{CANARY}.example"),
            format!("http://{CANARY}@a"),
            format!("{CANARY}\n\u{1b}[1m\"'\\\0"),
            format!("order.{CANARY}@>=2,<1"),
        ] {
            for file in [&file, &alone, &beside] {
                let env = |name: &str| match name {
                    "V" => Some(value.clone()),
                    "REGION" => Some("eu-1".to_owned()),
                    _ => None,
                };
                let told = match reactor_config::parse(file, Path::new("/srv/reactors.toml"), &env, KINDS) {
                    Ok(loaded) => {
                        valid += 1;
                        format!("{loaded:?}{}{}", loaded.warnings.render(false), loaded.warnings.to_json())
                    }
                    Err(problems) => {
                        wrong += 1;
                        format!("{problems:?}{}{}", problems.render(false), problems.to_json())
                    }
                };
                assert!(
                    !told.to_lowercase().contains(CANARY),
                    "{value:?} in {}: {told}",
                    &file[place.start..place.end + 12]
                );
            }
        }
    }
    assert!(valid > 200 && wrong > 200, "{valid} {wrong}");
}

#[test]
fn a_list_of_problems_ends() {
    let text: String = (0..20_000).map(|number| format!("key-{number} = {number}\n")).collect();
    let problems = parse(&text).expect_err("no such keys");
    assert_eq!(problems.iter().count(), 20_000);
    assert!(problems.render(false).ends_with("... and 19900 more"));
    let json = problems.to_json();
    assert_eq!((json["problems"].as_array().map(Vec::len), &json["more"]), (Some(100), &19_900.into()));
}

#[test]
fn a_list_of_names_ends() {
    let names: Vec<String> = (0..1_001).map(|number| format!("\"type-{number}\"")).collect();
    let text = format!(
        "[channels.a]\nkind = \"local\"\n[reactors.r]\nmodule = \"r.wasm\"\nfrom = \"a\"\non = [{}]\n",
        names.join(", ")
    );
    let json = parse(&text).expect_err("too many").to_json();
    assert_eq!(json["problems"][0]["code"], "too-many");
    assert!(parse(&text.replace(", \"type-1000\"", "")).is_ok());
}

#[test]
fn a_message_does_not_list_every_channel() {
    let channels: String = (0..3_000).map(|number| format!("[channels.c{number}]\nkind = \"local\"\n")).collect();
    let wrong = "[reactors.r]\nmodule = \"r.wasm\"\nfrom = \"elsewhere\"\non = \"a\"\n";
    let told = told(&format!("{channels}{wrong}"));
    assert!(told.contains("there is no channel `elsewhere`"), "{told}");
    assert!(told.len() < 1_000, "{} bytes", told.len());
}

#[test]
fn nesting_without_a_place_points_nowhere() {
    for text in ["a.".repeat(200_000) + "a = 1\n", format!("[{}a]\n", "a.".repeat(200_000))] {
        let told = told(&text);
        assert!(told.contains("error[syntax]") && told.contains("recursion limit"), "{told}");
        assert!(!told.contains("-->"), "{told}");
    }
}

#[test]
fn a_key_as_long_as_the_file_is_not_repeated() {
    let told = told(&format!("[runtime]\n{} = 1\n", "y".repeat(1_000_000)));
    assert!(told.contains("known keys: data-dir") && told.len() < 2_000, "{} bytes", told.len());
}

#[test]
fn colours_are_only_added() {
    let text = fs::read_to_string(folder().join("many_at_once.toml")).expect("a case");
    let problems = parse(&text).expect_err("many");
    let (plain, colored) = (problems.render(false), problems.render(true));
    assert!(colored.contains("\u{1b}[") && !plain.contains('\u{1b}'));
    let mut stripped = String::new();
    for (index, part) in colored.split("\u{1b}[").enumerate() {
        let visible = if index == 0 { part } else { part.split_once('m').expect("a colour").1 };
        stripped.push_str(visible);
    }
    assert_eq!(stripped, plain);
}

#[test]
fn a_file_that_is_none() {
    let dir = tempfile::TempDir::new().expect("a folder");
    let told = |path: &Path| reactor_config::load(path, &env, KINDS).expect_err("it cannot be read").render(false);
    assert!(told(&dir.path().join("none.toml")).contains("cannot read"));
    assert!(told(dir.path()).contains("is a folder"));
    let file = dir.path().join("reactors.toml");
    fs::write(&file, b"a = \"\xff\"").expect("a file");
    assert!(told(&file).contains("not UTF-8"));
    fs::write(&file, vec![b'#'; 2 << 20]).expect("a file");
    assert!(told(&file).contains("larger than"));
}

fn reference() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reactors-toml.md");
    fs::read_to_string(path).expect("docs/reactors-toml.md")
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    let text = reference();
    let mut documented = BTreeSet::new();
    let (mut section, mut table) = ("", "");
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## `[") {
            let name = heading.trim_end_matches("]`").trim_end_matches(".NAME");
            section = match name {
                "channels.NAME.dead-letter" => "channel-dead-letter",
                name => name.rsplit('.').next().expect("a name"),
            };
        } else if let Some(cell) = line.strip_prefix("| ").and_then(|line| line.split('|').next()) {
            match cell.trim() {
                "key" => table = section,
                "origin in `raw`" => table = "origin",
                // Such as "key of `allow`".
                cell if cell.contains(" of `") => table = cell.split('`').nth(1).expect("a name"),
                cell => documented.extend(cell.split('`').skip(1).step_by(2).map(|key| (table, key))),
            }
        }
    }
    let known: BTreeSet<_> = reactor_config::known_keys(KINDS).collect();
    assert_eq!(documented, known);
}

#[test]
fn the_reference_names_every_code_and_no_other() {
    let mut given: BTreeSet<String> = BTreeSet::new();
    for file in fs::read_dir(folder()).expect("the folder of cases").flatten() {
        let text = fs::read_to_string(file.path()).expect("a file");
        let heads = text.lines().filter_map(|line| line.strip_prefix("error[").or(line.strip_prefix("warning[")));
        given.extend(heads.filter_map(|head| head.split(']').next()).map(str::to_owned));
    }
    // These depend on more than a file's text: its size and folder, long lists, and modules.
    given.extend(["file", "too-many", "module", "not-granted"].map(str::to_owned));
    let text = reference();
    let (_, list) = text.split_once("## What can be wrong").expect("the list of codes");
    let mut documented = BTreeSet::new();
    for line in list.lines().filter(|line| line.starts_with("- ")) {
        // A code precedes a colon, alone or with others: "`a`, `b`: ...".
        for phrase in line.trim_start_matches("- ").split(". ") {
            let (codes, _) = phrase.split_once(": ").unwrap_or_default();
            documented.extend(codes.split(", ").map(|code| code.trim_matches('`').to_owned()));
        }
    }
    assert_eq!(documented, given);
}

#[test]
fn the_examples_of_the_reference_are_valid() {
    let text = reference();
    let blocks: Vec<_> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 2);
    for block in blocks {
        assert_eq!(told(block), "", "{block}");
    }
}

#[test]
fn the_repositorys_own_configuration_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reactors.toml");
    let loaded = reactor_config::load(&path, &env, KINDS).map_err(|problems| problems.render(false)).expect("valid");
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.render(false));
    assert_eq!(loaded.config.reactors.len(), 4);
}

mod random {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::told;

    const VALID: &str = include_str!("config_full.toml");

    /// Values of many types; each keeps the file valid TOML when it replaces another.
    fn value() -> impl Strategy<Value = &'static str> {
        let words = ["3", "-1", "0.5", "inf", "true", "[]", "[3, \"a\"]", "{}", "{ a = [] }", "12:00:00"];
        let texts = ["\"\"", "\"é*\"", "\"${X\"", "\"${X}é\"", "\"$$\"", "\"\\u00e9\\n~\""];
        proptest::sample::select([&words[..], &texts].concat())
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            told(&text);
        }

        #[test]
        fn any_value_is_survived(changes in proptest::collection::vec((any::<Index>(), value()), 1..6)) {
            let mut lines: Vec<String> = VALID.lines().map(str::to_owned).collect();
            for (at, value) in changes {
                let at = at.index(lines.len());
                if let Some((key, _)) = lines[at].clone().split_once(" = ") {
                    lines[at] = format!("{key} = {value}");
                }
            }
            told(&lines.join("\n"));
        }

        #[test]
        fn any_damage_is_survived(at in 0..VALID.len(), length in 0usize..40, with in "[\\[\\]{}=\"\n,.a-z0-9@*$/é-]{0,12}") {
            let mut end = (at + length).min(VALID.len());
            let mut start = at;
            while !VALID.is_char_boundary(start) { start -= 1; }
            while !VALID.is_char_boundary(end) { end += 1; }
            told(&format!("{}{with}{}", &VALID[..start], &VALID[end..]));
        }
    }
}
