//! How values are stored in columns.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use reactor_core::event::{
    AttemptRecord, ChannelId, DeliveryId, HostTime, Identity, Message, Offset, Origin, ReactorId, SystemAttributes,
};
use reactor_core::store::{DeadLetter, Place, StoredDead, StoredDelivery};

use super::fault::{Fault, Sql};

/// `SQLite` integers are signed; our counts and clocks reach 2^63 only by saturation.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count, id or time from a column.
pub(super) fn num(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// The same from a column that may be empty.
pub(super) fn maybe(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    if row.get_ref(column)? == ValueRef::Null { Ok(None) } else { num(row, column).map(Some) }
}

/// The number of a place, as the partial indexes of the schema use it.
pub(super) fn place_code(place: Place) -> i64 {
    match place {
        Place::Memory => 0,
        Place::Spilled => 1,
        Place::Held => 2,
        Place::Waiting => 3,
        Place::Away => 4,
    }
}

/// The place of a number.
pub(super) fn place_of(code: i64) -> Sql<Place> {
    match code {
        0 => Ok(Place::Memory),
        1 => Ok(Place::Spilled),
        2 => Ok(Place::Held),
        3 => Ok(Place::Waiting),
        4 => Ok(Place::Away),
        other => Err(Fault::Row(format!("a delivery's place is {other}"))),
    }
}

/// Attempt records as JSON; `None` if there are none.
pub(super) fn history_text(history: &[AttemptRecord]) -> Sql<Option<String>> {
    if history.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(history).map(Some).map_err(|e| Fault::other(e.to_string()))
}

/// Attempt records from JSON.
pub(super) fn history_of(text: Option<&str>) -> Sql<Vec<AttemptRecord>> {
    text.map_or_else(|| Ok(Vec::new()), |t| serde_json::from_str(t).map_err(|e| Fault::Row(format!("history: {e}"))))
}

/// A message's attributes and system attributes as JSON; `None` if there are none.
pub(super) fn message_texts(message: &Message) -> Sql<(Option<String>, Option<String>)> {
    let json = |r: serde_json::Result<String>| r.map(Some).map_err(|e| Fault::other(e.to_string()));
    let attributes =
        if message.attributes.is_empty() { None } else { json(serde_json::to_string(&message.attributes))? };
    let system = if message.system == SystemAttributes::default() {
        None
    } else {
        json(serde_json::to_string(&message.system))?
    };
    Ok((attributes, system))
}

/// A message from three columns: attributes, system, body.
pub(super) fn message_of(row: &Row<'_>, first: usize) -> Sql<Message> {
    let bad = |what: &str, e: serde_json::Error| Fault::Row(format!("a message's {what}: {e}"));
    let attributes = match row.get_ref(first)? {
        ValueRef::Null => Vec::new(),
        text => serde_json::from_slice(text.as_bytes().map_err(|e| Fault::Row(e.to_string()))?)
            .map_err(|e| bad("attributes", e))?,
    };
    let system = match row.get_ref(first + 1)? {
        ValueRef::Null => SystemAttributes::default(),
        text => serde_json::from_slice(text.as_bytes().map_err(|e| Fault::Row(e.to_string()))?)
            .map_err(|e| bad("system attributes", e))?,
    };
    let body: Vec<u8> = row.get(first + 2)?;
    Ok(Message { body: body.into(), attributes, system })
}

/// Milliseconds since 1970, clamped to the range of a timestamp.
pub(super) fn wall_of(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// Nanoseconds since 1970, saturating (the years 1678 to 2262).
pub(super) fn nanos(at: Timestamp) -> i64 {
    let wide = at.as_nanosecond();
    i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
}

/// The columns of [`delivery_of`].
pub(super) const DELIVERY: &str =
    "id, reactor, place, since, channel, record, part, key, lane, due, redrive, history, leased";

/// A delivery from the columns of [`DELIVERY`].
pub(super) fn delivery_of(row: &Row<'_>) -> Sql<StoredDelivery> {
    Ok(StoredDelivery {
        id: DeliveryId(num(row, 0)?),
        reactor: ReactorId(row.get(1)?),
        place: place_of(row.get(2)?)?,
        since: HostTime(num(row, 3)?),
        origin: origin_of(row, 4)?,
        key: Identity(row.get(7)?),
        lane: row.get::<_, Option<[u8; 16]>>(8)?.map(Identity),
        due: HostTime(maybe(row, 9)?.unwrap_or(0)),
        redrive_of: maybe(row, 10)?,
        leased: row.get(12)?,
        history: history_of(row.get_ref(11)?.as_str_or_null().map_err(|e| Fault::Row(e.to_string()))?)?,
    })
}

/// An origin from three columns.
pub(super) fn origin_of(row: &Row<'_>, first: usize) -> Sql<Origin> {
    Ok(Origin { channel: ChannelId(row.get(first)?), offset: Offset(num(row, first + 1)?), part: row.get(first + 2)? })
}

/// The columns of [`dead_of`]; the last three are the message.
pub(super) const DEAD: &str = "id, redriving, reactor, channel, record, part, event_id, event_type, correlation_id, \
     reason, detail, history, parks, key, at, attributes, system";

/// A dead letter from the columns of [`DEAD`] and its body.
pub(super) fn dead_of(row: &Row<'_>) -> Sql<StoredDead> {
    let at: i64 = row.get(14)?;
    Ok(StoredDead {
        id: num(row, 0)?,
        redriving: row.get(1)?,
        letter: DeadLetter {
            reactor: row.get::<_, Option<u32>>(2)?.map(ReactorId),
            origin: origin_of(row, 3)?,
            event_id: row.get(6)?,
            event_type: row.get(7)?,
            correlation_id: row.get(8)?,
            reason: row.get(9)?,
            detail: row.get(10)?,
            history: history_of(row.get_ref(11)?.as_str_or_null().map_err(|e| Fault::Row(e.to_string()))?)?,
            parks: row.get::<_, Option<[u8; 16]>>(12)?.map(Identity),
            key: Identity(row.get(13)?),
            at: Timestamp::from_nanosecond(i128::from(at)).map_err(|e| Fault::Row(e.to_string()))?,
            message: message_of(row, 15)?,
        },
    })
}
