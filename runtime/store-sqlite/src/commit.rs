//! Applies the effects and the ending of an attempt, all or nothing.

use rusqlite::{OptionalExtension, params};

use reactor_core::event::{AttemptRecord, HostTime, Identity, LaneKey};
use reactor_core::store::{Commit, Committed, DeadLetter, Effect, Ending};

use super::fault::Sql;
use super::group::Group;
use super::rows::{history_of, history_text, int, maybe, num};
use super::{attempts, dead, deliveries, outbox};

/// What the store knows about the delivery of a commit.
struct Current {
    waiting: bool,
    lane: Option<LaneKey>,
    redrive: Option<u64>,
    history: Option<String>,
    key: Identity,
}

/// Applies a commit if all its conditions hold.
pub(super) fn apply(group: &mut Group<'_>, commit: &Commit) -> Sql<Committed> {
    group.now(commit.now);
    let Some(current) = in_progress(group, commit)? else {
        group.live.rejected.refused(commit.number);
        return Ok(Committed::Stale);
    };
    if commit.after.is_some_and(|number| !group.live.rejected.happened(number)) || !unchanged(group, commit)? {
        group.live.rejected.refused(commit.number);
        return Ok(Committed::Conflict);
    }
    take_effect(group, commit)?;
    group.count("emitted", commit.reactor, i64::try_from(commit.emitted()).unwrap_or(i64::MAX));
    end(group, commit, &current)?;
    attempts::keep(group, commit)?;
    group.live.rejected.applied(commit.number);
    Ok(Committed::Applied)
}

fn in_progress(group: &mut Group<'_>, commit: &Commit) -> Sql<Option<Current>> {
    let row = group
        .statements
        .of(
            "SELECT place = 3, lane, redrive, history, key FROM deliveries WHERE id = ?1 AND reactor = ?2 AND attempts + 1 = ?3",
        )?
        .query_row(params![int(commit.delivery.0), commit.reactor.0, commit.attempt], |row| {
            Ok(Current {
                waiting: row.get(0)?,
                lane: row.get::<_, Option<[u8; 16]>>(1)?.map(Identity),
                redrive: maybe(row, 2)?,
                history: row.get(3)?,
                key: Identity(row.get(4)?),
            })
        })
        .optional()?;
    Ok(row)
}

fn unchanged(group: &mut Group<'_>, commit: &Commit) -> Sql<bool> {
    let select = group.statements.of("SELECT version FROM state WHERE reactor = ?1 AND key = ?2")?;
    for (key, seen) in &commit.reads {
        let version: Option<u64> = select.query_row(params![commit.reactor.0, key], |row| num(row, 0)).optional()?;
        if version.unwrap_or(0) != seen.0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn take_effect(group: &mut Group<'_>, commit: &Commit) -> Sql<()> {
    for effect in &commit.effects {
        match effect {
            Effect::Set { key, value } => {
                let insert = "INSERT INTO state VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (reactor, key) DO UPDATE SET version = excluded.version, value = excluded.value";
                let row = params![commit.reactor.0, key, int(commit.number.0), &value[..]];
                group.statements.of(insert)?.execute(row)?;
            }
            Effect::Delete { key } => {
                let delete = "DELETE FROM state WHERE reactor = ?1 AND key = ?2";
                group.statements.of(delete)?.execute(params![commit.reactor.0, key])?;
            }
            Effect::Put { target, message } => outbox::put(group, *target, message)?,
        }
    }
    Ok(())
}

fn end(group: &mut Group<'_>, commit: &Commit, current: &Current) -> Sql<()> {
    let reactor = commit.reactor;
    match &commit.ending {
        Ending::Done => {
            remove(group, commit, current)?;
            if let Some(letter) = current.redrive {
                dead::remove(group.conn, letter)?;
            }
            group.count("done", reactor, 1);
        }
        Ending::Wait { due, record, hold } => {
            wait(group, commit, current, *due, record)?;
            deliveries::hold(group, hold)?;
            group.count("retried", reactor, 1);
        }
        Ending::Dead { letter, hold } => {
            remove(group, commit, current)?;
            // The key is always the delivery's own, not the letter's: a redrive uses the same ledger entry.
            let letter = DeadLetter { key: current.key, ..letter.clone() };
            dead::end(group, &letter, commit.delivery, current.lane, current.redrive)?;
            deliveries::hold(group, hold)?;
            group.count("dead", reactor, 1);
        }
    }
    Ok(())
}

fn remove(group: &mut Group<'_>, commit: &Commit, current: &Current) -> Sql<()> {
    group.statements.of("DELETE FROM deliveries WHERE id = ?1")?.execute([int(commit.delivery.0)])?;
    group.count("active", commit.reactor, -1);
    group.count("waiting", commit.reactor, -i64::from(current.waiting));
    Ok(())
}

fn wait(group: &mut Group<'_>, commit: &Commit, current: &Current, due: HostTime, record: &AttemptRecord) -> Sql<()> {
    let mut history = history_of(current.history.as_deref())?;
    history.push(record.clone());
    group
        .statements
        .of("UPDATE deliveries SET place = 3, due = ?2, attempts = ?3, history = ?4, started = NULL WHERE id = ?1")?
        .execute(params![int(commit.delivery.0), int(due.0), commit.attempt, history_text(&history)?])?;
    group.count("waiting", commit.reactor, 1 - i64::from(current.waiting));
    Ok(())
}
