//! `reactor publish`

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use reactor_channel::kind::Connections;
use reactor_config::model::ChannelConfig;
use reactor_core::channel::Sink;
use reactor_core::clock::SystemClock;
use reactor_core::event::{ChannelId, Message, SystemAttributes};
use reactor_core::store::StoreClient;
use reactor_host::intake::reading::Reading;
use reactor_host::outbox::send::send;

use super::Global;
use super::exit::{self, Exit};
use super::input::{Cut, Piece, Pieces, place};
use super::project::Project;
use super::publish_again::Again;

/// Maximum messages, and bytes, that share one durable write.
const BATCH: usize = 1_024;
const BATCH_BYTES: usize = 4 << 20;
/// How many rejected or doubtful lines are listed individually.
const NAMED: u64 = 5;

/// Publish events to a channel
///
/// The channel may be local or remote. A queue or topic is written to directly, with your own credentials.
///
/// Reads one event (a JSON document on one or more lines) or JSON lines (one event per line). An event is durable when the
/// command says that it was accepted. The command works whether or not `reactor up` is running; if it is, it sees the events
/// at once. Messages above the channel's size limit are rejected. Messages that cannot be decoded in the channel's
/// format are accepted with a warning, as a queue would do, and become dead letters. For a local channel there is also a warning
/// about duplicates of the last 10,000 deliveries; the first 1,000 events of the input are checked. Exit code 6:
/// something was rejected, or nothing can be decoded as an event.
///
/// Example: reactor publish shop examples/orders/events.jsonl
#[derive(Debug, Args)]
pub(super) struct Publish {
    /// The channel's name in the configuration
    channel: String,
    /// A file, or - for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// How the input is split into messages
    #[arg(long, value_enum, default_value_t = Cut::Auto)]
    input: Cut,
    /// A message attribute for every message, such as ce-type=order.placed
    #[arg(long, value_name = "NAME=VALUE", value_parser = attribute)]
    attribute: Vec<(String, String)>,
}

/// The outcome for the input.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    channel: String,
    accepted: u64,
    /// Above the size limit.
    refused: u64,
    /// Accepted, but not decodable as events in the channel's format.
    undecodable: u64,
    /// Accepted, but duplicates of events that reactors were given, as far as was checked.
    duplicates: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_offset: Option<u64>,
}

/// Reads `NAME=VALUE`.
pub(super) fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl Publish {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        let project = Project::load(global)?;
        let channel = project.channel(&self.channel)?;
        let mut pieces = Pieces::open(&self.file, self.input, channel.max_event)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let to = match runtime.block_on(project.remotes(&Connections::default())).remove(&channel.name) {
            Some(remote) => To::Outside(remote.sink),
            None => {
                let store = project.client()?;
                let id = store.channel_id(&channel.name)?;
                To::Log(store, id)
            }
        };
        let (again, reading) = match &to {
            To::Log(store, _) => {
                let (again, reading) = Again::new(&project, store, channel)?;
                (Some(again), reading)
            }
            To::Outside(_) => (None, Reading::new(&project.config, channel, &[])),
        };
        let mut batch = Batch {
            to,
            again,
            runtime: &runtime,
            reading,
            channel,
            messages: Vec::new(),
            lines: Vec::new(),
            bytes: 0,
            events: 0,
            report: Report { channel: channel.name.clone(), ..Report::default() },
            progress: self.progress(),
        };
        let read = self.wake_readers(&mut pieces, &mut batch);
        // What was read before an input error is valid, so it is published anyway.
        batch.flush()?;
        batch.progress.finish_and_clear();
        let (report, events) = (batch.report, batch.events);
        if global.json {
            super::print_json(&serde_json::to_string(&report).map_err(anyhow::Error::from)?);
        } else {
            let (accepted, channel, rejected) = (report.accepted, &report.channel, report.refused);
            let messages = if accepted == 1 { "message" } else { "messages" };
            out!("{accepted} {messages} accepted by `{channel}`, {rejected} rejected");
        }
        read?;
        if report.undecodable > 0 && events == 0 {
            say!(
                "error: none of the input can be decoded as an event for channel `{}`; all of it will become dead letters",
                report.channel
            );
            return Err(Exit::printed(exit::PARTIAL));
        }
        if report.undecodable > 0 {
            say!("warning: {} of them will become dead letters, as shown above", report.undecodable);
        }
        if report.refused > 0 { Err(Exit::printed(exit::PARTIAL)) } else { Ok(()) }
    }

    /// A progress bar over the file's bytes in a terminal, otherwise hidden.
    fn progress(&self) -> ProgressBar {
        let bytes = std::fs::metadata(&self.file).map(|file| file.len()).ok();
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(bytes, target);
        let template = "{bar:30} {percent:>3}% {pos:>10} bytes, {msg} events, {eta} left";
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar
    }

    fn wake_readers(&self, pieces: &mut Pieces, batch: &mut Batch<'_>) -> Result<(), Exit> {
        while let Some(piece) = pieces.next()? {
            batch.progress.inc(piece.size as u64);
            batch.add(piece, &self.attribute)?;
        }
        Ok(())
    }
}

