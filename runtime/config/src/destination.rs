//! Names of channels that a reactor reads or writes.

use std::collections::BTreeMap;

use super::model::{ChannelConfig, Format};
use super::outside::WriteOnly;
use super::reader::{MOST_LISTED, Reader, nearest};
use super::text::Text;

/// Most channels listed in a message.
const MOST_NAMED: usize = 20;

/// The channels of the file.
pub(super) struct Channels<'c> {
    /// Every name, including those of invalid channels.
    pub(super) names: Vec<String>,
    pub(super) read: &'c BTreeMap<String, ChannelConfig>,
}

impl Channels<'_> {
    /// The channel of that name; notes an unknown name.
    fn find(&self, reader: &mut Reader<'_>, text: &Text, name: &str) -> Option<&ChannelConfig> {
        let found = self.read.get(&text.value);
        if found.is_none() && !self.names.contains(&text.value) {
            let title = format!("`{name}`: there is no channel `{}`", text.written);
            let problem = reader.problem(text.span.clone(), "unknown-channel", title);
            let names = self.names.iter().map(String::as_str);
            // Comparing many wrong names with many channels would be slow; real files do not have that many.
            let near =
                if text.has_variable || self.names.len() > MOST_LISTED { None } else { nearest(&text.value, names) };
            reader.note(match near {
                Some(near) => problem.label(format!("did you mean `{near}`?")),
                None if self.names.is_empty() || self.names.len() > MOST_NAMED || text.has_variable => {
                    problem.help("add a table [channels.NAME] with its `kind`")
                }
                None => problem.help(format!("there are {}; or add a table [channels.NAME]", self.names.join(", "))),
            });
        }
        found
    }
}

/// Checks that a reactor can read from a channel.
pub(super) fn source(reader: &mut Reader<'_>, text: &Text, name: &str, channels: &Channels<'_>) {
    let outside = channels.find(reader, text, name).and_then(|channel| channel.outside.as_ref());
    if let Some(WriteOnly { why, line }) = outside.and_then(|outside| outside.settings.write_only()) {
        let title = format!("nothing can be read from `{}`: {why}", text.written);
        let problem = reader.problem(text.span.clone(), "write-only", title);
        reader.note(problem.help(format!("add `{line}` to [channels.{}]", text.written)));
    }
}

/// Checks that a reactor can write to a channel.
pub(super) fn destination(reader: &mut Reader<'_>, text: &Text, name: &str, channels: &Channels<'_>) {
    let Some(channel) = channels.find(reader, text, name) else { return };
    // Consumers elsewhere decode a remote channel's messages; this host reads its own log back.
    let Some(format) = foreign(&channel.format).filter(|_| !channel.is_remote()) else {
        return;
    };
    let title = format!("events written to `{}` could not be decoded: its format is {format}", text.written);
    let problem = reader.problem(text.span.clone(), "format-mismatch", title);
    let problem = problem.note("emitted events and dead letters are written in the native format");
    reader.note(problem.help("write to a channel of format \"auto\" or \"native\""));
}

/// Checks the channels to which channels forward dead letters that belong to no reactor. A message that no channel of a
/// cycle can decode would circulate in it.
pub(super) fn dead_letters(reader: &mut Reader<'_>, ways: &[(String, Text)], channels: &Channels<'_>) {
    let next = |from: &str| ways.iter().find(|(name, _)| name == from).map(|(_, to)| to);
    for (name, to) in ways {
        let key = format!("channels.{name}.dead-letter.channel");
        destination(reader, to, &key, channels);
        let mut way = vec![to];
        // A channel that appears twice before this one belongs to another cycle.
        while way.len() <= ways.len()
            && let Some(on) = next(&way[way.len() - 1].value).filter(|_| way[way.len() - 1].value != *name)
        {
            way.push(on);
        }
        if way[way.len() - 1].value != *name {
            continue;
        }
        let title = match way.as_slice() {
            [_] => format!("dead letters of `{name}` would come back to it"),
            [first, ..] => format!("dead letters of `{name}` would come back to it, through `{}`", first.written),
            [] => continue,
        };
        let mut problem = reader.problem(to.span.clone(), "dead-letter-loop", title);
        for other in &way[1..] {
            problem = problem
                .related(reader.place(other.span.clone()), format!("from there they go on to `{}`", other.written));
        }
        reader.note(
            problem.help("forward them to a channel that forwards its own dead letters elsewhere, or not at all"),
        );
    }
}

fn foreign(format: &Format) -> Option<&'static str> {
    match format {
        Format::Auto | Format::Native | Format::Sns => None,
        Format::CloudEvents => Some("\"cloudevents\""),
        Format::EventBridge => Some("\"eventbridge\""),
        Format::S3 => Some("\"s3\""),
        Format::Raw(_) => Some("raw"),
    }
}
