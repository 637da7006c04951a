//! Reading strings, numbers, durations and sizes.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use reactor_core::json::Decimal;

use super::reader::{MOST_LISTED, Reader, Section, nearest};
use super::text::{Text, substitute};
use super::units::{parse_duration, parse_size, show_duration, show_size};

impl Reader<'_> {
    /// A string with its variables replaced, if present.
    pub fn text(&mut self, section: &Section<'_>, key: &str) -> Option<Text> {
        let value = section.get(key)?;
        self.text_of(value, &section.dotted(key))
    }

    /// A string with its variables replaced.
    pub(super) fn text_of(&mut self, value: &Spanned<DeValue<'_>>, name: &str) -> Option<Text> {
        let Some(written) = value.get_ref().as_str() else {
            self.mismatch(value, name, "a string");
            return None;
        };
        match substitute(written, self.env) {
            Ok(parts) => {
                let text = Text::of(written, value.span(), parts);
                self.noted.text(&text.kept());
                Some(text)
            }
            Err(error) => {
                let text = Text::key(written, value.span());
                let (from, to) = (self.inside(&text, error.at.start), self.inside(&text, error.at.end));
                let problem = self.problem(from.start..to.start, "variable", format!("`{name}`: {}", error.why));
                self.note(problem.help(error.help));
                None
            }
        }
    }

    /// A required string, such as `example`.
    pub fn required(&mut self, section: &Section<'_>, key: &str, example: &str) -> Option<Text> {
        if section.get(key).is_none() {
            self.missing(section, key, example);
        }
        self.text(section, key)
    }

    /// A list of strings; one string alone is a list of one.
    pub(super) fn texts(&mut self, section: &Section<'_>, key: &str) -> Option<Vec<Text>> {
        let value = section.get(key)?;
        let name = section.dotted(key);
        match value.get_ref() {
            DeValue::Array(list) => {
                self.not_too_many(list.len(), value.span(), &name);
                Some(list.iter().take(MOST_LISTED).filter_map(|value| self.text_of(value, &name)).collect())
            }
            DeValue::String(_) => Some(self.text_of(value, &name).into_iter().collect()),
            _ => {
                self.mismatch(value, &name, "a list of strings");
                None
            }
        }
    }

    /// One of the given words.
    pub fn choice<T: Copy>(&mut self, section: &Section<'_>, key: &str, options: &[(&str, T)]) -> Option<T> {
        let text = self.text(section, key)?;
        let found = options.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if found.is_none() {
            self.no_such(&text, &section.dotted(key), options.iter().map(|(word, _)| *word));
        }
        found
    }

    /// Notes a word that is not allowed.
    pub(super) fn no_such<'w>(&mut self, text: &Text, name: &str, words: impl Iterator<Item = &'w str> + Clone) {
        let all: Vec<_> = words.clone().map(|word| format!("\"{word}\"")).collect();
        let why = match nearest(&text.value, words).filter(|_| !text.has_variable) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "not one of the allowed words".to_owned(),
        };
        self.bad_text(text, name, why, &format!("it is one of {}", all.join(", ")));
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, section: &Section<'_>, key: &str) -> Option<bool> {
        let value = section.get(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.mismatch(value, &section.dotted(key), "true or false");
        }
        found
    }

    pub(super) fn integer(&mut self, section: &Section<'_>, key: &str, allowed: RangeInclusive<u64>) -> Option<u64> {
        let value = section.get(key)?;
        let name = section.dotted(key);
        let Some(written) = value.get_ref().as_integer() else {
            self.mismatch(value, &name, "a whole number");
            return None;
        };
        let digits = written.as_str().replace('_', "");
        match i128::from_str_radix(&digits, written.radix()).ok().and_then(|number| u64::try_from(number).ok()) {
            Some(number) if allowed.contains(&number) => Some(number),
            found => {
                let (least, most) = (*allowed.start(), *allowed.end());
                let too_small = found.map_or(digits.starts_with('-'), |number| number < least);
                self.out_of_range(value.span(), &name, too_small, &least.to_string(), &most.to_string());
                None
            }
        }
    }

    fn out_of_range(&mut self, span: Range<usize>, name: &str, too_small: bool, least: &str, most: &str) {
        let label = if too_small { "too small" } else { "too large" };
        let problem = self.problem(span, "out-of-range", format!("`{name}` must be from {least} to {most}"));
        self.note(problem.label(label));
    }

    pub(super) fn number(&mut self, section: &Section<'_>, key: &str, allowed: RangeInclusive<f64>) -> Option<f64> {
        let value = section.get(key)?;
        let name = section.dotted(key);
        let Some(number) = number_of(value.get_ref()).filter(|number| !number.is_nan()) else {
            self.mismatch(value, &name, "a number");
            return None;
        };
        if allowed.contains(&number) {
            return Some(number);
        }
        let (least, most) = (*allowed.start(), *allowed.end());
        self.out_of_range(value.span(), &name, number < least, &least.to_string(), &most.to_string());
        None
    }

    /// A duration within limits.
    pub fn duration(
        &mut self,
        section: &Section<'_>,
        key: &str,
        allowed: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.measure(section, key, &allowed, &Measure { parse: parse_duration, show: show_duration, example: "10s" })
    }

    pub(super) fn size(&mut self, section: &Section<'_>, key: &str, allowed: RangeInclusive<usize>) -> Option<usize> {
        self.measure(section, key, &allowed, &Measure { parse: parse_size, show: show_size, example: "64MiB" })
    }

    fn measure<T: PartialOrd + Copy>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        allowed: &RangeInclusive<T>,
        measure: &Measure<T>,
    ) -> Option<T> {
        let name = section.dotted(key);
        let value = section.get(key)?;
        if matches!(value.get_ref(), DeValue::Integer(_) | DeValue::Float(_)) {
            let problem = self.problem(value.span(), "wrong-type", format!("`{name}` needs a unit"));
            self.note(problem.label(format!("write it as a string with its unit, such as \"{}\"", measure.example)));
            return None;
        }
        let text = self.text_of(value, &name)?;
        match (measure.parse)(&text.value) {
            Ok(value) if allowed.contains(&value) => Some(value),
            Ok(value) => {
                let (least, most) = (*allowed.start(), *allowed.end());
                let (least_text, most_text) = ((measure.show)(least), (measure.show)(most));
                self.out_of_range(text.span, &name, value < least, &least_text, &most_text);
                None
            }
            Err(why) => {
                self.bad_text(&text, &name, why, "");
                None
            }
        }
    }
}

