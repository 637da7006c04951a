//! `when = { ... }`: content filters, modelled on EventBridge patterns.

use toml::Spanned;
use toml::de::DeValue;

use reactor_core::json::Decimal;
use reactor_core::subscription::{Condition, Filter, NumericOp, Scalar, Wildcard};

use super::never::{self, Field};
use super::pointer;
use super::reader::{MOST_LISTED, Reader, Section};
use super::route::Route;
use super::scalar::{decimal_of, number_of};
use super::text::Text;

/// The forms of a condition besides a plain value.
pub(super) const FORMS: &[&str] =
    &["prefix", "suffix", "wildcard", "equals-ignore-case", "numeric", "exists", "null", "anything-but"];
/// The forms that `anything-but` may exclude, besides plain values.
const EXCLUDED: &[&str] = &["prefix", "suffix", "wildcard", "equals-ignore-case"];

pub(super) fn read(reader: &mut Reader<'_>, section: &Section<'_>, route: &Route) -> Filter {
    let Some(when) = reader.table(section, "when") else { return Filter::default() };
    let most = reader.most_listed(&when);
    let mut fields = Vec::new();
    for (key, value) in when.table.iter().take(most) {
        let text = Text::key(key.get_ref(), key.span());
        let name = when.dotted(key.get_ref());
        let pointer = pointer::event_pointer(reader, &text, when.path());
        let written = match value.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => vec![value],
        };
        if written.is_empty() {
            let problem = reader.problem(value.span(), "never", format!("`{name}`: an empty list matches nothing"));
            reader.note(problem.help("list the values to match, or remove the line"));
            continue;
        }
        let conditions: Vec<_> = written.iter().filter_map(|value| condition(reader, value, &name)).collect();
        // Invalid conditions are missing here, so the rest cannot be judged.
        let complete = conditions.len() == written.len();
        fields.extend(pointer.filter(|_| complete).map(|pointer| Field {
            pointer,
            conditions,
            text,
            span: value.span(),
        }));
    }
    never::check(reader, &fields, route);
    Filter { fields: fields.into_iter().map(|field| (field.pointer, field.conditions)).collect() }
}

fn condition(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>, name: &str) -> Option<Condition> {
    let Some(table) = value.get_ref().as_table() else {
        let expected = "a string, a number, true, false or a table such as { prefix = \"a\" }";
        return scalar(reader, value, name, expected).map(Condition::Equals);
    };
    let form = Section::new(name, table, value.span());
    reader.known_keys(&form, FORMS);
    if table.len() != 1 {
        let problem = reader.problem(value.span(), "bad-value", format!("`{name}`: a condition has one form"));
        reader.note(problem.help("to give several conditions, write a list; one of them has to match"));
        return None;
    }
    let (key, value) = table.iter().next()?;
    let dotted = form.dotted(key.get_ref());
    match key.get_ref().as_ref() {
        "numeric" => numeric(reader, value, &dotted),
        "exists" => reader.boolean(&form, "exists").map(Condition::Exists),
        // A TOML file has no null to compare with.
        "null" => reader.boolean(&form, "null").map(|wanted| {
            let null = Condition::Equals(Scalar::Null);
            if wanted { null } else { Condition::AnythingBut(vec![null]) }
        }),
        "anything-but" => anything_but(reader, value, &dotted),
        form if EXCLUDED.contains(&form) => {
            let text = reader.text_of(value, &dotted)?;
            of_text(reader, form, &text, &dotted)
        }
        _ => None,
    }
}

/// A condition on a string.
fn of_text(reader: &mut Reader<'_>, form: &str, text: &Text, name: &str) -> Option<Condition> {
    match form {
        "prefix" => Some(Condition::Prefix(text.value.clone())),
        "suffix" => Some(Condition::Suffix(text.value.clone())),
        "equals-ignore-case" => Some(Condition::EqualsIgnoreCase(text.value.to_lowercase())),
        "wildcard" => match Wildcard::parse(&text.value) {
            Ok(wildcard) => Some(Condition::Wildcard(wildcard)),
            Err(error) => {
                reader.syntax(text, name, &error);
                None
            }
        },
        _ => None,
    }
}

