//! The event as JSON pointers see it: its native form, read lazily without building it.

use std::borrow::Cow;
use std::cell::OnceCell;

use reactor_core::event::{Event, ROOTS};
use reactor_core::json::{PointerSet, Value};
use reactor_core::subscription::Pointer;

/// Whether a media type says that the data is JSON: `application/json`, `text/json` or anything with `+json`.
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let suffix = essence.len().checked_sub(5).and_then(|at| essence.get(at..));
    essence.eq_ignore_ascii_case("application/json")
        || essence.eq_ignore_ascii_case("text/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
}

/// The pointers that may be looked up.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    data: PointerSet,
    attributes: Vec<Named>,
}

/// A pointer to an attribute, or into one that is a list.
#[derive(Clone, Debug, PartialEq)]
struct Named {
    name: String,
    below: Vec<String>,
}

/// A pointer, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// An envelope field: its place in [`ROOTS`].
    Field(usize),
    /// A pointer into the data.
    Data(usize),
    /// A pointer to an attribute.
    Attribute(usize),
    /// A place that no event has.
    Nowhere,
}

impl Wanted {
    /// Adds a pointer; equal pointers get equal slots.
    pub fn insert(&mut self, pointer: &Pointer) -> Slot {
        let root = ROOTS.iter().position(|root| Some(*root) == pointer.tokens.first().map(String::as_str));
        match (root, pointer.tokens.get(1..).unwrap_or_default()) {
            (Some(root), tokens) if ROOTS[root] == "data" => Slot::Data(self.data.insert(tokens)),
            (Some(root), [name, below @ ..]) if ROOTS[root] == "attributes" => {
                Slot::Attribute(self.attribute(Named { name: name.clone(), below: below.to_vec() }))
            }
            (Some(root), []) if ROOTS[root] != "attributes" => Slot::Field(root),
            _ => Slot::Nowhere,
        }
    }

    fn attribute(&mut self, named: Named) -> usize {
        let known = self.attributes.iter().position(|other| *other == named);
        known.unwrap_or_else(|| {
            self.attributes.push(named);
            self.attributes.len() - 1
        })
    }
}

/// A view of one event. Its data is read once, at the first lookup that needs it.
#[derive(Debug)]
pub struct View<'e> {
    event: &'e Event,
    wanted: &'e Wanted,
    data: OnceCell<Vec<(usize, &'e str)>>,
}

impl<'e> View<'e> {
    /// A view of an event through slots of `wanted`.
    pub fn new(event: &'e Event, wanted: &'e Wanted) -> Self {
        Self { event, wanted, data: OnceCell::new() }
    }

    /// The value at a slot; `None` if it is absent. Data that is not JSON has no values.
    pub fn get(&self, slot: Slot) -> Option<Value<'e>> {
        match slot {
            Slot::Field(root) => field(self.event, ROOTS[root]),
            Slot::Data(number) => {
                let found = self.data.get_or_init(|| self.read_data());
                let place = found.binary_search_by_key(&number, |(slot, _)| *slot).ok()?;
                Some(Value::of(found[place].1))
            }
            Slot::Attribute(number) => self.attribute(self.wanted.attributes.get(number)?),
            Slot::Nowhere => None,
        }
    }

    fn attribute(&self, wanted: &Named) -> Option<Value<'e>> {
        let found = self.event.attributes.iter().find(|attribute| attribute.name == wanted.name)?.view();
        match found {
            value if wanted.below.is_empty() => Some(value),
            Value::Array(text) => {
                let mut pointer = PointerSet::default();
                pointer.insert(&wanted.below);
                pointer.find(text).first().map(|(_, text)| Value::of(text))
            }
            _ => None,
        }
    }

    fn read_data(&self) -> Vec<(usize, &'e str)> {
        let text = std::str::from_utf8(&self.event.data).ok().filter(|_| is_json(&self.event.content_type));
        text.map(|text| self.wanted.data.find(text)).unwrap_or_default()
    }
}

