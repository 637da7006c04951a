//! Ended attempts, kept for later questions. The attempts of a transaction share a row: each adds only some text to it,
//! and needs no row, index entry or statement of its own.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use reactor_core::event::{ChannelId, DeliveryId, HostTime, Offset, Origin, ReactorId};
use reactor_core::store::{AttemptEnd, AttemptNote, AttemptsOf, Commit, Ending, KeptAttempt};

use super::fault::{Fault, Sql};
use super::rows::{int, num, wall_of};

/// Bytes at which a row is full, which keeps each removal small.
const ROW: usize = 64 << 10;

/// Attempts on their way into a row, and the numbers of the modules that the writer knows.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    text: Vec<u8>,
    /// The module of the last attempt, usually that of the next one, too.
    last: Option<(Arc<str>, u64)>,
    modules: hashbrown::HashMap<Arc<str>, u64>,
}

impl Attempts {
    /// Discards what a rolled-back transaction has left.
    pub(super) fn reset(&mut self) {
        self.text.clear();
        self.last = None;
        self.modules.clear();
    }

    /// Keeps the attempt of an applied commit, if the commit asks for it.
    pub(super) fn keep(&mut self, conn: &Connection, host: HostTime, epoch: Option<u64>, commit: &Commit) -> Sql<()> {
        let Some(note) = &commit.note else { return Ok(()) };
        let module = self.module(conn, &note.module)?;
        let text = &mut self.text;
        text.push(if text.is_empty() { b'[' } else { b',' });
        serde_json::to_writer(&mut *text, &entry(commit, note, module))
            .map_err(|error| Fault::other(error.to_string()))?;
        if text.len() >= ROW { self.write(conn, host, epoch) } else { Ok(()) }
    }

    /// Writes what has accumulated since the last row.
    pub(super) fn write(&mut self, conn: &Connection, host: HostTime, epoch: Option<u64>) -> Sql<()> {
        let text = &mut self.text;
        if text.is_empty() {
            return Ok(());
        }
        text.push(b']');
        let (host, worker) = (int(host.0), int(epoch.unwrap_or(0)));
        let attempts = ToSqlOutput::Borrowed(ValueRef::Text(text));
        conn.prepare_cached("INSERT INTO attempts (ended_host, worker, attempts) VALUES (?1, ?2, ?3)")?
            .execute(params![host, worker, attempts])?;
        text.clear();
        Ok(())
    }

    /// The number of a module, assigned with its first attempt.
    fn module(&mut self, conn: &Connection, digest: &Arc<str>) -> Sql<u64> {
        match &self.last {
            Some((last, number)) if Arc::ptr_eq(last, digest) => return Ok(*number),
            _ => {}
        }
        let number = match self.modules.get(digest) {
            Some(number) => *number,
            None => self.number(conn, digest)?,
        };
        self.last = Some((Arc::clone(digest), number));
        Ok(number)
    }

    fn number(&mut self, conn: &Connection, digest: &Arc<str>) -> Sql<u64> {
        let known = conn
            .prepare_cached("SELECT id FROM modules WHERE digest = ?1")?
            .query_row([&**digest], |row| num(row, 0))
            .optional()?;
        let number = match known {
            Some(number) => number,
            None => conn
                .prepare_cached("INSERT INTO modules (digest) VALUES (?1) RETURNING id")?
                .query_row([&**digest], |row| num(row, 0))?,
        };
        self.modules.insert(Arc::clone(digest), number);
        Ok(number)
    }
}

/// An attempt as stored in a row; `schema.sql` names the members.
#[derive(Serialize, Deserialize)]
struct Entry<'e>(
    u32,
    u64,
    u32,
    u32,
    u64,
    u32,
    u8,
    #[serde(borrow)] Cow<'e, str>,
    i64,
    u64,
    u64,
    #[serde(borrow)] Cow<'e, str>,
    #[serde(borrow)] Cow<'e, str>,
    #[serde(borrow)] Cow<'e, str>,
);

fn entry<'e>(commit: &Commit, note: &'e AttemptNote, module: u64) -> Entry<'e> {
    let AttemptNote { event, origin, code, at, took, .. } = note;
    let end = match commit.ending {
        Ending::Done => 0,
        Ending::Wait { .. } => 1,
        Ending::Dead { .. } => 2,
    };
    Entry(
        origin.channel.0,
        origin.offset.0,
        origin.part,
        commit.reactor.0,
        commit.delivery.0,
        commit.attempt,
        end,
        Cow::Borrowed(*code),
        at.as_millisecond(),
        u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        module,
        Cow::Borrowed(&event.id),
        Cow::Borrowed(&event.event_type),
        Cow::Borrowed(&event.correlation_id),
    )
}

