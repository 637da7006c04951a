//! Filters that no event can meet.

use std::ops::Range;

use reactor_core::json::Decimal;
use reactor_core::subscription::{Condition, NumericOp, Pointer, Scalar, TypePattern};

use super::reader::Reader;
use super::route::Route;
use super::text::Text;
use super::versions::some_version;

/// A pointer of a filter and its conditions, with their places.
pub(super) struct Field {
    pub(super) pointer: Pointer,
    pub(super) conditions: Vec<Condition>,
    /// The pointer as written.
    pub(super) text: Text,
    /// Where the conditions are.
    pub(super) span: Range<usize>,
}

pub(super) fn check(reader: &mut Reader<'_>, fields: &[Field], route: &Route) {
    for field in fields {
        wrong_kind(reader, field);
        unwanted_type(reader, field, route);
    }
    let absent = fields.iter().filter(|field| field.conditions.iter().all(|one| *one == Condition::Exists(false)));
    for outer in absent {
        let inside = fields.iter().find(|field| {
            let deeper = field.pointer.tokens.len() > outer.pointer.tokens.len();
            let below = deeper && field.pointer.tokens.starts_with(&outer.pointer.tokens);
            below && !field.conditions.contains(&Condition::Exists(false))
        });
        if let Some(inner) = inside {
            let title = format!("no event has `{}` without `{}`", inner.pointer, outer.pointer);
            let problem = reader.problem(inner.text.span.clone(), "never", title).label("has to be there");
            let problem = problem.related(reader.place(outer.text.span.clone()), "must not be there");
            reader.note(problem.help("every line of `when` has to be met: remove one of the two"));
        }
    }
}

/// Each envelope field has one type; conditions on another type are never met.
fn wrong_kind(reader: &mut Reader<'_>, field: &Field) {
    let [root] = field.pointer.tokens.as_slice() else { return };
    if root == "data" {
        return;
    }
    let is_number = matches!(root.as_str(), "eventVersion" | "hop");
    let possible = |condition: &Condition| match condition {
        Condition::Equals(Scalar::String(_))
        | Condition::EqualsIgnoreCase(_)
        | Condition::Prefix(_)
        | Condition::Suffix(_)
        | Condition::Wildcard(_) => !is_number,
        Condition::Equals(Scalar::Number(_)) | Condition::Numeric(_) => is_number,
        Condition::Equals(Scalar::Bool(_) | Scalar::Null) => false,
        Condition::Exists(_) | Condition::AnythingBut(_) => true,
    };
    if !field.conditions.iter().any(possible) {
        let kind = if is_number { "a number" } else { "a string" };
        let problem = reader.problem(field.span.clone(), "never", format!("`/{root}` is always {kind}"));
        reader.note(problem.label("is never met"));
    }
}

/// `on` already restricts the types.
fn unwanted_type(reader: &mut Reader<'_>, field: &Field, route: &Route) {
    let types: Option<Vec<_>> = field.conditions.iter().map(constant).collect();
    let Some(types) = types.filter(|_| field.pointer.tokens == ["eventType"] && route.on_is_whole) else { return };
    let wanted = |event_type: &str| route.on.iter().any(|(_, pattern)| takes(pattern, event_type));
    if !types.into_iter().any(wanted) {
        let problem = reader.problem(field.span.clone(), "never", "`on` takes no event of this type");
        reader.note(problem.label("is never met").help("write the types in `on`"));
    }
}

fn constant(condition: &Condition) -> Option<&str> {
    match condition {
        Condition::Equals(Scalar::String(text)) => Some(text),
        _ => None,
    }
}

fn takes(pattern: &TypePattern, event_type: &str) -> bool {
    some_version(&[&pattern.versions]).is_some_and(|version| pattern.matches(event_type, version))
}

/// Whether a number meets all bounds.
pub(super) fn satisfiable(bounds: &[(NumericOp, Decimal<'static>)]) -> bool {
    // Compare the largest lower bound with the smallest upper one; of two equal bounds, the exclusive one is narrower.
    // Between two different numbers there is always another.
    let mut low: Option<(&Decimal<'_>, bool)> = None;
    let mut high = low;
    for (operator, bound) in bounds {
        let (is_low, is_high) = match operator {
            NumericOp::Equal => (true, true),
            NumericOp::Less | NumericOp::LessOrEqual => (false, true),
            NumericOp::Greater | NumericOp::GreaterOrEqual => (true, false),
        };
        let is_strict = matches!(operator, NumericOp::Less | NumericOp::Greater);
        if is_low {
            low = low.max(Some((bound, is_strict)));
        }
        if is_high {
            high = match high {
                Some((other, strict)) if other < bound || (other == bound && strict) => high,
                _ => Some((bound, is_strict)),
            };
        }
    }
    match (low, high) {
        (Some((low, low_strict)), Some((high, high_strict))) => {
            low < high || (low == high && !low_strict && !high_strict)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use NumericOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};

    use super::*;

    #[test]
    fn bounds_that_some_number_meets() {
        for (bounds, expected) in [
            (&[(Greater, "0.0"), (LessOrEqual, "5.0")][..], true),
            (&[(Greater, "5.0"), (Less, "5.0")], false),
            (&[(GreaterOrEqual, "5.0"), (LessOrEqual, "5.0")], true),
            (&[(Greater, "5.0"), (LessOrEqual, "5.0")], false),
            (&[(Equal, "5.0"), (Equal, "6.0")], false),
            (&[(Equal, "5.0"), (Greater, "4.0")], true),
            (&[(Less, "1e300")], true),
            (&[(Greater, "1e300")], true),
            (&[(Greater, "1.0"), (Less, "2.0"), (Greater, "1.5")], true),
            (&[(Greater, "1.5"), (GreaterOrEqual, "1.5"), (LessOrEqual, "1.5")], false),
            (&[(LessOrEqual, "1.5"), (Less, "1.5"), (GreaterOrEqual, "1.5")], false),
            (&[(Greater, "1524831183200260097"), (Less, "1524831183200260098")], true),
            (&[(Greater, "1524831183200260098"), (Less, "1524831183200260097")], false),
        ] {
            let exact: Vec<_> = bounds.iter().map(|(op, n)| (*op, Decimal::of(n).into_owned())).collect();
            assert_eq!(satisfiable(&exact), expected, "{bounds:?}");
        }
    }
}
