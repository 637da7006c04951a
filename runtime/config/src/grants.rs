//! `allow = { ... }`: what the module may import besides the harmless interfaces.

use std::net::Ipv6Addr;

use super::keys::{ALLOW, misplaced};
use super::model::Allow;
use super::reader::{Reader, Section};
use super::text::Text;
use super::written::Written;

pub(super) fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> Allow {
    let Some(table) = reader.table(section, "allow") else { return Allow::default() };
    misplaced(reader, &table, ALLOW);
    let name = table.dotted("http");
    let texts = reader.texts(&table, "http").unwrap_or_default();
    let mut http: Vec<(String, Text)> = Vec::new();
    for text in texts {
        match origin(&text.value) {
            Ok(origin) => match http.iter().find(|(known, _)| *known == origin) {
                Some((_, first)) => reader.twice(&text, first, &name),
                None => http.push((origin, text)),
            },
            Err(why) => {
                reader.bad_text(
                    &text,
                    &name,
                    why,
                    "write scheme://host or scheme://host:port: https://api.example.com",
                );
            }
        }
    }
    Allow {
        state: reader.boolean(&table, "state").unwrap_or(false),
        http: http.into_iter().map(|(origin, text)| granted(&text, origin)).collect(),
    }
}

/// A grant; without a variable, the origin is shown in the form in which it is compared.
fn granted(text: &Text, origin: String) -> Written {
    if text.has_variable { text.kept().read_as(origin) } else { Written::from(origin.as_str()) }
}

/// Reads an origin; scheme and host are case-insensitive, so they become lower case.
fn origin(text: &str) -> Result<String, &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("an origin begins with https:// or http://")?;
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err("only https and http can be granted");
    }
    if rest.contains(['/', '?', '#']) {
        return Err("an origin has no path: a grant is for a whole host");
    }
    if rest.contains('@') {
        return Err("an origin has no user or password");
    }
    if rest.contains('*') {
        return Err("hosts are granted by their full names, without wildcards");
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|number| number > 0 && !port.starts_with('+'))) {
        return Err("a port is a number from 1 to 65535");
    }
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.len() <= 253 && host.split('.').all(is_label),
    };
    if !is_host {
        return Err("this is neither the name of a host nor an address (put IPv6 addresses in brackets)");
    }
    Ok(format!("{scheme}://{}", rest.to_ascii_lowercase()))
}

fn is_label(label: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=63).contains(&label.len()) && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (text, expected) in [
            ("https://api.example.com", "https://api.example.com"),
            ("HTTP://API.example.com:8080", "http://api.example.com:8080"),
            ("http://localhost:1", "http://localhost:1"),
            ("http://127.0.0.1", "http://127.0.0.1"),
            ("https://[::1]", "https://[::1]"),
            ("https://[2001:DB8::1]:443", "https://[2001:db8::1]:443"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "https",
            "https://",
            "https://a/",
            "https://a?b",
            "https://a#b",
            "ftp://a",
            "https://u@a",
            "https://*.a",
            "https://a:",
            "https://a:0",
            "https://a:65536",
            "https://a:+1",
            "https://::1",
            "https://[::1",
            "https://[x]",
            "https://a..b",
            "https://-a",
            "https://a b",
            "https://\u{e9}",
            "https://a\n",
            "//a",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}
