//! Filters that no event can meet.

use std::ops::Range;

use crate::subscription::{Condition, NumericOp, Pointer, Scalar, TypePattern};

use super::reactor::Route;
use super::reader::Reader;
use super::text::Text;
use super::versions::some_version;

/// A pointer of a filter and its conditions, with places.
pub(super) struct Field {
    pub(super) pointer: Pointer,
    pub(super) conditions: Vec<Condition>,
    /// The pointer as written.
    pub(super) text: Text,
    /// Where the conditions stand.
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

/// Fields of the envelope have one type each, and conditions on another are never met.
fn wrong_kind(reader: &mut Reader<'_>, field: &Field) {
    let [root] = field.pointer.tokens.as_slice() else { return };
    if root == "data" {
        return;
    }
    let is_number = matches!(root.as_str(), "eventVersion" | "hop");
    let possible = |condition: &Condition| match condition {
        Condition::Equals(Scalar::String(_)) | Condition::Prefix(_) => !is_number,
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

/// `on` has said already which types are wanted.
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
pub(super) fn satisfiable(bounds: &[(NumericOp, f64)]) -> bool {
    // A set of bounds on a line has a member if one of the bounds themselves, or a number between or beside two, is one.
    let mut points: Vec<f64> = bounds.iter().map(|(_, number)| *number).collect();
    points.sort_by(f64::total_cmp);
    let between = points.windows(2).map(|pair| pair[0].midpoint(pair[1]));
    let outside = points.first().map(|low| low.next_down()).into_iter().chain(points.last().map(|high| high.next_up()));
    let candidates: Vec<f64> = points.iter().copied().chain(between).chain(outside).collect();
    candidates.iter().any(|x| {
        bounds.iter().all(|(operator, bound)| match operator {
            NumericOp::Equal => x == bound,
            NumericOp::Less => x < bound,
            NumericOp::LessOrEqual => x <= bound,
            NumericOp::Greater => x > bound,
            NumericOp::GreaterOrEqual => x >= bound,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use NumericOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};

    #[test]
    fn bounds_that_some_number_meets() {
        for (bounds, expected) in [
            (&[(Greater, 0.0), (LessOrEqual, 5.0)][..], true),
            (&[(Greater, 5.0), (Less, 5.0)], false),
            (&[(GreaterOrEqual, 5.0), (LessOrEqual, 5.0)], true),
            (&[(Greater, 5.0), (LessOrEqual, 5.0)], false),
            (&[(Equal, 5.0), (Equal, 6.0)], false),
            (&[(Equal, 5.0), (Greater, 4.0)], true),
            (&[(Less, 1e300)], true),
            (&[(Greater, 1e300)], true),
            (&[(Greater, 1.0), (Less, 2.0), (Greater, 1.5)], true),
        ] {
            assert_eq!(satisfiable(bounds), expected, "{bounds:?}");
        }
    }
}
