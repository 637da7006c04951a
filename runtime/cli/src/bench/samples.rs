//! Makes as many events as needed out of a few.

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

use reactor_core::event::{Event, Message};
use reactor_host::decode::encode_native;

/// The number of different values of a varied field.
pub const VALUES: usize = 10_000;
const DIGITS: usize = 12;
const ID: &str = "987654321012";
const VALUE: &str = "876543210123";

/// Events to send in turn, each with its own id.
#[derive(Clone, Debug)]
pub struct Samples {
    templates: Vec<Template>,
}

#[derive(Clone, Debug)]
struct Template {
    body: Vec<u8>,
    /// The positions of the id's digits, and of the varied value's.
    id: usize,
    value: Option<usize>,
}

impl Samples {
    /// Samples of these events. The text at `vary`, a JSON pointer into the data, gets [`VALUES`] different endings.
    ///
    /// # Errors
    /// There are no events, or one has no text or number at the pointer.
    pub fn new(events: &[Event], vary: Option<&str>) -> anyhow::Result<Self> {
        if events.is_empty() {
            bail!("there is no event to send");
        }
        let templates = events.iter().map(|event| Template::new(event, vary)).collect::<anyhow::Result<_>>()?;
        Ok(Self { templates })
    }

    /// Message number `n`.
    pub fn message(&self, n: usize) -> Message {
        let template = &self.templates[n % self.templates.len()];
        let mut body = template.body.clone();
        body[template.id..][..DIGITS].copy_from_slice(format!("{n:0DIGITS$}").as_bytes());
        if let Some(at) = template.value {
            body[at..][..DIGITS].copy_from_slice(format!("{:0DIGITS$}", n % VALUES).as_bytes());
        }
        Message::from_body(body)
    }

    /// The number of the message that an event came from.
    pub fn number(event_id: &str) -> Option<usize> {
        event_id.strip_prefix("bench-")?.parse().ok()
    }

    /// Bytes of a message, on average.
    pub fn size(&self) -> usize {
        self.templates.iter().map(|template| template.body.len()).sum::<usize>() / self.templates.len()
    }
}

impl Template {
    fn new(event: &Event, vary: Option<&str>) -> anyhow::Result<Self> {
        let mut event = Event { id: format!("bench-{ID}"), ..event.clone() };
        if let Some(pointer) = vary {
            let mut data: Value = serde_json::from_slice(&event.data).context("only JSON data can be varied")?;
            let found = data.pointer_mut(pointer);
            let missing = || anyhow!("an event of type `{}` has nothing at `{pointer}` in its data", event.event_type);
            let value = found.ok_or_else(missing)?;
            *value = match value {
                Value::String(text) => format!("{text}-{VALUE}").into(),
                Value::Number(_) => bail!("`{pointer}` is a number; choose a text, so that its ending can be varied"),
                _ => bail!("`{pointer}` is not a text"),
            };
            event.data = serde_json::to_vec(&data)?.into();
        }
        let body = encode_native(&event).to_vec();
        let find = |digits: &str| body.windows(DIGITS).position(|window| window == digits.as_bytes());
        let id = find(ID).context("the envelope has no id")?;
        Ok(Self { id, value: find(VALUE), body })
    }
}

#[cfg(test)]
mod tests {
    use reactor_host::decode::{Settings, decode};

    use super::*;

    fn event(body: &str) -> Event {
        let config = reactor_config::parse(
            "[channels.in]\nkind = \"local\"\n",
            "r.toml".as_ref(),
            &|_| None,
            crate::kinds::KINDS,
        )
        .unwrap()
        .config;
        let decoded = decode(&Message::from_body(body.to_owned()), &Settings::new(&config.channels["in"])).unwrap();
        decoded.events.into_iter().next().unwrap().event
    }

    #[test]
    fn each_message_is_an_event_of_its_own() {
        let order = event(r#"{"eventId":"e","eventType":"placed","source":"s","data":{"order":{"id":"o"},"n":1}}"#);
        let samples = Samples::new(&[order], Some("/order/id")).unwrap();
        for n in [0, 7, 20_007] {
            let text = String::from_utf8(samples.message(n).body.to_vec()).unwrap();
            let event = event(&text);
            assert_eq!(Samples::number(&event.id), Some(n));
            let data: Value = serde_json::from_slice(&event.data).unwrap();
            assert_eq!(data["order"]["id"], format!("o-{:012}", n % VALUES));
            assert_eq!(text.len(), samples.size());
        }
    }

    #[test]
    fn what_cannot_be_varied_is_told() {
        let order = event(r#"{"eventId":"e","eventType":"placed","source":"s","data":{"n":1}}"#);
        let error = |pointer| Samples::new(std::slice::from_ref(&order), Some(pointer)).unwrap_err().to_string();
        assert!(error("/x").contains("nothing at `/x`"), "{}", error("/x"));
        assert!(error("/n").contains("is a number"), "{}", error("/n"));
        assert!(Samples::new(&[], None).is_err());
    }
}
