//! `config = { ... }`: what the module reads as its configuration.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::reader::{Reader, Section};

/// The guest's own configuration: strings as they are, everything else as JSON.
pub(super) fn config(reader: &mut Reader<'_>, section: &Section<'_>) -> BTreeMap<String, String> {
    let Some(table) = reader.table(section, "config") else { return BTreeMap::new() };
    let mut values = BTreeMap::new();
    for (key, value) in table.table {
        let text = match value.get_ref() {
            DeValue::String(_) => reader.text_of(value, &table.dotted(key.get_ref())).map(|text| text.value),
            _ => json(reader, value).map(|json| json.to_string()),
        };
        values.extend(text.map(|text| (key.get_ref().to_string(), text)));
    }
    values
}

fn json(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Option<serde_json::Value> {
    use serde_json::Value;
    let number = |text: &str| text.replace('_', "").parse::<serde_json::Number>().ok().map(Value::Number);
    let converted = match value.get_ref() {
        DeValue::String(_) => reader.text_of(value, "config").map(|text| Value::String(text.value)),
        DeValue::Boolean(truth) => Some(Value::Bool(*truth)),
        DeValue::Integer(written) if written.radix() != 10 => {
            i64::from_str_radix(&written.as_str().replace('_', ""), written.radix()).ok().map(Value::from)
        }
        DeValue::Integer(written) => number(written.as_str().trim_start_matches('+')),
        DeValue::Float(written) => number(written.as_str().trim_start_matches('+')),
        DeValue::Datetime(moment) => Some(Value::String(moment.to_string())),
        DeValue::Array(list) => {
            list.iter().map(|value| json(reader, value)).collect::<Option<Vec<_>>>().map(Value::from)
        }
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| Some((key.get_ref().to_string(), json(reader, value)?)));
            entries.collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
        }
    };
    if converted.is_none() {
        reader.error(value.span(), "bad-value", "this value cannot be handed to the module as JSON");
    }
    converted
}
