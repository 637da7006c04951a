//! JSON pointers into a body, or into an event, where only some can ever find a value.

use reactor_core::event::ROOTS;
use reactor_core::subscription::Pointer;

use super::reader::{Reader, Section, nearest};
use super::text::Text;

/// Other envelopes' names for the fields that every event has.
const ELSEWHERE: &[(&str, &str)] = &[
    ("detail", "/data"),
    ("detail-type", "/eventType"),
    ("type", "/eventType"),
    ("id", "/eventId"),
    ("time", "/timestamp"),
    ("datacontenttype", "/contentType"),
];

/// A pointer into an event.
pub(super) fn into_event(reader: &mut Reader<'_>, section: &Section<'_>, key: &str) -> Option<Pointer> {
    let text = reader.text(section, key)?;
    event_pointer(reader, &text, &section.dotted(key))
}

/// A pointer into anything.
pub(super) fn into_body(reader: &mut Reader<'_>, section: &Section<'_>, key: &str) -> Option<Pointer> {
    let text = reader.text(section, key)?;
    any_pointer(reader, &text, &section.dotted(key))
}

/// Reads a pointer into an event; one that can find a value in no event is an error.
pub(super) fn event_pointer(reader: &mut Reader<'_>, text: &Text, name: &str) -> Option<Pointer> {
    let pointer = any_pointer(reader, text, name)?;
    let (root, deeper) = pointer.tokens.split_first()?;
    let known = ROOTS.contains(&root.as_str());
    let fits = match root.as_str() {
        "data" => true,
        "attributes" => !deeper.is_empty(),
        _ => deeper.is_empty(),
    };
    if known && fits {
        return Some(pointer);
    }
    let rest = pointer.text[1..].find('/').map_or("", |at| &pointer.text[at + 1..]);
    let label = if root == "attributes" {
        "it names no attribute; write `/attributes/NAME`".to_owned()
    } else if known {
        format!("`/{root}` is one value, there is nothing below it")
    } else if let Some((_, meant)) = ELSEWHERE.iter().find(|(word, _)| word == root) {
        format!("this is `{meant}{}` here", if *meant == "/data" { rest } else { "" })
    } else {
        match nearest(root, ROOTS.iter().copied()) {
            Some(near) => {
                format!("did you mean `/{near}{}`?", if ["data", "attributes"].contains(&near) { rest } else { "" })
            }
            // Only the producer knows whether it exists.
            None => {
                let text = &pointer.text;
                format!(
                    "if it is a member of the event's data, write `/data{text}`; beside the data, `/attributes{text}`"
                )
            }
        }
    };
    let title = format!("`{name}`: no event has `{}`", text.written);
    let problem = reader.problem(text.span.clone(), "no-such-field", title).label(text.reason(label));
    let fields = ROOTS.iter().map(|root| format!("/{root}")).collect::<Vec<_>>().join(", ");
    let help = format!(
        "an event has {fields}; what the producer sent is in /data, and message attributes, extensions of CloudEvents and \
         account and region of EventBridge are in /attributes"
    );
    reader.note(problem.help(help));
    None
}

fn any_pointer(reader: &mut Reader<'_>, text: &Text, name: &str) -> Option<Pointer> {
    let pointer = Pointer::parse(&text.value).map_err(|error| reader.syntax(text, name, &error)).ok()?;
    Some(Pointer { text: text.kept().to_string(), ..pointer })
}
