//! Numbers compared by their exact value, however many digits they have.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// The value of a JSON number: 1, 1.0 and 10e-1 are equal; two different integers of any length are not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal<'a> {
    negative: bool,
    /// Without outer zeros; empty for zero.
    digits: Cow<'a, str>,
    /// The power of ten by which the digits, as a whole number, are multiplied.
    exponent: i128,
}

impl<'a> Decimal<'a> {
    /// Reads a JSON number. Any other text yields some value, so this cannot fail. Contiguous digits are borrowed from
    /// the text.
    pub fn of(text: &'a str) -> Self {
        let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let (digits, shift) = if fraction.is_empty() {
            let digits = whole.trim_end_matches('0');
            (Cow::Borrowed(digits), (whole.len() - digits.len()) as i128)
        } else if whole.is_empty() {
            (Cow::Borrowed(fraction.trim_start_matches('0')), -(fraction.len() as i128))
        } else {
            (Cow::Owned([whole, fraction].concat()), -(fraction.len() as i128))
        };
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: 0 };
        }
        // A length is at most that of a message in memory; an exponent beyond i64 can be clamped.
        let written: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN } else { i64::MAX });
        Self { negative, digits, exponent: i128::from(written) + shift }
    }

    /// The same number, owning its digits.
    pub fn into_owned(self) -> Decimal<'static> {
        Decimal { digits: Cow::Owned(self.digits.into_owned()), ..self }
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// How many digits are before the decimal point; negative if zeros follow the point.
    fn magnitude(&self) -> i128 {
        self.exponent + self.digits.len() as i128
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        // Digits without outer zeros compare as text does, like words in a dictionary.
        let by_size = || self.magnitude().cmp(&other.magnitude()).then_with(|| self.digits.cmp(&other.digits));
        self.sign().cmp(&other.sign()).then_with(|| if self.negative { by_size().reverse() } else { by_size() })
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal<'_> {
    /// The canonical form: sign, digits without outer zeros, `e` and exponent; zero is `0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        write!(f, "{}{}e{}", if self.negative { "-" } else { "" }, self.digits, self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_in_the_order_of_their_values() {
        let ascending = [
            "-1e400",
            "-18446744073709551617",
            "-18446744073709551616",
            "-2",
            "-1.5",
            "-0.1234567890123456790",
            "-0.1234567890123456789",
            "-1e-9",
            "0",
            "1e-9",
            "0.05",
            "0.1",
            "0.10000000000000000001",
            "0.5",
            "1",
            "1.01",
            "2",
            "10",
            "1524831183200260097",
            "1524831183200260098",
            "123456789012345678901234567890",
            "123456789012345678901234567891",
            "1e400",
        ];
        for (at, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(Decimal::of(left).cmp(&Decimal::of(right)), at.cmp(&other), "{left} and {right}");
            }
        }
        for (left, right) in
            [("1", "1.0"), ("100", "1e2"), ("1", "10e-1"), ("0", "-0.0"), ("0", "0e99"), ("12.5", "125E-1")]
        {
            assert_eq!(Decimal::of(left), Decimal::of(right), "{left} and {right}");
        }
    }

    /// Identities of events depend on it, so it must never change.
    #[test]
    fn the_canonical_form_stays_what_it_is() {
        for (text, expected) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("1", "1e0"),
            ("-1200", "-12e2"),
            ("1.50", "15e-1"),
            ("0.05", "5e-2"),
            ("1.2E+3", "12e2"),
            ("12345678901234567890", "1234567890123456789e1"),
        ] {
            assert_eq!(Decimal::of(text).to_string(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn integers_compare_as_integers(left: i64, right: i64, zeros in 0usize..3) {
            let (a, b) = (left.to_string(), format!("{right}.{}", "0".repeat(zeros + 1)));
            prop_assert_eq!(Decimal::of(&a).cmp(&Decimal::of(&b)), left.cmp(&right));
        }

        #[test]
        fn hundredths_compare_as_integers(left in -100_000i64..100_000, right in -100_000i64..100_000) {
            let (a, b) = (format!("{left}e-2"), format!("{}{}.{:02}", if right < 0 { "-" } else { "" }, right.abs() / 100, right.abs() % 100));
            prop_assert_eq!(Decimal::of(&a).cmp(&Decimal::of(&b)), left.cmp(&right));
        }

        #[test]
        fn any_text_is_survived(left in ".{0,12}", right in "[-0-9.eE]{0,12}") {
            let (a, b) = (Decimal::of(&left), Decimal::of(&right));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.clone().into_owned(), a);
        }
    }
}
