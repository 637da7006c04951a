//! `emit = { ... }`: which types a reactor may emit, and where they go.

use toml::Spanned;
use toml::de::DeValue;

use reactor_core::subscription::TypePattern;

use super::destination::{Channels, destination};
use super::notation;
use super::reader::{Reader, Section};
use super::text::Text;

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    channels: &Channels<'_>,
) -> Vec<(TypePattern, String)> {
    let Some(table) = reader.table(section, "emit") else { return Vec::new() };
    let mut entries: Vec<_> = table.table.iter().collect();
    // The first match counts, so use the file's order, not the table's.
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut rules: Vec<(Text, TypePattern, String)> = Vec::new();
    for (key, value) in entries.into_iter().take(reader.most_listed(&table)) {
        let text = Text::key(key.get_ref(), key.span());
        if value.get_ref().is_table() {
            unquoted(reader, &text, value);
            continue;
        }
        let channel = reader.text_of(value, &table.dotted(key.get_ref()));
        if let Some(channel) = &channel {
            destination(reader, channel, &table.dotted(key.get_ref()), channels);
        }
        let pattern = match TypePattern::parse(&text.value) {
            Ok(pattern) => {
                notation::check(reader, &text);
                pattern
            }
            Err(error) => {
                reader.syntax(&text, &section.dotted("emit"), &error);
                continue;
            }
        };
        if let Some((first, wider, _)) = rules.iter().find(|(_, earlier, _)| earlier.covers(&pattern)) {
            let title = format!("`{pattern}` is never used: `{wider}` comes before it and matches the same events");
            let problem = reader.problem(text.span.clone(), "shadowed", title).warning();
            let problem = problem.related(reader.place(first.span.clone()), "matches them first");
            reader.warnings.push(problem.help("remove it, or move it to the front"));
        }
        rules.extend(channel.map(|channel| (text, pattern, channel.value)));
    }
    rules.into_iter().map(|(_, pattern, channel)| (pattern, channel)).collect()
}

/// TOML parses the dots of an unquoted pattern as tables.
fn unquoted(reader: &mut Reader<'_>, first: &Text, value: &Spanned<DeValue<'_>>) {
    let (mut pattern, mut value) = (first.written.clone(), value.get_ref());
    while let Some((key, deeper)) = value.as_table().and_then(|table| table.iter().next()) {
        pattern = format!("{pattern}.{}", key.get_ref());
        value = deeper.get_ref();
    }
    let channel = value.as_str().unwrap_or("NAME");
    let title = format!("`{}` is a table here: put the pattern in quotes", first.written);
    let problem = reader.problem(first.span.clone(), "wrong-type", title);
    reader.note(problem.help(format!("write it like: \"{pattern}\" = \"{channel}\"")));
}
