//! The logs of local channels: one table each, so that every log grows at its own end.

use rusqlite::{Connection, OptionalExtension, params};

use reactor_core::event::{ChannelId, HostTime, Message, Offset};
use reactor_core::store::LogRecord;

use super::fault::{Fault, Sql};
use super::group::Group;
use super::rows::{int, maybe, message_of, message_texts, num, wall_of};

/// The DDL of a channel's log.
pub(super) fn create(conn: &Connection, channel: ChannelId) -> Sql<()> {
    conn.execute_batch(&format!(
        "CREATE TABLE log_{channel} (
            offset        INTEGER PRIMARY KEY,
            accepted_wall INTEGER NOT NULL,
            accepted_host INTEGER NOT NULL,
            attributes    TEXT,
            system        TEXT,
            body          BLOB NOT NULL
        )"
    ))?;
    Ok(())
}

/// Appends to a log; returns the first offset.
pub(super) fn append<'m>(
    group: &mut Group<'_>,
    channel: ChannelId,
    messages: impl ExactSizeIterator<Item = &'m Message>,
) -> Sql<Offset> {
    let first = group.take_offsets(channel, messages.len() as u64)?;
    let sql = format!("INSERT INTO log_{channel} VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    let mut insert = group.conn.prepare_cached(&sql)?;
    for (offset, message) in (first..).zip(messages) {
        let (attributes, system) = message_texts(message)?;
        let host = int(group.live.host.0);
        insert.execute(params![int(offset), group.wall, host, attributes, system, &message.body[..]])?;
    }
    Ok(Offset(first))
}

/// Reads records from an offset on, up to a limit.
pub(super) fn read(
    conn: &Connection,
    channel: ChannelId,
    from: Offset,
    max_records: usize,
    max_bytes: usize,
) -> Sql<Vec<LogRecord>> {
    exists(conn, channel)?;
    let sql = format!(
        "SELECT offset, accepted_wall, attributes, system, body FROM log_{channel} WHERE offset >= ?1 ORDER BY offset LIMIT ?2"
    );
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = select.query(params![int(from.0), int(max_records.max(1) as u64)])?;
    let (mut records, mut bytes) = (Vec::new(), 0_usize);
    while bytes < max_bytes.max(1)
        && let Some(row) = rows.next()?
    {
        let message = message_of(row, 2)?;
        bytes += message.size();
        if bytes > max_bytes && !records.is_empty() {
            break;
        }
        records.push(LogRecord { offset: Offset(num(row, 0)?), accepted: wall_of(row.get(1)?), message });
    }
    Ok(records)
}

/// The first offset that has not been admitted.
pub(super) fn cursor(conn: &Connection, channel: ChannelId) -> Sql<Offset> {
    conn.prepare_cached("SELECT cursor FROM channels WHERE id = ?1")?
        .query_row([channel.0], |row| num(row, 0))
        .optional()?
        .map(Offset)
        .ok_or_else(|| unknown(channel))
}

fn exists(conn: &Connection, channel: ChannelId) -> Sql<()> {
    cursor(conn, channel).map(|_| ())
}

fn unknown(channel: ChannelId) -> Fault {
    Fault::other(format!("there is no channel number {channel}"))
}

/// Deletes records from a log.
pub(super) fn remove(group: &Group<'_>, channel: ChannelId, offsets: &[Offset]) -> Sql<()> {
    if offsets.is_empty() {
        return Ok(());
    }
    let mut delete = group.conn.prepare_cached(&format!("DELETE FROM log_{channel} WHERE offset = ?1"))?;
    for offset in offsets {
        delete.execute([int(offset.0)])?;
    }
    Ok(())
}

/// The first offset to keep regardless of age: the cursor, or the oldest record that a delivery still needs.
fn needed(conn: &Connection, channel: ChannelId) -> Sql<u64> {
    let cursor = cursor(conn, channel)?.0;
    // Ids ascend with offsets, so the first delivery of the channel has its oldest record; redrives are the exception.
    let oldest: Option<u64> = conn
        .prepare_cached("SELECT record FROM deliveries WHERE channel = ?1 AND redrive IS NULL ORDER BY id LIMIT 1")?
        .query_row([channel.0], |row| num(row, 0))
        .optional()?;
    let redriven: Option<u64> = conn
        .prepare_cached("SELECT min(record) FROM deliveries WHERE redrive IS NOT NULL AND channel = ?1")?
        .query_row([channel.0], |row| maybe(row, 0))?;
    Ok(cursor.min(oldest.unwrap_or(u64::MAX)).min(redriven.unwrap_or(u64::MAX)))
}

/// The last offset of the next `limit` records that were accepted before `cutoff` and that no delivery needs.
pub(super) fn expired(conn: &Connection, channel: ChannelId, cutoff: HostTime, limit: u32) -> Sql<Option<Offset>> {
    let first: Option<u64> = conn
        .prepare_cached(&format!("SELECT accepted_host FROM log_{channel} ORDER BY offset LIMIT 1"))?
        .query_row([], |row| num(row, 0))
        .optional()?;
    if first.is_none_or(|accepted| accepted >= cutoff.0) {
        return Ok(None);
    }
    let last: Option<u64> = conn
        .prepare_cached(&format!(
            "SELECT max(offset) FROM (
                SELECT offset, accepted_host FROM log_{channel} WHERE offset < ?1 ORDER BY offset LIMIT ?3
             ) WHERE accepted_host < ?2"
        ))?
        .query_row(params![int(needed(conn, channel)?), int(cutoff.0), limit], |row| maybe(row, 0))?;
    Ok(last.map(Offset))
}

/// Removes a log's records up to and including `last`.
pub(super) fn expire(group: &Group<'_>, channel: ChannelId, last: Offset) -> Sql<()> {
    group.conn.prepare_cached(&format!("DELETE FROM log_{channel} WHERE offset <= ?1"))?.execute([int(last.0)])?;
    Ok(())
}
