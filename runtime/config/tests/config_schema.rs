//! The schema and the reader accept the same `reactors.toml`. `BLESS=1` rewrites `docs/reactors.schema.json`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value as Json;
use toml::Value;

use reactor_channel_aws::testing::KINDS;
use reactor_config::Problems;
use reactor_config::schema::schema;

const FULL: &str = include_str!("config_full.toml");

/// Cases that only the reader can reject, although the schema knows their codes in general.
const ONLY_THE_READER: &[(&str, &str)] = &[
    ("duration_too_long", "a duration is a string: a schema has no order of them"),
    ("window_zero", "a duration is a string: a schema has no order of them"),
    ("max_event_too_large", "a size is a string: a schema has no order of them"),
    ("size_too_large", "a size is a string: a schema has no order of them"),
];
/// The codes that a schema can check.
const KNOWN_TO_BOTH: &[&str] = &["unknown-key", "missing-key", "wrong-type", "out-of-range", "bad-name"];

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn validator() -> Validator {
    jsonschema::validator_for(&schema(KINDS)).expect("a valid schema")
}

fn read(text: &str) -> Result<reactor_config::Loaded, Problems> {
    let env = |name: &str| (name != "UNSET").then(|| "eu-1".to_owned());
    reactor_config::parse(text, Path::new("reactors.toml"), &env, KINDS)
}

fn json(value: &Value) -> Json {
    serde_json::to_value(value).expect("TOML as JSON")
}

/// The path of a key in the file.
type KeyPath = Vec<String>;

fn walk(value: &Value, path: &KeyPath, found: &mut Vec<KeyPath>) {
    let Value::Table(table) = value else { return };
    for (key, value) in table {
        let path: KeyPath = path.iter().chain([key]).cloned().collect();
        found.push(path.clone());
        // A module's configuration has arbitrary keys and values.
        if key != "config" {
            walk(value, &path, found);
        }
    }
}

fn keys(value: &Value) -> Vec<KeyPath> {
    let mut found = Vec::new();
    walk(value, &KeyPath::new(), &mut found);
    found
}

fn table_of<'v>(root: &'v mut Value, path: &[String]) -> &'v mut toml::Table {
    let mut value = root;
    for key in &path[..path.len() - 1] {
        value = value.get_mut(key).expect("a table");
    }
    value.as_table_mut().expect("a table")
}

fn full() -> Value {
    toml::from_str(FULL).expect("TOML")
}

/// The full file with one key changed; `None` removes it.
fn changed(path: &KeyPath, value: Option<Value>) -> Value {
    let mut root = full();
    let (table, key) = (table_of(&mut root, path), path.last().expect("a key").clone());
    match value {
        Some(value) => drop(table.insert(key, value)),
        None => drop(table.remove(&key)),
    }
    root
}

#[track_caller]
fn both(validator: &Validator, file: &Value, expected: bool, what: &str) {
    let text = toml::to_string(file).expect("TOML");
    let read = read(&text).map_err(|problems| problems.render(false));
    assert_eq!(read.is_ok(), expected, "the reader on {what}: {}", read.err().unwrap_or_default());
    let errors: Vec<_> = validator.iter_errors(&json(file)).map(|error| error.to_string()).collect();
    assert_eq!(errors.is_empty(), expected, "the schema on {what}: {errors:?}");
}

#[test]
fn the_committed_schema_is_the_programs() {
    let text = serde_json::to_string_pretty(&schema(KINDS)).expect("JSON") + "\n";
    let path = here("../../docs/reactors.schema.json");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &text).expect("the schema");
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "BLESS=1 writes it anew");
}

