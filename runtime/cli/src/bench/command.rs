//! `reactor bench`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use indicatif::ProgressBar;

use reactor_config::model::ChannelConfig;
use reactor_core::event::{Event, Message};
use reactor_host::decode::Contents;
use reactor_host::intake::reading::Reading;

use crate::Global;
use crate::bench::{Plan, Samples, Subject, VALUES, measure};
use crate::exit::{self, Exit};
use crate::input::{Cut, Pieces};
use crate::modules::Modules;
use crate::project::Project;

/// A log line for each event would hide the figures and distort them.
pub(crate) const LOGGED: &str = "off";

/// Measure what an event costs a reactor on this machine, and the lower bounds for it
///
/// The reactor runs alone in a separate host. The store is in a new folder in the data directory, which is removed at
/// the end. Your own data is neither read nor changed, and HTTP requests are denied. First, events are
/// published as fast as possible, then at a steady pace. The same run measures what bounds a host: the disk, the
/// store and the sandbox, each alone. Compare figures only within one run, because machines differ and are noisy. Nothing is logged
/// unless RUST_LOG is set.
///
/// Example: reactor bench notifications examples/orders/order.json --vary /orderId --seconds 2
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// The reactor to run
    reactor: String,
    /// The file with the events to send in turn, one per line or a single one; each event sent gets a new id
    file: PathBuf,
    /// Append one of 10,000 endings to the text at this JSON pointer in the data, so that events have different keys
    #[arg(long, value_name = "POINTER")]
    vary: Option<String>,
    /// The channel that the events seem to come from; by default the first one that the reactor reads
    #[arg(long)]
    channel: Option<String>,
    /// About how long each of the two loads takes, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    /// Publish this many events as fast as possible, instead of as many as fill the time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    events: Option<u32>,
    /// Events per second at the steady pace
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "write a number of seconds")?;
    if (0.1..=3_600.0).contains(&seconds) { Ok(seconds) } else { Err("between 0.1 and 3600".into()) }
}

impl Bench {
    pub(crate) fn run(&self, global: &Global) -> Result<(), Exit> {
        let project = Project::load(global)?;
        let name = project.reactor_names(std::slice::from_ref(&self.reactor))?.remove(0);
        let channel = project.channel(self.channel.as_ref().unwrap_or(&project.config.reactors[&name].from[0]))?;
        let events = self.events(channel, &Reading::new(&project.config, channel, &[]))?;
        let samples = Samples::new(&events, self.vary.as_deref())
            .map_err(|error| Exit::new(exit::FAILURE, anyhow!("{}: {error:#}", self.file.display())))?;
        let mut modules = Modules::load_some(&project, global, std::slice::from_ref(&name))?;
        let module = modules.loaded.remove(&name).ok_or_else(|| anyhow!("reactor `{name}` has no module"))?;
        let config = reactor_config::model::Config::clone(&project.config);
        let subject = Subject::new(config, &name, module, samples);
        let plan = Plan { seconds: self.seconds, events: self.events.map(|n| n as usize), rate: f64::from(self.rate) };
        let spinner = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        spinner.enable_steady_tick(Duration::from_millis(200));
        let report = measure(subject, plan, None, &mut |what| spinner.set_message(what.to_owned()));
        spinner.finish_and_clear();
        let report = report?;
        if global.json {
            crate::print_json(&serde_json::to_string(&report).map_err(anyhow::Error::from)?);
            return Ok(());
        }
        crate::print_as_is(&report.to_string());
        if self.vary.is_none() && report.throughput.repeated * 10 > report.throughput.done {
            say!(
                "hint: many runs were repeated because they write the same state keys; --vary POINTER gives a text in \
                 the data {VALUES} different endings"
            );
        }
        Ok(())
    }

    /// The events of the file, read like `publish` does.
    fn events(&self, channel: &ChannelConfig, reading: &Reading) -> Result<Vec<Event>, Exit> {
        let path = self.file.display();
        let mut pieces = Pieces::open(&self.file, Cut::Auto, channel.max_event)?;
        let mut events = Vec::new();
        while let Some(piece) = pieces.next()? {
            let place = piece.place();
            let mut message = Message::from_body(piece.body);
            message.system.message_id = Some(format!("bench/{}", events.len() + 1));
            let decoded = reading.decode(&message).and_then(Contents::whole).map_err(|error| {
                let code = error.reason.code();
                Exit::new(exit::FAILURE, anyhow!("{path}: {place}: {code}: {error}"))
            })?;
            events.extend(decoded.into_iter().map(|decoded| decoded.event));
        }
        Ok(events)
    }
}