/// `"a"`, `["a", 1]`, `{ prefix = "a" }` or `{ prefix = ["a", "b"] }`
fn anything_but(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>, name: &str) -> Option<Condition> {
    let Some(table) = value.get_ref().as_table() else {
        let expected = "a string, a number, true, false, a list of them or a table such as { prefix = \"a\" }";
        let excluded =
            listed(reader, value, name, |reader, value| scalar(reader, value, name, expected).map(Condition::Equals));
        return excluded.map(Condition::AnythingBut);
    };
    let form = Section::new(name, table, value.span());
    reader.known_keys(&form, EXCLUDED);
    if table.len() != 1 {
        let problem = reader.problem(value.span(), "bad-value", format!("`{name}` has one form"));
        reader.note(problem.help("write it like { anything-but = { prefix = [\"a\", \"b\"] } }"));
        return None;
    }
    let (key, value) = table.iter().next()?;
    let dotted = form.dotted(key.get_ref());
    let excluded = listed(reader, value, &dotted, |reader, value| {
        let text = reader.text_of(value, &dotted)?;
        of_text(reader, key.get_ref(), &text, &dotted)
    });
    excluded.map(Condition::AnythingBut)
}

/// The values to exclude: one value or a non-empty list.
fn listed<'e>(
    reader: &mut Reader<'e>,
    value: &Spanned<DeValue<'_>>,
    name: &str,
    read: impl Fn(&mut Reader<'e>, &Spanned<DeValue<'_>>) -> Option<Condition>,
) -> Option<Vec<Condition>> {
    let DeValue::Array(list) = value.get_ref() else { return read(reader, value).map(|one| vec![one]) };
    if list.is_empty() {
        let problem = reader.problem(value.span(), "bad-value", format!("`{name}` excludes nothing"));
        reader.note(problem.help("list the values to exclude, or write { exists = true }"));
        return None;
    }
    reader.not_too_many(list.len(), value.span(), name);
    list.iter().take(MOST_LISTED).map(|value| read(reader, value)).collect()
}

fn scalar(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>, name: &str, expected: &str) -> Option<Scalar> {
    match value.get_ref() {
        DeValue::String(_) => reader.text_of(value, name).map(|text| Scalar::String(text.value)),
        DeValue::Boolean(truth) => Some(Scalar::Bool(*truth)),
        other => match number_of(other) {
            Some(number) if number.is_finite() => decimal_of(other).map(Scalar::Number),
            Some(_) => {
                reader.error(value.span(), "never", format!("`{name}`: JSON numbers cannot be infinite or NaN"));
                None
            }
            None => {
                reader.mismatch(value, name, expected);
                None
            }
        },
    }
}

const OPERATORS: &[(&str, NumericOp)] = &[
    ("=", NumericOp::Equal),
    ("<", NumericOp::Less),
    ("<=", NumericOp::LessOrEqual),
    (">", NumericOp::Greater),
    (">=", NumericOp::GreaterOrEqual),
];

/// `[">", 0, "<=", 5]`
fn numeric(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>, name: &str) -> Option<Condition> {
    let pairs = value.get_ref().as_array().map(|list| list.iter().collect::<Vec<_>>()).unwrap_or_default();
    let bounds: Option<Vec<_>> = pairs.chunks(2).map(bound).collect();
    let Some(bounds) = bounds.filter(|bounds| !bounds.is_empty()) else {
        let title = format!("`{name}` is a list of operators and numbers in turn");
        let problem = reader.problem(value.span(), "bad-value", title);
        reader.note(problem.help("write it like { numeric = [\">\", 0, \"<=\", 5] }; operators: = < <= > >="));
        return None;
    };
    if !never::satisfiable(&bounds) {
        reader.error(value.span(), "never", format!("`{name}`: no number is within all of these bounds"));
    }
    Some(Condition::Numeric(bounds))
}

fn bound(pair: &[&Spanned<DeValue<'_>>]) -> Option<(NumericOp, Decimal<'static>)> {
    let [operator, number] = pair else { return None };
    let written = operator.get_ref().as_str()?;
    let (_, operator) = OPERATORS.iter().find(|(known, _)| *known == written)?;
    number_of(number.get_ref()).filter(|number| number.is_finite())?;
    Some((*operator, decimal_of(number.get_ref())?))
}
