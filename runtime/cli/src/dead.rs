//! `reactor dead list|show|redrive|drop`

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use reactor_config::units;
use reactor_core::attribute;
use reactor_core::event::ReactorId;
use reactor_core::store::{DeadFilter, Request, StoreClient, StoreError, StoredDead};
use reactor_history::{Attempt, Handled, History};
use reactor_store::memory::MemoryStore;

use super::attempt::ran;
use super::codes::{PAGES, nearest};
use super::exit::{self, Exit};
use super::letters::{one, pages};
use super::patience::wait_for_host;
use super::project::Project;
use super::report::{add_row, table};
use super::{Global, print_as_is, print_block, print_json};

/// Show dead letters, run them again, or delete them
///
/// A dead letter is a delivery or message that ended without success. All of these commands work while `reactor up` is running.
#[derive(Debug, Subcommand)]
pub(super) enum Dead {
    /// List dead letters, newest first
    ///
    /// Example: reactor dead list --reactor payments --reason rejected
    List(Select),
    /// Show a dead letter with its message, its attempts and their errors
    ///
    /// Example: reactor dead show 3
    Show {
        /// Its number, as `dead list` prints it
        id: u64,
    },
    /// Run dead letters again, with a fresh set of attempts
    ///
    /// A running host runs them at once; otherwise the next `reactor up` does. Effects that were committed are never
    /// repeated.
    ///
    /// With --from, the command takes the dead letters in a remote queue: those of this store run again, the others are sent
    /// back to the channel they came from. Then they are deleted from the queue. Messages that are not dead letters stay there.
    ///
    /// Example: reactor dead redrive --reactor payments
    Redrive {
        #[command(flatten)]
        select: Select,
        /// Take the dead letters in this channel's queue
        #[arg(long, value_name = "CHANNEL", conflicts_with_all = ["ids", "reactor", "reason", "since", "limit", "all"])]
        from: Option<String>,
    },
    /// Delete dead letters; if one of them parked a key, that key goes on
    ///
    /// Example: reactor dead drop 3 4
    Drop(Select),
}

/// Which dead letters; all conditions must match.
#[derive(Debug, Args)]
pub(super) struct Select {
    /// The numbers of dead letters, as `dead list` prints them
    #[arg(value_name = "ID")]
    ids: Vec<u64>,
    /// Only those of this reactor
    #[arg(long)]
    reactor: Option<String>,
    /// Only those with this reason, such as rejected or trap
    #[arg(long)]
    reason: Option<String>,
    /// Only those that ended within this time, such as 2h
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// At most this many
    #[arg(long)]
    limit: Option<usize>,
    /// Every dead letter
    #[arg(long)]
    all: bool,
}

impl Dead {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        let project = Project::load(global)?;
        // Listing and selecting changes nothing; another connection then writes the requests.
        let store = match (self, project.look()) {
            // The dead letters are in the queue; the store only knows which of them are its own.
            (Self::Redrive { from: Some(_), .. }, Err(exit)) if exit.is_missing_store() => project.client()?,
            (_, Err(exit)) if exit.is_missing_store() => {
                // Do not create a store only to look at it: scripts get the output of an empty one.
                exit.error.iter().for_each(|error| say!("{error}"));
                Arc::new(MemoryStore::new(0))
            }
            (_, store) => store?,
        };
        let names: BTreeMap<_, _> = store.reactor_names()?.into_iter().collect();
        match self {
            Self::List(select) => select.list(&*store, &names, global.json),
            Self::Show { id } => {
                let dead = one(&*store, *id)?.ok_or_else(|| no_such(*id))?;
                let channel = dead.letter.origin.channel;
                let channels = store.channel_names()?;
                let from = channels.into_iter().find(|(id, _)| *id == channel).map(|(_, name)| name);
                let attempts = attempts(&History::new(&*store).of_letters(slice::from_ref(&dead))?, &dead);
                let from = from.unwrap_or_else(|| channel.to_string());
                show(&dead, &attempts, &names, &asked(&*store)?, &from, global.json)
            }
            Self::Redrive { from: Some(channel), .. } => {
                super::dead_from::redrive(&project, &project.client()?, &names, channel, global.json)
            }
            Self::Redrive { select, from: None } => {
                ask(&project, select.chosen(&*store, &names)?, Request::Redrive, global.json)
            }
            Self::Drop(select) => ask(&project, select.chosen(&*store, &names)?, Request::Drop, global.json),
        }
    }
}

