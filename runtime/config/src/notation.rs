//! Type patterns in the notation of other systems: detects those that would match only literally, and suggests
//! replacements.

use super::reader::Reader;
use super::text::Text;

/// Most patterns suggested for one; more would not help.
const MOST: usize = 16;

/// Warns about a valid pattern whose words no producer would send literally.
pub(super) fn check(reader: &mut Reader<'_>, text: &Text) {
    // A variable's value must not be shown, and no suggestion is possible without it.
    if text.has_variable {
        return;
    }
    let Some((what, instead)) = foreign(&text.value) else { return };
    let title = format!("`{}` probably matches no event: {what}", text.written);
    let problem = reader.problem(text.span.clone(), "foreign-pattern", title).warning();
    let patterns = instead.iter().map(|pattern| quoted(pattern)).collect::<Vec<_>>().join(", ");
    let help = if instead.is_empty() {
        "list the types one by one; `*` stands for one segment, and `**` at the end for one or more".to_owned()
    } else {
        format!("write {patterns} instead")
    };
    reader.warnings.push(problem.help(help));
}

/// A replacement for an invalid pattern, if `when` can express it.
pub(super) fn instead(text: &Text) -> Option<String> {
    if text.has_variable {
        return None;
    }
    let value = text.value.as_str();
    let (path, version) = value.split_once('@').map_or((value, None), |(path, version)| (path, Some(version)));
    // Regular expressions and globs contain these, which cannot be translated.
    if path.contains(['^', '$', '(', ')', '[', ']', '{', '}', '|', '?', '+', '#', '>', '%']) || path.contains("\\.") {
        return None;
    }
    let is_mixed = |word: &str| word.contains('*') && !matches!(word, "*" | "**" | "***");
    let or_star = |text: &str, is_odd: &dyn Fn(&str) -> bool| {
        let words: Vec<&str> = text.split('.').map(|word| if is_odd(word) { "*" } else { word }).collect();
        words.join(".")
    };
    let (condition, on, form) = if path.split('.').any(is_mixed) {
        let on = or_star(path, &is_mixed);
        let on = version.map_or(on.clone(), |version| format!("{on}@{version}"));
        let form = match (path.find('*'), path.rfind('*')) {
            (Some(first), Some(last)) if first == last && last + 1 == path.len() => {
                ("prefix", path[..first].to_owned())
            }
            (Some(0), Some(0)) => ("suffix", path[1..].to_owned()),
            _ => ("wildcard", path.replace('\\', "\\\\").replace("**", "*")),
        };
        ("", on, format!("{{ {} = {} }}", form.0, quoted(&form.1)))
    } else if version.is_some_and(is_part_of_a_name) && !value.contains('*') {
        ("if the `@` is a part of the type, ", or_star(value, &|word| word.contains('@')), quoted(value))
    } else {
        return None;
    };
    reactor_core::subscription::TypePattern::parse(&on).ok()?;
    Some(format!("{condition}write {} instead, and when = {{ \"/eventType\" = {form} }}", quoted(&on)))
}

/// Whether an `@` was meant as part of the type, as in `job@call` but not in `order@v2`.
fn is_part_of_a_name(version: &str) -> bool {
    let mut characters = version.chars();
    let first = characters.next().is_some_and(char::is_alphabetic);
    let is_v = version.starts_with(['v', 'V']) && characters.next().is_some_and(|c| c.is_ascii_digit());
    first && !is_v
}

fn quoted(text: &str) -> String {
    // JSON string escapes are valid in TOML.
    serde_json::to_string(text).unwrap_or_default()
}

/// What is odd about a pattern, and its replacements here; `None` if nothing is recognised.
fn foreign(pattern: &str) -> Option<(&'static str, Vec<String>)> {
    let (path, version) = match pattern.find('@') {
        Some(at) => pattern.split_at(at),
        None => (pattern, ""),
    };
    let with = |paths: Vec<String>| -> Vec<String> {
        let all = paths.into_iter().map(|path| format!("{path}{version}"));
        // Suggest nothing that would be rejected or warned about again.
        all.filter(|path| reactor_core::subscription::TypePattern::parse(path).is_ok() && foreign(path).is_none())
            .collect()
    };
    if path != path.trim() {
        return Some(("a type does not begin or end with a space", with(vec![path.trim().to_owned()])));
    }
    // .NET class names contain commas and capitals.
    if path.contains(',') && !path.contains(['{', '(']) && !path.contains(char::is_uppercase) {
        let parts: Vec<_> = path.split(',').map(|part| part.trim().to_owned()).collect();
        let parts = if parts.len() > MOST { Vec::new() } else { parts };
        return Some(("a comma has no special meaning here", with(parts)));
    }
    for (open, close, separator, what) in [
        ('{', '}', ',', "braces have no special meaning here"),
        ('(', ')', '|', "parentheses and bars have no special meaning here"),
    ] {
        if path.contains(open) && path.contains(close) && path.contains(separator) {
            return Some((what, with(alternatives(path, open, close, separator).unwrap_or_default())));
        }
    }
    let words: Vec<&str> = path.split(['.', '/']).collect();
    if words.iter().any(|word| matches!(*word, "#" | ">" | "+" | "%" | "?")) {
        let what = "`#`, `>`, `+`, `%` and `?` have no special meaning here";
        return Some((what, with(vec![translated(&words)])));
    }
    let is_placeholder = |word: &&str| word.starts_with('{') && word.ends_with('}');
    if words.iter().any(is_placeholder) {
        let own = words.iter().map(|word| if is_placeholder(word) { "*" } else { word });
        return Some(("braces have no special meaning here", with(vec![own.collect::<Vec<_>>().join(".")])));
    }
    // In some languages class names contain backslashes, dollar signs and brackets.
    let signs = ["|", "\\.", "\\d+", "\\w+", "\\s+", "[^", "a-z]", "A-Z]", "0-9]", ".+", ".?"];
    if path.starts_with('^') || signs.iter().any(|sign| path.contains(sign)) {
        return Some(("a type pattern is not a regular expression", Vec::new()));
    }
    None
}

