//! JSON pointers: into a body, or into an event, where only some can ever find something.

use crate::pipeline::view::ROOTS;
use crate::subscription::Pointer;

use super::reader::{Reader, Section, nearest};
use super::text::Text;

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

/// Reads a pointer into an event; one that no event can have is an error.
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
    let label = if root == "attributes" {
        "it names no attribute; write `/attributes/NAME`".to_owned()
    } else if known {
        format!("`/{root}` is one value, there is nothing below it")
    } else {
        match nearest(root, ROOTS.iter().copied()) {
            Some(near) => {
                let rest = pointer.text[1..].find('/').map_or("", |at| &pointer.text[at + 1..]);
                format!("did you mean `/{near}{rest}`?")
            }
            None => {
                let text = &pointer.text;
                format!("did you mean `/data{text}`, or `/attributes{text}` for what stands beside the data?")
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
