//! `config = { ... }`: the module's own configuration.

use std::collections::BTreeMap;

use serde_json::{Number, Value};
use toml::Spanned;
use toml::de::DeValue;

use super::reader::{Reader, Section};
use super::written::Written;

/// The guest's own configuration: strings unchanged, everything else as JSON.
pub(super) fn config(reader: &mut Reader<'_>, section: &Section<'_>) -> BTreeMap<String, Written> {
    let Some(table) = reader.table(section, "config") else { return BTreeMap::new() };
    let mut values = BTreeMap::new();
    for (key, value) in table.table {
        let name = table.dotted(key.get_ref());
        let text = match value.get_ref() {
            DeValue::String(_) => reader.text_of(value, &name).map(|text| text.kept()),
            _ => json(reader, value, &name)
                .map(|json| Written::from(reader.literal(value.span())).read_as(json.to_string())),
        };
        values.extend(text.map(|text| (key.get_ref().to_string(), text)));
    }
    values
}

/// A value as JSON; an error in it is noted under the name of the whole value, at its own place.
fn json(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>, name: &str) -> Option<Value> {
    match value.get_ref() {
        DeValue::String(_) => reader.text_of(value, name).map(|text| Value::String(text.value)),
        DeValue::Boolean(truth) => Some(Value::Bool(*truth)),
        DeValue::Datetime(moment) => Some(Value::String(moment.to_string())),
        // Every member is visited, so that each error is noted, but only at its own place and not again for its
        // parents.
        DeValue::Array(list) => {
            let members: Vec<_> = list.iter().map(|value| json(reader, value, name)).collect();
            members.into_iter().collect::<Option<Vec<_>>>().map(Value::from)
        }
        DeValue::Table(table) => {
            let members: Vec<_> = table
                .iter()
                .map(|(key, value)| Some((key.get_ref().to_string(), json(reader, value, name)?)))
                .collect();
            members.into_iter().collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
        }
        DeValue::Integer(_) | DeValue::Float(_) => {
            let found = number(value.get_ref());
            if found.is_none() {
                let title = format!("`{name}` has a number that JSON has no form for");
                let problem = reader.problem(value.span(), "bad-value", title);
                reader.note(problem.help("write it as a string"));
            }
            found.map(Value::Number)
        }
    }
}

fn number(value: &DeValue<'_>) -> Option<Number> {
    let parse = |text: &str| text.replace('_', "").trim_start_matches('+').parse().ok();
    match value {
        DeValue::Integer(written) if written.radix() == 10 => parse(written.as_str()),
        DeValue::Integer(written) => {
            i64::from_str_radix(&written.as_str().replace('_', ""), written.radix()).ok().map(Number::from)
        }
        DeValue::Float(written) => parse(written.as_str()),
        _ => None,
    }
}