/// `order.{placed,paid}` as `order.placed` and `order.paid`; `None` if groups are nested.
fn alternatives(path: &str, open: char, close: char, separator: char) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    let mut rest = path;
    while let Some((before, group)) = rest.split_once(open) {
        let (group, after) = group.split_once(close)?;
        if group.contains(open) || before.contains(close) {
            return None;
        }
        let parts: Vec<&str> = group.split(separator).map(str::trim).collect();
        if all.len() * parts.len() > MOST {
            return None;
        }
        all = all.iter().flat_map(|start| parts.iter().map(move |part| format!("{start}{before}{part}"))).collect();
        rest = after;
    }
    Some(all.into_iter().map(|start| start + rest).collect())
}

/// The words, with other systems' wildcards replaced by this host's.
fn translated(words: &[&str]) -> String {
    let many = |word: &str| matches!(word, "#" | ">" | "%");
    let own = words.iter().enumerate().map(|(at, word)| match *word {
        word if many(word) && at + 1 == words.len() => "**",
        word if many(word) || matches!(word, "+" | "?") => "*",
        word => word,
    });
    own.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_notations_are_told_with_what_to_write() {
        for (pattern, expected) in [
            ("order.{placed,paid}", &["order.placed", "order.paid"][..]),
            ("{a,b}.{c, d}@2", &["a.c@2", "a.d@2", "b.c@2", "b.d@2"]),
            ("order.(placed|paid)", &["order.placed", "order.paid"]),
            ("order.#", &["order.**"]),
            ("order.>", &["order.**"]),
            ("#", &["**"]),
            ("#.paid", &["*.paid"]),
            ("order.+.paid", &["order.*.paid"]),
            ("orders/+/paid", &["orders.*.paid"]),
            ("order.%", &["order.**"]),
            ("order.placed, order.paid", &["order.placed", "order.paid"]),
            (" order.placed", &["order.placed"]),
            ("order.placed @2", &["order.placed@2"]),
            ("^order", &[]),
            (r"order\.placed", &[]),
            ("order.[a-z]", &[]),
            ("order.placed|order.paid", &[]),
            ("order.{id}.paid", &["order.*.paid"]),
            (r"order\w+", &[]),
            ("{a,{b,c}}", &[]),
        ] {
            let (_, instead) = foreign(pattern).unwrap_or_else(|| panic!("{pattern}"));
            assert_eq!(instead, expected, "{pattern}");
        }
    }

    #[test]
    fn real_types_are_left_alone() {
        for pattern in [
            "order.placed",
            "order.*@>=2,<4",
            "**",
            "aws.s3.ObjectCreated:Put",
            "ECS Container Instance State Change",
            "AWS API Call via CloudTrail",
            "urn:message:Shop.Contracts:OrderSubmitted",
            "com.example/order+json",
            "order/placed",
            "Order(v2).placed",
            "C# Compiled",
            "a->b",
            r"App\Events\OrderPlaced",
            "Shop.OrderPlaced, Shop.Messages, Version=1.0.0.0",
            "urn:message:MassTransit:Fault[[Shop.Contracts:OrderSubmitted]]",
            "com.shop.OrderPlaced$",
            "com.shop.Outer$Inner",
            "is it done?",
            "it's.done!",
        ] {
            assert_eq!(foreign(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn a_part_of_a_word_is_for_when() {
        let key = |text: &str| instead(&Text::key(text, 0..0)).unwrap_or_default();
        for (pattern, on, form) in [
            ("aws.s3.ObjectCreated:*", "aws.s3.*", r#"{ prefix = "aws.s3.ObjectCreated:" }"#),
            ("orders/*", "*", r#"{ prefix = "orders/" }"#),
            ("*Event", "*", r#"{ suffix = "Event" }"#),
            ("*Event.done@2", "*.done@2", r#"{ suffix = "Event.done" }"#),
            ("order.*ed.*", "order.*.*", r#"{ wildcard = "order.*ed.*" }"#),
            ("order.pl*.**", "order.*.**", r#"{ wildcard = "order.pl*.*" }"#),
        ] {
            let expected = format!("write \"{on}\" instead, and when = {{ \"/eventType\" = {form} }}");
            assert_eq!(key(pattern), expected, "{pattern}");
        }
        for (pattern, on) in [("job@call", "*"), ("a.job@call.b", "a.*.b")] {
            let help = format!("write \"{on}\" instead, and when = {{ \"/eventType\" = \"{pattern}\" }}");
            assert_eq!(key(pattern), format!("if the `@` is a part of the type, {help}"));
        }
        for pattern in ["a@v2", "a@2.1", "a@", "a@>=x", "a..b", "a.**.b", "a.***", r"^a\..*$", "a.*?", "a.(b|c)*"] {
            assert_eq!(key(pattern), "", "{pattern}");
        }
    }
}
