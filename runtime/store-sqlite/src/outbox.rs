//! Messages on their way to remote channels.

use rusqlite::{Connection, params};

use reactor_core::event::{ChannelId, Message};
use reactor_core::store::{DeadLetter, OutboxRecord, Target};

use super::fault::Sql;
use super::group::Group;
use super::rows::{int, message_of, message_texts, num};
use super::{dead, log};

/// Appends a message to the log or outbox of its target.
pub(super) fn put(group: &mut Group<'_>, target: Target, message: &Message) -> Sql<()> {
    match target {
        Target::Log(channel) => log::append(group, channel, std::iter::once(message)).map(|_| ()),
        Target::Outbox(channel) => add(group, channel, message),
    }
}

/// Adds a message at the end.
pub(super) fn add(group: &Group<'_>, channel: ChannelId, message: &Message) -> Sql<()> {
    let (attributes, system) = message_texts(message)?;
    group
        .conn
        .prepare_cached("INSERT INTO outbox (channel, attributes, system, body) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![channel.0, attributes, system, &message.body[..]])?;
    Ok(())
}

/// See [`reactor_core::store::StoreOwner::outbox`].
pub(super) fn read(
    conn: &Connection,
    channel: ChannelId,
    after: u64,
    max_records: usize,
    max_bytes: usize,
) -> Sql<Vec<OutboxRecord>> {
    let mut select = conn.prepare_cached(
        "SELECT id, attributes, system, body FROM outbox WHERE channel = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let mut rows = select.query(params![channel.0, int(after), int(max_records.max(1) as u64)])?;
    let (mut found, mut bytes) = (Vec::new(), 0_usize);
    while bytes < max_bytes.max(1)
        && let Some(row) = rows.next()?
    {
        let message = message_of(row, 1)?;
        bytes += message.size();
        if bytes > max_bytes && !found.is_empty() {
            break;
        }
        found.push(OutboxRecord { id: num(row, 0)?, message });
    }
    Ok(found)
}

/// See [`reactor_core::store::StoreClient::outbox_size`].
pub(super) fn size(conn: &Connection, channel: ChannelId) -> Sql<(u64, u64)> {
    let mut select =
        conn.prepare_cached("SELECT count(*), ifnull(sum(length(body)), 0) FROM outbox WHERE channel = ?1")?;
    Ok(select.query_row([channel.0], |row| Ok((num(row, 0)?, num(row, 1)?)))?)
}

/// See [`reactor_core::store::StoreOwner::sent`].
pub(super) fn remove(group: &Group<'_>, ids: &[u64]) -> Sql<()> {
    let mut delete = group.conn.prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
    for id in ids {
        delete.execute([int(*id)])?;
    }
    Ok(())
}

/// See [`reactor_core::store::StoreOwner::undeliverable`].
pub(super) fn bury(group: &Group<'_>, letters: &[(u64, DeadLetter)]) -> Sql<()> {
    for (id, letter) in letters {
        remove(group, &[*id])?;
        dead::insert(group, letter, None, None)?;
    }
    Ok(())
}