impl Select {
    /// Passes on the selected dead letters without their bodies, newest first, a page at a time.
    fn pages(
        &self,
        store: &dyn StoreClient,
        names: &BTreeMap<ReactorId, String>,
        mut take: impl FnMut(Vec<StoredDead>) -> Result<(), Exit>,
    ) -> Result<(), Exit> {
        if !self.ids.is_empty() {
            for id in &self.ids {
                take(vec![one(store, *id)?.ok_or_else(|| no_such(*id))?])?;
            }
            return Ok(());
        }
        let reactor = self.reactor.as_ref().map(|wanted| {
            let found = names.iter().find(|(_, name)| *name == wanted).map(|(id, _)| *id);
            found.ok_or_else(|| Exit::new(exit::USAGE, anyhow!("no reactor `{wanted}` has ever run on this store")))
        });
        let since = self.since.as_ref().map(|text| {
            let wrong = |error| Exit::new(exit::USAGE, anyhow!("--since {text}: {error}"));
            Ok::<_, Exit>(Timestamp::now() - units::parse_duration(text).map_err(wrong)?)
        });
        if let Some(reason) = &self.reason {
            is_reason(store, reason)?;
        }
        let filter = DeadFilter {
            reactor: reactor.transpose()?,
            reason: self.reason.clone(),
            since: since.transpose()?,
            limit: self.limit.unwrap_or(0),
            ..DeadFilter::default()
        };
        pages(store, &filter, take)
    }

    fn list(&self, store: &dyn StoreClient, names: &BTreeMap<ReactorId, String>, json: bool) -> Result<(), Exit> {
        let asked = asked(store)?;
        if json {
            return self.pages(store, names, |page| {
                let handled = History::new(store).of_letters(&page)?;
                // Messages are read one at a time: each has up to a mebibyte.
                for id in page.iter().map(|dead| dead.id) {
                    // It is gone if it has been dropped, or has run again, in the meantime.
                    if let Some(dead) = one(store, id)? {
                        print_json(&to_json(&dead, &attempts(&handled, &dead), names, &asked));
                    }
                }
                Ok(())
            });
        }
        let mut rows = table(&HEADS);
        self.pages(store, names, |page| {
            page.iter().for_each(|dead| add_row(&mut rows, row(dead, names, &asked).each_ref().map(String::as_str)));
            Ok(())
        })?;
        print_as_is(&rows.to_string());
        Ok(())
    }

    /// The numbers of the selected dead letters; an empty selection is an error.
    fn chosen(&self, store: &dyn StoreClient, names: &BTreeMap<ReactorId, String>) -> Result<Vec<u64>, Exit> {
        let narrowed = self.reactor.is_some() || self.reason.is_some() || self.since.is_some() || self.limit.is_some();
        if self.ids.is_empty() && !narrowed && !self.all {
            let error = anyhow!("choose dead letters by their numbers, --reactor, --reason or --since, or use --all");
            return Err(Exit::new(exit::USAGE, error));
        }
        let mut chosen = Vec::new();
        self.pages(store, names, |page| {
            chosen.extend(page.iter().map(|dead| dead.id));
            Ok(())
        })?;
        Ok(chosen)
    }
}

fn no_such(id: u64) -> Exit {
    Exit::new(exit::FAILURE, anyhow!("there is no dead letter {id}; `reactor dead list` shows the existing ones"))
}

/// Checks that a dead letter can have this reason: it is a code, or some letter has it.
fn is_reason(store: &dyn StoreClient, reason: &str) -> Result<(), Exit> {
    let filter = DeadFilter { reason: Some(reason.to_owned()), limit: 1, brief: true, ..DeadFilter::default() };
    if PAGES.iter().any(|(code, _)| *code == reason) || !store.dead_letters(&filter)?.is_empty() {
        return Ok(());
    }
    let hint = nearest(reason).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Err(Exit::new(exit::USAGE, anyhow!("no dead letter has the reason `{reason}`{hint}")))
}

/// Requests that no host has carried out yet, by letter number.
type Asked = BTreeMap<u64, &'static str>;

fn asked(store: &dyn StoreClient) -> Result<Asked, Exit> {
    let requests = store.requests(0)?.into_iter().map(|(_, request)| match request {
        Request::Redrive(id) => (id, "redrive"),
        Request::Drop(id) => (id, "drop"),
    });
    Ok(requests.collect())
}

/// The pending request for a letter, in words.
fn under_way(dead: &StoredDead, asked: &Asked) -> Option<&'static str> {
    match asked.get(&dead.id) {
        _ if dead.redriving => Some("redriving"),
        Some(&"drop") => Some("to be dropped"),
        Some(_) => Some("to be redriven at the next `reactor up`"),
        None => None,
    }
}

fn name(dead: &StoredDead, names: &BTreeMap<ReactorId, String>) -> String {
    dead.letter.reactor.and_then(|id| names.get(&id).cloned()).unwrap_or_else(|| "-".into())
}

/// The list's column heads.
const HEADS: [&str; 7] = ["id", "ended", "reactor", "reason", "attempts", "type", "event"];

