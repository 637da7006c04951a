//! Filter conditions, evaluated as EventBridge does: on an array, a condition holds if it holds for any element.

use crate::json::{Value, elements};
use crate::subscription::{Condition, NumericOp, Scalar};

/// Whether a condition holds for the value at its pointer.
///
/// Unlike in EventBridge, `exists` also sees objects, since a pointer can name one.
pub(super) fn holds(condition: &Condition, value: Option<&Value<'_>>) -> bool {
    match (condition, value) {
        (Condition::Exists(wanted), value) => *wanted == value.is_some(),
        (_, None | Some(Value::Object(_))) => false,
        (condition, Some(Value::Array(text))) => {
            elements(text).into_iter().any(|element| holds_for_scalar(condition, &Value::of(element)))
        }
        (condition, Some(value)) => holds_for_scalar(condition, value),
    }
}

fn holds_for_scalar(condition: &Condition, value: &Value<'_>) -> bool {
    match condition {
        Condition::Equals(scalar) => equals(scalar, value),
        Condition::Prefix(prefix) => matches!(value, Value::String(text) if text.starts_with(prefix.as_str())),
        Condition::Numeric(bounds) => {
            value.as_f64().is_some_and(|number| bounds.iter().all(|(op, bound)| compares(number, *op, *bound)))
        }
        Condition::AnythingBut(scalars) => {
            let is_scalar = !matches!(value, Value::Array(_) | Value::Object(_));
            is_scalar && !scalars.iter().any(|scalar| equals(scalar, value))
        }
        // Whether the array exists has been answered; its elements do.
        Condition::Exists(wanted) => *wanted,
    }
}

fn equals(scalar: &Scalar, value: &Value<'_>) -> bool {
    match (scalar, value) {
        (Scalar::String(left), Value::String(right)) => left == right,
        (Scalar::Number(left), right) => right.as_f64().is_some_and(|right| compares(right, NumericOp::Equal, *left)),
        (Scalar::Bool(left), Value::Bool(right)) => left == right,
        (Scalar::Null, Value::Null) => true,
        _ => false,
    }
}

fn compares(number: f64, op: NumericOp, bound: f64) -> bool {
    match op {
        NumericOp::Equal => number == bound,
        NumericOp::Less => number < bound,
        NumericOp::LessOrEqual => number <= bound,
        NumericOp::Greater => number > bound,
        NumericOp::GreaterOrEqual => number >= bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Scalar {
        Scalar::String(text.to_owned())
    }

    #[test]
    fn conditions_hold_as_in_eventbridge() {
        let eur = Condition::Equals(string("EUR"));
        let one = Condition::Equals(Scalar::Number(1.0));
        let prefix = Condition::Prefix("EU".into());
        let range = Condition::Numeric(vec![(NumericOp::Greater, 0.0), (NumericOp::LessOrEqual, 5.0)]);
        let not = Condition::AnythingBut(vec![string("EUR"), Scalar::Number(1.0)]);
        let there = Condition::Exists(true);
        for (condition, json, expected) in [
            (&eur, r#""EUR""#, true),
            (&eur, r#""\u0045UR""#, true),
            (&eur, r#""eur""#, false),
            (&eur, r#"["USD","EUR"]"#, true),
            (&eur, r#"["USD"]"#, false),
            (&eur, r#"[["EUR"]]"#, false),
            (&eur, r#"{"EUR":1}"#, false),
            (&one, "1.0", true),
            (&one, "10e-1", true),
            (&one, r#""1""#, false),
            (&one, "true", false),
            (&prefix, r#""EUR""#, true),
            (&prefix, r#""USD""#, false),
            (&range, "5", true),
            (&range, "0", false),
            (&range, r#""3""#, false),
            (&range, "[9, 3]", true),
            (&not, r#""USD""#, true),
            (&not, r#""EUR""#, false),
            (&not, "1", false),
            (&not, "null", true),
            (&not, r#"["EUR","USD"]"#, true),
            (&not, r#"["EUR"]"#, false),
            (&not, "{}", false),
            (&there, "null", true),
            (&there, "{}", true),
            (&there, "[]", true),
            (&Condition::Equals(Scalar::Null), "null", true),
            (&Condition::Equals(Scalar::Bool(true)), "true", true),
            (&Condition::Equals(Scalar::Bool(true)), "false", false),
        ] {
            assert_eq!(holds(condition, Some(&Value::of(json))), expected, "{condition:?} on {json}");
        }
    }

    #[test]
    fn absence_meets_only_one_condition() {
        assert!(holds(&Condition::Exists(false), None));
        assert!(!holds(&Condition::Exists(false), Some(&Value::Null)));
        for condition in [Condition::Exists(true), Condition::Equals(Scalar::Null), Condition::AnythingBut(vec![])] {
            assert!(!holds(&condition, None), "{condition:?}");
        }
    }
}
