//! The statements that a group uses for each of its rows: looked up once a group.

use rusqlite::{CachedStatement, Connection};

use super::fault::Sql;

/// Statements in use. They go back to the connection's cache together.
pub(super) struct Statements<'a> {
    /// The writing connection.
    pub(super) conn: &'a Connection,
    used: Vec<(&'static str, CachedStatement<'a>)>,
}

impl<'a> Statements<'a> {
    pub(super) fn new(conn: &'a Connection) -> Self {
        Self { conn, used: Vec::new() }
    }

    /// The statement of this text. It is known by where its text lies, which is quicker than any hash; a text that lies in
    /// two places is two statements.
    pub(super) fn of(&mut self, sql: &'static str) -> Sql<&mut CachedStatement<'a>> {
        let known = self.used.iter().position(|(text, _)| std::ptr::eq(*text, sql));
        let at = known.unwrap_or(self.used.len());
        if known.is_none() {
            self.used.push((sql, self.conn.prepare_cached(sql)?));
        }
        Ok(&mut self.used[at].1)
    }
}
