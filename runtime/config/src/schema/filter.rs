//! `when`

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::scalar::{Listed, MOST_LISTED, Shaped, Text, Truth, event_pointer, short_map};

/// The table of a filter: conditions by pointer.
pub(super) fn when(generator: &mut SchemaGenerator) -> Schema {
    let condition = generator.subschema_for::<Condition>();
    let list = json_schema!({ "type": "array", "items": condition, "minItems": 1 });
    short_map(&event_pointer(), json_schema!({ "anyOf": [condition, list] }))
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Condition {
    Plain(Plain),
    Form(Form),
}

/// A value to compare with.
#[derive(JsonSchema)]
#[schemars(extend("type" = ["string", "number", "boolean"]))]
struct Plain(#[schemars(with = "serde_json::Value")] Shaped);

#[derive(JsonSchema, Default)]
#[schemars(
    rename_all = "kebab-case",
    default,
    deny_unknown_fields,
    extend("x-table" = "when", "minProperties" = 1, "maxProperties" = 1)
)]
struct Form {
    /// a string that begins so
    prefix: Text,
    /// a string that ends so
    suffix: Text,
    /// a string in which `*` stands for any characters; `\*` is an asterisk and `\\` a backslash
    wildcard: Text,
    /// a string that is this one, in upper or lower case
    equals_ignore_case: Text,
    /// a number within all the bounds; operators `=` `<` `<=` `>` `>=`
    #[schemars(schema_with = "numeric")]
    numeric: Shaped,
    /// the value is there, or is not
    exists: Truth,
    /// the value is null (`true`), or is there and is another one (`false`)
    null: Truth,
    /// there, and none of these values; or no string of a form: `{ prefix = "a" }`, `{ suffix = ["a", "b"] }`, or the same with
    /// `wildcard` and `equals-ignore-case`
    #[schemars(schema_with = "anything_but")]
    anything_but: Shaped,
}

/// Operators and numbers alternate; a schema cannot express that for a list of any length.
fn numeric(_: &mut SchemaGenerator) -> Schema {
    let member = json_schema!({ "anyOf": [{ "enum": ["=", "<", "<=", ">", ">="] }, { "type": "number" }] });
    json_schema!({ "type": "array", "items": member, "minItems": 2 })
}

fn anything_but(generator: &mut SchemaGenerator) -> Schema {
    let plain = generator.subschema_for::<Plain>();
    let excluded = generator.subschema_for::<Excluded>();
    let list = json_schema!({ "type": "array", "items": plain, "minItems": 1, "maxItems": MOST_LISTED });
    json_schema!({ "anyOf": [plain, list, excluded] })
}

#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case", default, deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
struct Excluded {
    prefix: Listed<Text, 1>,
    suffix: Listed<Text, 1>,
    wildcard: Listed<Text, 1>,
    equals_ignore_case: Listed<Text, 1>,
}
