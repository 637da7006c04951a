//! The names of reactors and channels, and their numbers.

use rusqlite::{Connection, OptionalExtension};

use reactor_core::event::ChannelId;

use super::fault::{Fault, Sql};
use super::group::Group;
use super::log;

/// What a name belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Reactors.
    Reactor,
    /// Channels.
    Channel,
}

impl Kind {
    fn table(self) -> &'static str {
        match self {
            Self::Reactor => "reactors",
            Self::Channel => "channels",
        }
    }

    /// A name's number, if it has one.
    pub(super) fn find(self, conn: &Connection, name: &str) -> Sql<Option<u32>> {
        let sql = format!("SELECT id FROM {} WHERE name = ?1", self.table());
        Ok(conn.prepare_cached(&sql)?.query_row([name], |row| row.get(0)).optional()?)
    }

    /// A name's number; assigns one if it has none.
    pub(super) fn find_or_make(self, group: &Group<'_>, name: &str) -> Sql<u32> {
        if let Some(id) = self.find(group.conn, name)? {
            return Ok(id);
        }
        let sql = format!("INSERT INTO {} (name) VALUES (?1) RETURNING id", self.table());
        let id: u32 = group.conn.prepare_cached(&sql)?.query_row([name], |row| row.get(0))?;
        if matches!(self, Self::Channel) {
            log::create(group.conn, ChannelId(id))?;
        }
        Ok(id)
    }

    /// All names, in the order in which they were assigned.
    pub(super) fn all(self, conn: &Connection) -> Sql<Vec<(u32, String)>> {
        let mut select = conn.prepare_cached(&format!("SELECT id, name FROM {} ORDER BY id", self.table()))?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>().map_err(Fault::from)
    }
}
