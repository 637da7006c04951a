//! The JSON Schema of `reactors.toml`, for editors and for the tables of the reference.
//!
//! The types of this module mirror the file: a table is a struct, a key is a field, and a field's doc comment is its
//! description in the reference. They are never deserialized: `config::reader` reads the file, with places, and tests
//! keep the two consistent. Only the reader checks what a schema cannot express (that a channel exists, that a duration
//! is below a limit).
//!
//! `x-table` names a table as in the reference; `x-type`, `x-limits` and `x-default` say in words what the schema's own
//! keywords cannot.

// The derive reads the fields; the program never constructs one.
#![allow(dead_code)]

mod channel;
mod filter;
mod policy;
mod reactor;
mod scalar;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::kind::Kind;
use channel::Channel;
use policy::Runtime;
use reactor::Reactor;
use scalar::{NAME, Shaped, map};

pub use channel::Settle;
pub use scalar::{Duration, Text, Truth, Word, Words, form};

/// The schema of a `reactors.toml` whose channels are of these kinds (draft 7, which every editor supports).
pub fn schema<K: AsRef<Kind>>(kinds: &[K]) -> Value {
    let kinds: Vec<_> = kinds.iter().map(AsRef::as_ref).collect();
    let mut schema = whole::<File>();
    for channel in schema["properties"]["channels"]["patternProperties"].as_object_mut().into_iter().flatten() {
        channel::add(channel.1, &kinds);
    }
    on_one_line(&mut schema);
    schema
}

/// The schemas of the fields of a struct, for [`Kind::schema`].
pub fn keys_of<T: JsonSchema>() -> Value {
    whole::<T>()["properties"].take()
}

fn whole<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Doc comments contain the line ends of the source.
fn on_one_line(value: &mut Value) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(key, value)| match value {
            Value::String(text) if key == "description" => *text = text.replace('\n', " "),
            _ => on_one_line(value),
        }),
        Value::Array(list) => list.iter_mut().for_each(on_one_line),
        _ => {}
    }
}

/// Which channels there are, and which reactors read them.
#[derive(JsonSchema, Default)]
#[schemars(title = "reactors.toml", default, deny_unknown_fields)]
struct File {
    /// What concerns the whole host.
    runtime: Runtime,
    /// The channels, by name.
    #[schemars(schema_with = "channels")]
    channels: Shaped,
    /// The reactors, by name.
    #[schemars(schema_with = "reactors")]
    reactors: Shaped,
}

fn channels(generator: &mut SchemaGenerator) -> Schema {
    map(NAME, generator.subschema_for::<Channel>())
}

fn reactors(generator: &mut SchemaGenerator) -> Schema {
    map(NAME, generator.subschema_for::<Reactor>())
}