fn field<'e>(event: &'e Event, name: &str) -> Option<Value<'e>> {
    let text = match name {
        "eventId" => &event.id,
        "eventType" => &event.event_type,
        "source" => &event.source,
        "correlationId" => &event.correlation_id,
        "contentType" => &event.content_type,
        "subject" => event.subject.as_ref()?,
        "causationId" => event.causation_id.as_ref()?,
        "partitionKey" => event.partition_key.as_ref()?,
        "traceparent" => event.trace_parent.as_ref()?,
        "timestamp" => return Some(Value::String(Cow::Owned(event.time?.to_string()))),
        "eventVersion" => return Some(Value::Number(Cow::Owned(event.version.to_string()))),
        "hop" => return Some(Value::Number(Cow::Owned(event.hop.to_string()))),
        _ => return None,
    };
    Some(Value::String(Cow::Borrowed(text)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use reactor_core::attribute::Attribute;

    use super::*;

    fn event(content_type: &str, data: &'static str) -> Event {
        Event {
            id: "e1".into(),
            event_type: "order.placed".into(),
            version: 3,
            source: "shop".into(),
            time: Some("2026-01-02T03:04:05Z".parse().expect("time")),
            subject: None,
            correlation_id: "c1".into(),
            causation_id: None,
            partition_key: Some("p".into()),
            content_type: content_type.into(),
            hop: 2,
            trace_parent: None,
            attributes: Vec::new(),
            data: Bytes::from_static(data.as_bytes()),
        }
    }

    fn look(event: &Event, pointer: &str) -> Option<String> {
        let mut wanted = Wanted::default();
        let slot = wanted.insert(&Pointer::parse(pointer).expect("pointer"));
        let view = View::new(event, &wanted);
        view.get(slot).map(|value| format!("{value:?}"))
    }

    #[test]
    fn every_root_is_a_field_or_the_data() {
        let mut full = event("application/json", "1");
        full.subject = Some("s".into());
        full.causation_id = Some("k".into());
        full.trace_parent = Some("t".into());
        for root in ROOTS.into_iter().filter(|root| *root != "attributes") {
            assert!(look(&full, &format!("/{root}")).is_some(), "{root}");
            assert_eq!(look(&full, &format!("/{root}/deeper")), None, "{root}");
        }
        assert_eq!(look(&full, "/none"), None);
        assert_eq!(look(&full, "/eventVersion").as_deref(), Some("Number(\"3\")"));
        assert_eq!(look(&full, "/timestamp").as_deref(), Some("String(\"2026-01-02T03:04:05Z\")"));
    }

    #[test]
    fn attributes_are_looked_up_by_name_and_lists_are_looked_into() {
        let mut event = event("text/plain", "no JSON");
        event.attributes = vec![
            ("tenant", "acme").into(),
            Attribute::typed("weight", "Number.float", "1.50"),
            Attribute::of_json("retry", "true").expect("a boolean"),
            Attribute::binary("key", "Binary", vec![0, 1, 255]),
            Attribute::typed("resources", "String.Array", r#"["arn:a","arn:b"]"#),
            Attribute::typed("policy", "String.Json", r#"{"a":1}"#),
        ];
        for (pointer, value) in [
            ("/attributes/tenant", Some("String(\"acme\")")),
            ("/attributes/weight", Some("Number(\"1.50\")")),
            ("/attributes/retry", Some("Bool(true)")),
            ("/attributes/key", Some("String(\"AAH/\")")),
            ("/attributes/resources", Some(r#"Array("[\"arn:a\",\"arn:b\"]")"#)),
            ("/attributes/resources/1", Some("String(\"arn:b\")")),
            ("/attributes/resources/2", None),
            ("/attributes/policy", Some(r#"String("{\"a\":1}")"#)),
            ("/attributes/policy/a", None),
            ("/attributes/tenant/0", None),
            ("/attributes/Tenant", None),
            ("/attributes", None),
        ] {
            assert_eq!(look(&event, pointer).as_deref(), value, "{pointer}");
        }
    }

    #[test]
    fn data_is_looked_into_only_where_it_is_json() {
        let data = r#"{"a":{"b":"c"}}"#;
        assert_eq!(look(&event("application/json", data), "/data/a/b").as_deref(), Some("String(\"c\")"));
        assert_eq!(look(&event("application/vnd.x+JSON; v=1", data), "/data/a/b").as_deref(), Some("String(\"c\")"));
        assert_eq!(look(&event("text/plain", data), "/data/a/b"), None);
        assert_eq!(look(&event("application/json", data), "/subject"), None);
    }
}
