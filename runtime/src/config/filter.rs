//! `when = { ... }`: content filters in the manner of EventBridge patterns.

use toml::Spanned;
use toml::de::DeValue;

use crate::subscription::{Condition, Filter, NumericOp, Scalar};

use super::never::{self, Field};
use super::pointer;
use super::reactor::Route;
use super::reader::{Reader, Section};
use super::scalar::number_of;
use super::text::Text;

/// The forms a condition may have, beside a plain value.
pub(super) const FORMS: &[&str] = &["prefix", "numeric", "exists", "anything-but"];

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
            let problem = reader.problem(value.span(), "never", format!("`{name}`: an empty list is never met"));
            reader.note(problem.help("list the values that are wanted, or remove the line"));
            continue;
        }
        let conditions: Vec<_> = written.iter().filter_map(|value| condition(reader, value, &name)).collect();
        // Conditions with an error are missing here, so nothing can be said of the rest.
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
    let Some(table) = value.get_ref().as_table() else { return scalar(reader, value, name).map(Condition::Equals) };
    let form = Section::new(name, table, value.span());
    reader.known_keys(&form, FORMS);
    if table.len() != 1 {
        let problem = reader.problem(value.span(), "bad-value", format!("`{name}`: a condition has one form"));
        reader.note(problem.help("several conditions are a list; one of them has to be met"));
        return None;
    }
    if let Some(value) = form.get("anything-but") {
        return anything_but(reader, value, &form.dotted("anything-but"));
    }
    let prefix = reader.text(&form, "prefix").map(|text| Condition::Prefix(text.value));
    let exists = reader.boolean(&form, "exists").map(Condition::Exists);
    let numeric = form.get("numeric").and_then(|value| numeric(reader, value, &form.dotted("numeric")));
    prefix.or(exists).or(numeric)
}

fn anything_but(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>, name: &str) -> Option<Condition> {
    let DeValue::Array(list) = value.get_ref() else {
        return scalar(reader, value, name).map(|scalar| Condition::AnythingBut(vec![scalar]));
    };
    if list.is_empty() {
        let problem = reader.problem(value.span(), "bad-value", format!("`{name}` excludes nothing"));
        reader.note(problem.help("list what is not wanted, or write { exists = true }"));
        return None;
    }
    list.iter().map(|value| scalar(reader, value, name)).collect::<Option<Vec<_>>>().map(Condition::AnythingBut)
}

fn scalar(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>, name: &str) -> Option<Scalar> {
    match value.get_ref() {
        DeValue::String(_) => reader.text_of(value, name).map(|text| Scalar::String(text.value)),
        DeValue::Boolean(truth) => Some(Scalar::Bool(*truth)),
        other => match number_of(other) {
            Some(number) if number.is_finite() => Some(Scalar::Number(number)),
            Some(_) => {
                reader.error(value.span(), "never", format!("`{name}`: no JSON number is infinite or no number"));
                None
            }
            None => {
                reader.mismatch(value, name, "a string, a number, true, false or a table such as { prefix = \"a\" }");
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
        reader.error(value.span(), "never", format!("`{name}`: no number meets all of these bounds"));
    }
    Some(Condition::Numeric(bounds))
}

fn bound(pair: &[&Spanned<DeValue<'_>>]) -> Option<(NumericOp, f64)> {
    let [operator, number] = pair else { return None };
    let written = operator.get_ref().as_str()?;
    let (_, operator) = OPERATORS.iter().find(|(known, _)| *known == written)?;
    number_of(number.get_ref()).filter(|number| number.is_finite()).map(|number| (*operator, number))
}
