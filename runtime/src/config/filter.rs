//! `when = { ... }`: content filters in the manner of EventBridge patterns.

use toml::Spanned;
use toml::de::DeValue;

use crate::subscription::{Condition, Filter, NumericOp, Pointer, Scalar};

use super::reader::{Reader, Section, Text, number_of};

/// The forms a condition may have, beside a plain value.
pub(super) const FORMS: &[&str] = &["prefix", "numeric", "exists", "anything-but"];

pub(super) fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> Filter {
    let Some(when) = reader.table(section, "when") else { return Filter::default() };
    let mut filter = Filter::default();
    for (key, value) in when.table {
        let text = Text { value: key.get_ref().to_string(), span: key.span() };
        let pointer = match Pointer::parse(&text.value) {
            Ok(pointer) => pointer,
            Err(error) => {
                reader.syntax(&text, "when", &error);
                continue;
            }
        };
        let alternatives: Vec<_> = match value.get_ref() {
            DeValue::Array(list) => list.iter().filter_map(|value| condition(reader, value)).collect(),
            _ => condition(reader, value).into_iter().collect(),
        };
        if value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
            let problem = reader.problem(value.span(), "never", "an empty list of conditions is never met");
            reader.note(problem.help("list the values that are wanted, or remove the line"));
        }
        filter.fields.push((pointer, alternatives));
    }
    filter
}

fn condition(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Option<Condition> {
    let Some(table) = value.get_ref().as_table() else { return scalar(reader, value).map(Condition::Equals) };
    let form = Section::new("when", table, value.span());
    reader.known_keys(&form, FORMS);
    if table.len() != 1 {
        let problem = reader.problem(value.span(), "bad-value", "a condition has one form");
        reader.note(problem.help("several conditions are a list; one of them has to be met"));
        return None;
    }
    if let Some(value) = form.get("anything-but") {
        let list = match value.get_ref() {
            DeValue::Array(list) => list.iter().filter_map(|value| scalar(reader, value)).collect(),
            _ => scalar(reader, value).into_iter().collect(),
        };
        return Some(Condition::AnythingBut(list));
    }
    let prefix = reader.text(&form, "prefix").map(|text| Condition::Prefix(text.value));
    let exists = reader.boolean(&form, "exists").map(Condition::Exists);
    let numeric = form.get("numeric").and_then(|value| numeric(reader, value));
    prefix.or(exists).or(numeric)
}

fn scalar(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Option<Scalar> {
    match value.get_ref() {
        DeValue::String(_) => reader.text_of(value, "when").map(|text| Scalar::String(text.value)),
        DeValue::Boolean(truth) => Some(Scalar::Bool(*truth)),
        other => {
            let number = number_of(other).map(Scalar::Number);
            if number.is_none() {
                let found = other.type_str();
                let title = format!("a condition is a string, a number, a boolean or a table, and this is: {found}");
                let forms: Vec<_> = FORMS.iter().map(|form| format!("{{ {form} = ... }}")).collect();
                let problem = reader.problem(value.span(), "wrong-type", title);
                reader.note(problem.help(format!("tables: {}", forms.join(", "))));
            }
            number
        }
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
fn numeric(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Option<Condition> {
    let list = value.get_ref().as_array()?;
    let mut bounds = Vec::new();
    let mut items = list.iter();
    while let Some(operator) = items.next() {
        let found = operator.get_ref().as_str().and_then(|text| OPERATORS.iter().find(|(known, _)| *known == text));
        let number = items.next().and_then(|value| number_of(value.get_ref()));
        let (Some((_, operator)), Some(number)) = (found, number) else {
            let title = "a numeric condition is a list of operators and numbers in turn";
            let problem = reader.problem(value.span(), "bad-value", title);
            reader.note(problem.help("write it like { numeric = [\">\", 0, \"<=\", 5] }; operators: = < <= > >="));
            return None;
        };
        bounds.push((*operator, number));
    }
    if !satisfiable(&bounds) {
        reader.error(value.span(), "never", "no number meets all of these bounds");
    }
    Some(Condition::Numeric(bounds))
}

fn satisfiable(bounds: &[(NumericOp, f64)]) -> bool {
    // A set of bounds on a line has a member if one of the bounds themselves, or a number between two, is one.
    let mut points: Vec<f64> = bounds.iter().map(|(_, number)| *number).collect();
    points.sort_by(f64::total_cmp);
    let between = points.windows(2).map(|pair| pair[0].midpoint(pair[1]));
    let outside = points.first().map(|low| low - 1.0).into_iter().chain(points.last().map(|high| high + 1.0));
    let candidates: Vec<f64> = points.iter().copied().chain(between).chain(outside).collect();
    candidates.iter().any(|x| {
        bounds.iter().all(|(operator, bound)| match operator {
            NumericOp::Equal => x == bound,
            NumericOp::Less => x < bound,
            NumericOp::LessOrEqual => x <= bound,
            NumericOp::Greater => x > bound,
            NumericOp::GreaterOrEqual => x >= bound,
        })
    }) || bounds.is_empty()
}
