//! Suggests the table to write where the file has a plain value.

use toml::de::DeValue;

/// The line that was probably meant by a value that is not a table.
pub(super) fn instead(key: &str, value: &DeValue<'_>) -> Option<String> {
    let number = value.as_integer().and_then(|number| number.as_str().parse::<u16>().ok()).filter(|number| *number > 1);
    let number = number.map(|number| number.to_string());
    let word = value.as_str().or_else(|| value.as_array()?.iter().next()?.get_ref().as_str());
    // A word may contain a variable, which is shown as written in the file.
    let quoted = |example: &str| serde_json::to_string(word.unwrap_or(example)).unwrap_or_default();
    let inside = match key {
        "runtime" => return Some("[runtime]".to_owned()),
        "channels" => return Some("[channels.NAME], with a line such as kind = \"local\" below".to_owned()),
        "reactors" => return Some("[reactors.NAME], with `module`, `from` and `on` below".to_owned()),
        "retry" => format!("max-attempts = {}", number.as_deref().unwrap_or("5")),
        "breaker" => format!("failures = {}", number.as_deref().unwrap_or("10")),
        "dedup" if word.is_some_and(|word| word.starts_with('/')) => format!("key = {}", quoted("/data/orderId")),
        "dedup" => format!("window = {}", quoted("14d")),
        "dead-letter" => format!("channel = {}", quoted("NAME")),
        "emit" => format!("{} = \"CHANNEL\"", quoted("order.placed")),
        "allow" if word.is_some_and(|word| word.contains("://")) => format!("http = [{}]", quoted("")),
        "allow" if word == Some("http") => "http = [\"https://api.example.com\"]".to_owned(),
        "allow" => "state = true".to_owned(),
        "when" if word.is_some_and(|word| word.starts_with('/')) => format!("{} = \"EUR\"", quoted("")),
        "when" => format!("\"/data/currency\" = {}", quoted("EUR")),
        "config" => format!("name = {}", quoted("value")),
        "raw" => return Some(format!("format = {{ raw = {{ type = {} }} }}", quoted("order.placed"))),
        _ => return None,
    };
    Some(format!("{key} = {{ {inside} }}"))
}