/// How one kind of quantity is read and shown.
struct Measure<T> {
    parse: fn(&str) -> Result<T, String>,
    show: fn(T) -> String,
    example: &'static str,
}

/// A number, whole or not.
pub(super) fn number_of(value: &DeValue<'_>) -> Option<f64> {
    let parse = |text: &str| text.replace('_', "").parse::<f64>().ok();
    match value {
        DeValue::Integer(written) if written.radix() == 10 => parse(written.as_str()),
        DeValue::Integer(written) => {
            i64::from_str_radix(&written.as_str().replace('_', ""), written.radix()).ok().map(|number| number as f64)
        }
        DeValue::Float(written) => parse(written.as_str()),
        _ => None,
    }
}

/// The same with all its digits; `None` if infinite or not a number.
pub(super) fn decimal_of(value: &DeValue<'_>) -> Option<Decimal<'static>> {
    let exact = |text: &str| Decimal::of(text.replace('_', "").trim_start_matches('+')).into_owned();
    match value {
        DeValue::Integer(written) if written.radix() == 10 => Some(exact(written.as_str())),
        DeValue::Integer(written) => {
            let number = i128::from_str_radix(&written.as_str().replace('_', ""), written.radix()).ok()?;
            Some(exact(&number.to_string()))
        }
        DeValue::Float(written) => {
            number_of(value).filter(|number| number.is_finite()).map(|_| exact(written.as_str()))
        }
        _ => None,
    }
}