#[test]
fn the_keys_are_the_readers() {
    fn collect(value: &Json, found: &mut BTreeSet<(String, String)>) {
        if let (Some(table), Some(keys)) = (value["x-table"].as_str(), value["properties"].as_object()) {
            found.extend(keys.keys().map(|key| (table.to_owned(), key.clone())));
            assert_eq!(value["additionalProperties"], Json::Bool(false), "[{table}] takes any key");
        }
        match value {
            Json::Object(members) => members.values().for_each(|value| collect(value, found)),
            Json::Array(members) => members.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(&schema(KINDS), &mut found);
    let known: BTreeSet<_> =
        reactor_config::known_keys(KINDS).map(|(table, key)| (table.to_owned(), key.to_owned())).collect();
    assert_eq!(found, known);
}

#[test]
fn what_is_valid_is_valid_in_both() {
    let validator = validator();
    both(&validator, &full(), true, "the full file");
    for path in ["../../reactors.toml", "../../examples/orders/localstack.toml"] {
        let text = fs::read_to_string(here(path)).expect(path);
        both(&validator, &toml::from_str(&text).expect(path), true, path);
    }
}

#[test]
fn wrong_types_are_refused_by_both() {
    let (validator, root) = (validator(), full());
    let paths = keys(&root);
    assert!(paths.len() >= 60, "only {} keys", paths.len());
    for path in paths {
        let list = Value::Array(vec![Value::Array(vec![Value::Integer(1)])]);
        both(&validator, &changed(&path, Some(list)), false, &format!("a list at {path:?}"));
        // A condition may be of any scalar type.
        if path.iter().any(|key| key == "when") && path.len() > 3 {
            continue;
        }
        let old = path.iter().fold(&root, |value, key| &value[key]);
        let other = if old.is_str() || old.is_table() || old.is_array() {
            Value::Integer(7)
        } else {
            Value::String("7".into())
        };
        both(&validator, &changed(&path, Some(other)), false, &format!("another type at {path:?}"));
    }
}

#[test]
fn dedup_may_be_switched_off() {
    let path = ["reactors", "inventory", "dedup"].map(str::to_owned).to_vec();
    for (value, valid) in [(false, true), (true, false)] {
        both(&validator(), &changed(&path, Some(Value::Boolean(value))), valid, &format!("dedup = {value}"));
    }
}

#[test]
fn misspelt_keys_are_refused_by_both() {
    let (validator, root) = (validator(), full());
    let mut checked = 0;
    for path in keys(&root) {
        let mut file = root.clone();
        let value = path.iter().fold(&root, |value, key| &value[key]).clone();
        let key = path.last().expect("a key");
        // The keys of these tables are the user's names, types and pointers; each origin of `raw` has one key anyway.
        let free = ["channels", "reactors", "when", "emit", "config"];
        if path.len() > 1 && free.contains(&path[path.len() - 2].as_str()) {
            continue;
        }
        table_of(&mut file, &path).insert(format!("{key}x"), value);
        both(&validator, &file, false, &format!("{path:?} with an x"));
        checked += 1;
    }
    assert!(checked >= 50, "only {checked} keys");
}

#[test]
fn keys_of_another_kind_are_refused_by_both() {
    let validator = validator();
    let own = [("shop", &["queue", "topic", "settle", "create", "lease"][..]), ("orders", &["topic"])];
    let values = [
        ("queue", Value::String("q".into())),
        ("topic", Value::String("t".into())),
        ("settle", Value::String("stored".into())),
        ("create", Value::Boolean(true)),
        ("lease", Value::String("2m".into())),
    ];
    for (channel, foreign) in own {
        for (key, value) in &values {
            let path = ["channels", channel, key].map(str::to_owned).to_vec();
            both(&validator, &changed(&path, Some(value.clone())), !foreign.contains(key), &format!("{path:?}"));
        }
    }
}

#[test]
fn missing_keys_are_refused_by_both() {
    let validator = validator();
    for path in [
        "channels.shop.kind",
        "channels.orders.queue",
        "channels.news.topic",
        "channels.meters.format.raw",
        "channels.meters.format.raw.type",
        "reactors.inventory.module",
        "reactors.inventory.from",
        "reactors.inventory.on",
    ] {
        let path: KeyPath = path.split('.').map(str::to_owned).collect();
        both(&validator, &changed(&path, None), false, &format!("nothing at {path:?}"));
    }
}

/// The schema of the value at a path.
fn part<'s>(schema: &'s Json, path: &KeyPath) -> &'s Json {
    path.iter().fold(schema, |schema, key| match &schema["properties"][key] {
        Json::Null => schema["patternProperties"].as_object().and_then(|all| all.values().next()).expect("a table"),
        found => found,
    })
}

