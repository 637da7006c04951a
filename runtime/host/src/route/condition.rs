//! Filter conditions, evaluated as EventBridge does: on an array, a condition holds if it holds for any element.

use reactor_core::json::{Value, elements};
use reactor_core::subscription::{Condition, Scalar};

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
        Condition::EqualsIgnoreCase(lower) => text(value).is_some_and(|text| text.to_lowercase() == *lower),
        Condition::Prefix(prefix) => text(value).is_some_and(|text| text.starts_with(prefix.as_str())),
        Condition::Suffix(suffix) => text(value).is_some_and(|text| text.ends_with(suffix.as_str())),
        Condition::Wildcard(wildcard) => text(value).is_some_and(|text| wildcard.matches(text)),
        Condition::Numeric(bounds) => {
            value.as_decimal().is_some_and(|number| bounds.iter().all(|(op, bound)| op.holds(&number, bound)))
        }
        Condition::AnythingBut(conditions) => {
            let is_scalar = !matches!(value, Value::Array(_) | Value::Object(_));
            is_scalar && !conditions.iter().any(|condition| holds_for_scalar(condition, value))
        }
        // Whether the array exists has been answered; its elements do.
        Condition::Exists(wanted) => *wanted,
    }
}

fn text<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn equals(scalar: &Scalar, value: &Value<'_>) -> bool {
    match (scalar, value) {
        (Scalar::String(left), Value::String(right)) => left == right,
        (Scalar::Number(left), right) => right.as_decimal().is_some_and(|right| *left == right),
        (Scalar::Bool(left), Value::Bool(right)) => left == right,
        (Scalar::Null, Value::Null) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use reactor_core::json::Decimal;
    use reactor_core::subscription::{NumericOp, Wildcard};

    use super::*;

    fn string(text: &str) -> Scalar {
        Scalar::String(text.to_owned())
    }

    fn number(text: &str) -> Decimal<'static> {
        Decimal::of(text).into_owned()
    }

    #[test]
    fn conditions_hold_as_in_eventbridge() {
        let eur = Condition::Equals(string("EUR"));
        let one = Condition::Equals(Scalar::Number(number("1")));
        let prefix = Condition::Prefix("EU".into());
        let range =
            Condition::Numeric(vec![(NumericOp::Greater, number("0")), (NumericOp::LessOrEqual, number("5.0"))]);
        let not = Condition::AnythingBut(vec![eur.clone(), one.clone()]);
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
    fn numbers_are_compared_by_all_their_digits() {
        for (wanted, json, expected) in [
            ("1524831183200260097", "1524831183200260097", true),
            ("1524831183200260097", "1524831183200260098", false),
            ("1524831183200260097", "1524831183200260097.0", true),
            ("123456789012345678901234567890", "123456789012345678901234567891", false),
            ("100", "1e2", true),
            ("0.1", "0.10", true),
            ("0.1", "0.1000000000000000000001", false),
            ("0", "-0.0", true),
        ] {
            let equal = Condition::Equals(Scalar::Number(number(wanted)));
            assert_eq!(holds(&equal, Some(&Value::of(json))), expected, "{wanted} on {json}");
            let (least, above) = (NumericOp::GreaterOrEqual, NumericOp::Greater);
            let bounds = |op| Condition::Numeric(vec![(op, number(wanted))]);
            assert!(holds(&bounds(least), Some(&Value::of(json))), "{json} >= {wanted}");
            assert_eq!(holds(&bounds(above), Some(&Value::of(json))), !expected, "{json} > {wanted}");
            let other = Condition::AnythingBut(vec![equal]);
            assert_eq!(holds(&other, Some(&Value::of(json))), !expected, "anything but {wanted} on {json}");
        }
    }

    #[test]
    fn strings_are_matched_as_in_eventbridge() {
        let suffix = Condition::Suffix(".png".into());
        let wildcard = Condition::Wildcard(Wildcard::parse("dir/*.png").expect("a wildcard"));
        let any_case = Condition::EqualsIgnoreCase("straße".into());
        let but = |condition: &Condition| Condition::AnythingBut(vec![condition.clone()]);
        for (condition, json, expected) in [
            (&suffix, r#""a.png""#, true),
            (&suffix, r#""a.jpg""#, false),
            (&suffix, "1", false),
            (&wildcard, r#""dir/a/b.png""#, true),
            (&wildcard, r#"["x","dir/.png"]"#, true),
            (&wildcard, r#""other/a.png""#, false),
            (&any_case, r#""STRAßE""#, true),
            (&any_case, r#""strasse""#, false),
            (&but(&Condition::Prefix("test-".into())), r#""test-a""#, false),
            (&but(&Condition::Prefix("test-".into())), r#""a""#, true),
            (&but(&Condition::Prefix("test-".into())), "7", true),
            (&but(&Condition::Prefix("test-".into())), "{}", false),
            (&but(&suffix), r#""a.png""#, false),
            (&but(&suffix), r#"["a.png","b"]"#, true),
            (&but(&wildcard), r#""dir/a.png""#, false),
            (&but(&any_case), r#""Straße""#, false),
            (&but(&Condition::Equals(Scalar::Null)), "null", false),
            (&but(&Condition::Equals(Scalar::Null)), r#""""#, true),
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
