//! The statements that a group uses for each of its rows: looked up once per group.

use rusqlite::{CachedStatement, Connection};

use super::fault::Sql;

/// Statements in use. They all go back to the connection's cache together.
pub(super) struct Statements<'a> {
    /// The writing connection.
    pub(super) conn: &'a Connection,
    used: Vec<(&'static str, CachedStatement<'a>)>,
}

impl<'a> Statements<'a> {
    pub(super) fn new(conn: &'a Connection) -> Self {
        Self { conn, used: Vec::new() }
    }

    /// The statement with this text. The lookup compares the address of the text, which is faster than any hash; the
    /// same text at two addresses is two statements.
    pub(super) fn of(&mut self, sql: &'static str) -> Sql<&mut CachedStatement<'a>> {
        let known = self.used.iter().position(|(text, _)| std::ptr::eq(*text, sql));
        let at = known.unwrap_or(self.used.len());
        if known.is_none() {
            self.used.push((sql, self.conn.prepare_cached(sql)?));
        }
        Ok(&mut self.used[at].1)
    }
}