#[test]
fn numbers_have_the_same_limits_in_both() {
    let (validator, schema, root) = (validator(), schema(KINDS), full());
    let mut checked = 0;
    for path in keys(&root) {
        let old = path.iter().fold(&root, |value, key| &value[key]);
        if path.iter().any(|key| key == "when") || !(old.is_integer() || old.is_float()) {
            continue;
        }
        let schema = part(&schema, &path);
        for (limit, step) in [("minimum", -1), ("maximum", 1)] {
            let limit = schema[limit].as_i64().unwrap_or_else(|| panic!("{path:?} has no {limit}"));
            both(&validator, &changed(&path, Some(Value::Integer(limit))), true, &format!("{path:?} = {limit}"));
            let beyond = limit + step;
            both(&validator, &changed(&path, Some(Value::Integer(beyond))), false, &format!("{path:?} = {beyond}"));
            checked += 1;
        }
    }
    assert_eq!(checked, 12, "limits");
}

#[test]
fn a_variable_may_stand_for_any_string() {
    let (validator, root) = (validator(), full());
    for path in keys(&root) {
        if path.iter().fold(&root, |value, key| &value[key]).is_str() {
            let file = changed(&path, Some(Value::String("${ANYTHING}".into())));
            let errors: Vec<_> = validator.iter_errors(&json(&file)).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{path:?}: {errors:?}");
        }
    }
}

#[test]
fn the_golden_cases_are_judged_alike() {
    let validator = validator();
    let (mut refused, mut accepted, mut excused) = (0, 0, BTreeSet::new());
    for file in fs::read_dir(here("tests/config")).expect("the cases").flatten().map(|entry| entry.path()) {
        if file.extension().is_none_or(|found| found != "toml") {
            continue;
        }
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("a case");
        let Ok(value) = toml::from_str::<Value>(&text) else { continue };
        let valid = validator.is_valid(&json(&value));
        match read(&text) {
            Ok(_) => {
                assert!(valid, "{name}: {:?}", validator.iter_errors(&json(&value)).next().map(|e| e.to_string()));
                accepted += 1;
            }
            Err(problems) if problems.iter().any(|problem| KNOWN_TO_BOTH.contains(&problem.code)) => {
                match ONLY_THE_READER.iter().find(|(excused, _)| *excused == name) {
                    Some((case, why)) => {
                        assert!(valid, "{name}: the schema refuses it, though {why}");
                        excused.insert(*case);
                    }
                    None => assert!(!valid, "{name}: the schema accepts it"),
                }
                refused += 1;
            }
            Err(_) => {}
        }
    }
    assert!(refused >= 50 && accepted >= 8, "{refused} refused, {accepted} accepted");
    assert_eq!(excused.len(), ONLY_THE_READER.len(), "only {excused:?} are still needed");
}

/// Values in rare but valid notations.
const VALUES: &[&str] = &[
    "3",
    "0.5",
    "true",
    "[]",
    "{}",
    "\"1h 30m\"",
    "\"PT1M\"",
    "\"2 hours, 5 mins\"",
    "\"1.5h\"",
    "\"10 mib\"",
    "\"2k\"",
    "\"1.5GiB\"",
    "\"7 / m\"",
    "\"**\"",
    "\"a b.*@ >= 2 , <4\"",
    "\"a@1\"",
    "\"shop\"",
    "[\"shop\"]",
    "\"/data\"",
    "\"/data/a~1b/\"",
    "\"/source\"",
    "\"[::1]:0\"",
    "\"127.1.2.3:80\"",
    "\"HTTP://a_b:1\"",
    "{ raw = { type = \"a\" } }",
    "{ exists = false }",
    "[1, \"a\", { prefix = \"\" }]",
    "\"$$\"",
    "\"${A}x\"",
    "\"01:30:00\"",
    "\"1d 01:30:00\"",
];

#[test]
fn the_schema_refuses_nothing_that_can_be_read() {
    let (validator, mut accepted) = (validator(), 0);
    let lines: Vec<&str> = FULL.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        for value in VALUES {
            let line = format!("{key} = {value}");
            let text = [&lines[..at], &[&line], &lines[at + 1..]].concat().join("\n");
            // A list over several lines is cut in two.
            let Ok(file) = toml::from_str::<Value>(&text) else { continue };
            if read(&text).is_ok() {
                let errors: Vec<_> = validator.iter_errors(&json(&file)).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{line}: {errors:?}");
                accepted += 1;
            }
        }
    }
    assert!(accepted >= 150, "only {accepted} accepted");
}