/// The destination of messages.
enum To {
    /// To the log of a local channel.
    Log(Arc<dyn StoreClient>, ChannelId),
    /// To a remote channel.
    Outside(Arc<dyn Sink>),
}

/// Messages to be sent together.
struct Batch<'a> {
    to: To,
    again: Option<Again>,
    runtime: &'a tokio::runtime::Runtime,
    channel: &'a ChannelConfig,
    reading: Reading,
    messages: Vec<Message>,
    /// The line of each message.
    lines: Vec<Option<u64>>,
    bytes: usize,
    /// The number of events so far.
    events: usize,
    report: Report,
    progress: ProgressBar,
}

impl Batch<'_> {
    fn add(&mut self, piece: Piece, attributes: &[(String, String)]) -> Result<(), Exit> {
        let Piece { line, size, .. } = piece;
        let mut message = Message::from_body(piece.body);
        message.attributes = attributes.iter().cloned().map(Into::into).collect();
        let size = message.size().max(size);
        if size > self.channel.max_event {
            self.report.refused += 1;
            let limit = self.channel.max_event;
            let help = if line.is_none() { "; to publish one event per line, use --input lines" } else { "" };
            let say = format!(
                "{}: rejected: it has {size} bytes, and channel `{}` accepts at most {limit}{help}",
                place(line),
                self.channel.name
            );
            self.name(self.report.refused, &say);
            return Ok(());
        }
        if self.again.is_some() {
            // The same as the log will do: a message without its own id is known by its place.
            message.system.message_id = Some(place(line));
        }
        match self.reading.decode(&message) {
            Ok(contents) => {
                self.events += contents.events.len();
                if let Some(again) = &mut self.again {
                    again.note(line, message.system.message_id.as_deref(), &contents.events, &self.reading);
                }
                if let Some(error) = contents.broken {
                    self.report.undecodable += 1;
                    let why = error.reason.code();
                    let say = format!(
                        "{}: accepted, but a part of it will become a dead letter: {why}: {error}",
                        place(line)
                    );
                    self.name(self.report.undecodable, &say);
                }
                // A FIFO channel identifies events by their ids and orders them by their keys.
                let event = contents.events.into_iter().next().map(|decoded| decoded.event);
                message.system.group_id = event.as_ref().and_then(|event| event.partition_key.clone());
                message.system.dedup_id = event.map(|event| event.id);
            }
            Err(error) => {
                self.report.undecodable += 1;
                let why = error.reason.code();
                let say = format!("{}: accepted, but it will become a dead letter: {why}: {error}", place(line));
                self.name(self.report.undecodable, &say);
            }
        }
        self.bytes += message.size();
        self.messages.push(message);
        self.lines.push(line);
        if self.messages.len() >= BATCH || self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn name(&self, nth: u64, say: &str) {
        match nth {
            0..=NAMED => self.progress.suspend(|| say!("{say}")),
            n if n == NAMED + 1 => self.progress.suspend(|| say!("(further lines like these are only counted)")),
            _ => {}
        }
    }

    fn name_duplicates(&mut self) -> Result<(), Exit> {
        let Some(again) = &mut self.again else { return Ok(()) };
        for (line, reactors) in again.look()? {
            self.report.duplicates += 1;
            let say = format!(
                "{}: accepted, but it is a duplicate for {} and will not run: an event with the same identity was published \
                 before; `reactor log tail --outcome duplicate` shows which",
                place(line),
                reactors.into_iter().collect::<Vec<_>>().join(", ")
            );
            self.name(self.report.duplicates, &say);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Exit> {
        let messages = std::mem::take(&mut self.messages);
        let lines = std::mem::take(&mut self.lines);
        self.bytes = 0;
        if messages.is_empty() {
            return Ok(());
        }
        self.name_duplicates()?;
        let count = messages.len() as u64;
        let before = self.report.accepted;
        match &self.to {
            To::Log(store, id) => {
                // What the log knows about a message is in its envelope.
                let plain =
                    messages.into_iter().map(|m| Message { system: SystemAttributes::default(), ..m }).collect();
                let first = self.runtime.block_on(store.append(*id, plain)).map_err(|error| {
                    let error = anyhow::Error::from(error)
                        .context(format!("{before} messages were accepted before this error"));
                    Exit::new(exit::STORE, error)
                })?;
                self.report.accepted += count;
                self.report.first_offset.get_or_insert(first.0);
                self.report.last_offset = Some(first.0 + count - 1);
            }
            To::Outside(sink) => {
                let sent = self.runtime.block_on(send(&**sink, &messages, &SystemClock::default()));
                self.report.accepted += sent.accepted;
                for (index, error) in sent.refused {
                    self.report.refused += 1;
                    self.name(self.report.refused, &format!("{}: rejected: {error}", place(lines[index])));
                }
                if let Some(error) = sent.failed {
                    let accepted = self.report.accepted;
                    let error =
                        anyhow!("{error}").context(format!("{accepted} messages were accepted; the others were not"));
                    return Err(Exit::new(exit::FAILURE, error));
                }
            }
        }
        self.progress.set_message(self.report.accepted.to_string());
        Ok(())
    }
}