fn row(dead: &StoredDead, names: &BTreeMap<ReactorId, String>, asked: &Asked) -> [String; 7] {
    let letter = &dead.letter;
    let reason = match under_way(dead, asked) {
        Some(what) => format!("{} ({what})", letter.reason),
        None => letter.reason.clone(),
    };
    [
        dead.id.to_string(),
        format!("{:.0}", letter.at),
        name(dead, names),
        reason,
        letter.history.len().to_string(),
        letter.event_type.as_deref().unwrap_or("-").to_owned(),
        letter.event_id.as_deref().unwrap_or("-").to_owned(),
    ]
}

/// Every attempt at a dead letter, with the details that are kept.
fn attempts(handled: &[Handled], dead: &StoredDead) -> Vec<Attempt> {
    let is_it = |one: &&Handled| one.origin == dead.letter.origin && Some(one.reactor) == dead.letter.reactor;
    let kept = handled.iter().find(is_it).map_or(&[][..], |one| &one.attempts);
    Attempt::all(&dead.letter.history, kept)
}

fn show(
    dead: &StoredDead,
    attempts: &[Attempt],
    names: &BTreeMap<ReactorId, String>,
    asked: &Asked,
    from: &str,
    json: bool,
) -> Result<(), Exit> {
    if json {
        print_json(&to_json(dead, attempts, names, asked));
        return Ok(());
    }
    let letter = &dead.letter;
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    out!("dead letter {} of {}: {}", dead.id, name(dead, names), letter.reason);
    let under_way = under_way(dead, asked).map(|what| format!(" ({what})")).unwrap_or_default();
    out!("ended        {:.3}{under_way}", letter.at);
    out!("event        {} {}", or_dash(&letter.event_type), or_dash(&letter.event_id));
    out!("correlation  {}", or_dash(&letter.correlation_id));
    out!("from         {from}/{}", letter.origin.offset);
    if letter.history.is_empty() {
        out!("why          {}", letter.detail);
    }
    for attempt in attempts {
        out!("");
        out!("attempt {} at {:.3}{}: {}", attempt.number, attempt.at, ran(attempt), attempt.code);
        attempt.error.iter().for_each(|error| print_block(error));
    }
    out!("");
    out!("message ({} bytes)", letter.message.body.len());
    letter.message.attributes.iter().for_each(|attribute| out!("    {attribute}"));
    print_block(&String::from_utf8_lossy(&letter.message.body));
    Ok(())
}

fn to_json(dead: &StoredDead, attempts: &[Attempt], names: &BTreeMap<ReactorId, String>, asked: &Asked) -> Value {
    use base64::Engine as _;
    let letter = &dead.letter;
    let body = match std::str::from_utf8(&letter.message.body) {
        Ok(text) => json!({ "body": text }),
        Err(_) => json!({ "bodyBase64": base64::prelude::BASE64_STANDARD.encode(&letter.message.body) }),
    };
    json!({
        "id": dead.id,
        "redriving": dead.redriving,
        "asked": asked.get(&dead.id),
        "reactor": letter.reactor.and_then(|id| names.get(&id)),
        "reason": letter.reason,
        "detail": letter.detail,
        "at": letter.at,
        "eventId": letter.event_id,
        "eventType": letter.event_type,
        "correlationId": letter.correlation_id,
        "attempts": attempts,
        "channel": letter.origin.channel,
        "offset": letter.origin.offset,
        "message": body,
        "attributes": letter.message.attributes_as_json(),
        "attributeTypes": attribute::kinds(&letter.message.attributes),
    })
}

/// Requests something for each letter; a running host carries it out, and drops do not need one.
fn ask(project: &Project, ids: Vec<u64>, request: fn(u64) -> Request, json: bool) -> Result<(), Exit> {
    let dropping = request(0) == Request::Drop(0);
    if ids.is_empty() {
        return told(&ids, dropping, true, json);
    }
    let alone = match project.owner() {
        Ok(owner) => Some(owner),
        Err(Exit { error: Some(error), .. }) if is_locked(&error) => None,
        Err(exit) => return Err(exit),
    };
    let store = alone.clone().map_or_else(|| project.client(), |owner| Ok(owner as Arc<dyn StoreClient>))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for id in &ids {
        runtime.block_on(store.request(request(*id)))?;
    }
    let done = match alone {
        Some(owner) if dropping => {
            for (number, asked) in owner.requests(0)? {
                if let Request::Drop(id) = asked {
                    runtime.block_on(owner.drop_dead(number, id))?;
                }
            }
            true
        }
        Some(_) => false,
        None => wait_for_host(&*store)?,
    };
    told(&ids, dropping, done, json)
}

/// Reports the result of the request.
fn told(ids: &[u64], dropping: bool, done: bool, json: bool) -> Result<(), Exit> {
    let (what, later) = if dropping { ("dropped", "to be dropped") } else { ("redriven", "to be redriven") };
    if json {
        print_json(&json!({ "ids": ids, "carriedOut": done, "request": what }));
    } else if done {
        out!("{} {what}", ids.len());
    } else {
        out!("{} {later} when `reactor up` runs", ids.len());
    }
    Ok(())
}

fn is_locked(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Locked { .. }))
}
