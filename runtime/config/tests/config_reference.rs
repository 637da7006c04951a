//! The tables of `docs/reactors-toml.md` match the schema, which is generated from the doc comments of `config/schema`.
//! `BLESS=1` rewrites them, between `<!-- keys: TABLE -->` and `<!-- end -->`; the text around them is written by hand.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use reactor_channel_aws::testing::KINDS;
use reactor_config::schema::schema;

const BEGIN: &str = "<!-- keys: ";
const END: &str = "<!-- end -->";

/// Tables that need fewer than all five columns: the header, and a first row that is not about a key.
const SHORT: &[(&str, &[&str], Option<&str>)] = &[
    ("raw", &["key of `raw`", "default", "meaning"], None),
    ("origin", &["origin in `raw`", "meaning"], Some("| a string | the same for every message |")),
    ("when", &["form of `when`", "meaning"], Some("| a string, number or boolean | equal to it |")),
    ("allow", &["key of `allow`", "default", "meaning"], None),
];

/// The first table of that name, at any depth.
fn find<'s>(value: &'s Value, table: &str) -> Option<&'s Map<String, Value>> {
    match value {
        Value::Object(members) if members.get("x-table").is_some_and(|name| name == table) => Some(members),
        Value::Object(members) => members.values().find_map(|value| find(value, table)),
        Value::Array(members) => members.iter().find_map(|value| find(value, table)),
        _ => None,
    }
}

fn text(key: &Value, member: &str) -> String {
    key[member].as_str().unwrap_or_default().to_owned()
}

fn thousands(number: &Value) -> String {
    let digits = number.to_string();
    let (first, rest) = digits.split_at(digits.len() % 3);
    let groups = rest.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    std::iter::once(first.to_owned()).filter(|first| !first.is_empty()).chain(groups).collect::<Vec<_>>().join(",")
}

fn default(key: &Value, required: bool) -> String {
    match key.get("default") {
        _ if required => "required".to_owned(),
        Some(value) => format!("`{value}`"),
        None => text(key, "x-default"),
    }
}

fn limits(key: &Value) -> String {
    if key.get("x-limits").is_some() {
        return text(key, "x-limits");
    }
    if let (Some(least), Some(most)) = (key.get("minimum"), key.get("maximum")) {
        return format!("{} to {}", thousands(least), thousands(most));
    }
    let words = key["anyOf"].as_array().and_then(|forms| forms.iter().find_map(|form| form["enum"].as_array()));
    words.map(|words| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")).unwrap_or_default()
}

fn row(name: &str, key: &Value, required: bool, columns: &[&str]) -> String {
    let cells = columns.iter().map(|column| match *column {
        "type" => text(key, "x-type"),
        "default" => default(key, required),
        "limits" => limits(key),
        "meaning" => {
            let meaning = text(key, "description");
            assert!(!meaning.is_empty() && !meaning.contains('|'), "{name}: {meaning:?}");
            meaning
        }
        _ => format!("`{name}`"),
    });
    cells.fold("|".to_owned(), |line, cell| if cell.is_empty() { line + " |" } else { line + " " + &cell + " |" })
}

fn table(schema: &Value, name: &str) -> String {
    let table = find(schema, name).unwrap_or_else(|| panic!("the schema has no table {name}"));
    let five = (name, &["key", "type", "default", "limits", "meaning"][..], None);
    let (_, columns, first) = SHORT.iter().find(|(short, ..)| *short == name).copied().unwrap_or(five);
    let required: Vec<_> = table.get("required").and_then(Value::as_array).into_iter().flatten().collect();
    let keys = table["properties"].as_object().expect("keys");
    // A schema has no order of keys; use the reader's order, which reads well.
    let mut order: Vec<&str> = Vec::new();
    for (_, key) in reactor_config::known_keys(KINDS).filter(|(table, _)| *table == name) {
        if !order.contains(&key) {
            order.push(key);
        }
    }
    assert_eq!(order.len(), keys.len(), "{name}: the schema and the reader have other keys");
    let mut lines = vec![format!("| {} |", columns.join(" | ")), format!("|{}", "---|".repeat(columns.len()))];
    lines.extend(first.map(str::to_owned));
    let is_required = |name: &str| required.iter().any(|key| *key == name);
    lines.extend(order.iter().map(|key| row(key, &keys[*key], is_required(key), columns)));
    lines.join("\n")
}

#[test]
fn the_tables_are_those_of_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reactors-toml.md");
    let found = fs::read_to_string(&path).expect("the reference");
    let (schema, mut expected, mut tables) = (schema(KINDS), String::new(), 0);
    let mut parts = found.split(BEGIN);
    expected.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once(" -->").expect("a name");
        let (_, after) = rest.split_once(END).expect("an end");
        expected.push_str(&format!("{BEGIN}{name} -->\n{}\n{END}{after}", table(&schema, name)));
        tables += 1;
    }
    assert_eq!(tables, 12, "tables");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &expected).expect("the reference");
        return;
    }
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected, "BLESS=1 writes the tables anew");
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "BLESS=1 writes the tables anew");
}