/// See [`reactor_core::store::Store::attempts`].
pub(super) fn find(conn: &Connection, of: &AttemptsOf) -> Sql<Vec<KeptAttempt>> {
    let (words, since) = match of {
        AttemptsOf::Records(records) => {
            let words = match records.first() {
                Some((channel, offset)) if records.len() == 1 => format!("[{channel},{offset},"),
                // Which every row contains.
                Some(_) => String::new(),
                None => return Ok(Vec::new()),
            };
            (words, first_accepted(conn, records)?)
        }
        AttemptsOf::Delivery(delivery) => (format!(",{delivery},"), 0),
        AttemptsOf::Event(text) | AttemptsOf::Correlation(text) => {
            (serde_json::to_string(text).map_err(|error| Fault::other(error.to_string()))?, 0)
        }
    };
    let mut modules = conn.prepare_cached("SELECT id, digest FROM modules")?;
    let modules = modules.query_map([], |row| Ok((num(row, 0)?, row.get(1)?)))?;
    let modules: HashMap<u64, String> = modules.collect::<Result<_, _>>()?;
    let mut select = conn.prepare_cached("SELECT worker, attempts FROM attempts WHERE ended_host >= ?1 ORDER BY id")?;
    let mut rows = select.query([int(since)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let damaged = |what: String| Fault::Row(format!("attempts: {what}"));
        let text = row.get_ref(1)?.as_str().map_err(|error| damaged(error.to_string()))?;
        // Cheaper than parsing the JSON of a row that cannot match.
        if !text.contains(&words) {
            continue;
        }
        let entries: Vec<Entry<'_>> = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        for entry in entries {
            let kept = kept(entry, num(row, 0)?, &modules)?;
            found.extend(is_of(&kept, of).then_some(kept));
        }
    }
    Ok(found)
}

/// When the first of these records was accepted; no attempt ended before that. 0 if a log no longer holds one of them.
fn first_accepted(conn: &Connection, records: &BTreeSet<(ChannelId, Offset)>) -> Sql<u64> {
    let mut first = u64::MAX;
    for (channel, offset) in records {
        let sql = format!("SELECT accepted_host FROM log_{channel} WHERE offset = ?1");
        let accepted = conn.prepare_cached(&sql)?.query_row([int(offset.0)], |row| num(row, 0)).optional()?;
        first = first.min(accepted.unwrap_or(0));
    }
    Ok(first)
}

fn is_of(kept: &KeptAttempt, of: &AttemptsOf) -> bool {
    match of {
        AttemptsOf::Records(records) => records.contains(&(kept.origin.channel, kept.origin.offset)),
        AttemptsOf::Delivery(delivery) => kept.delivery == *delivery,
        AttemptsOf::Event(id) => kept.event_id == *id,
        AttemptsOf::Correlation(id) => kept.correlation_id == *id,
    }
}

fn kept(entry: Entry<'_>, worker: u64, modules: &HashMap<u64, String>) -> Sql<KeptAttempt> {
    let Entry(channel, offset, part, reactor, delivery, number, end, code, at, took, module, id, kind, flow) = entry;
    Ok(KeptAttempt {
        delivery: DeliveryId(delivery),
        reactor: ReactorId(reactor),
        origin: Origin { channel: ChannelId(channel), offset: Offset(offset), part },
        number,
        end: match end {
            0 => AttemptEnd::Done,
            1 => AttemptEnd::Retry,
            2 => AttemptEnd::Dead,
            other => return Err(Fault::Row(format!("an attempt's end is {other}"))),
        },
        code: code.into_owned(),
        at: wall_of(at),
        took: Duration::from_micros(took),
        module: modules.get(&module).cloned().unwrap_or_default(),
        worker,
        event_id: id.into_owned(),
        event_type: kind.into_owned(),
        correlation_id: flow.into_owned(),
    })
}

/// Removes some of the rows written before `cutoff`; returns whether there may be more.
pub(super) fn expire(conn: &Connection, cutoff: HostTime, limit: u32) -> Sql<bool> {
    let gone = conn
        .prepare_cached(
            "DELETE FROM attempts WHERE ended_host < ?1 AND id IN (SELECT id FROM attempts ORDER BY id LIMIT ?2)",
        )?
        .execute(params![int(cutoff.0), limit])?;
    Ok(gone == limit as usize)
}
