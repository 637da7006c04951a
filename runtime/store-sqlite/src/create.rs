//! Creating a store, and checking that a file is one.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use reactor_core::store::{Result, StoreError};

use super::fault::{Fault, Sql};
use super::folder::{self, Kind};
use super::lock::Turn;
use super::note::{self, Reading};
use super::patience::Patience;
use super::{guard, room, vfs};

/// `SQLite`'s application id: "RctR".
const APPLICATION: u32 = 0x5263_7452;
/// The version of the tables.
pub(super) const VERSION: i64 = 5;
const SCHEMA: &str = include_str!("schema.sql");
/// The migrations from version N to N + 1, starting with version 1.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE outbox (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        channel    INTEGER NOT NULL,
        attributes TEXT,
        system     TEXT,
        body       BLOB NOT NULL
    );
    CREATE INDEX outbox_channel ON outbox (channel, id);
    ALTER TABLE deliveries ADD COLUMN leased INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX deliveries_away ON deliveries (since) WHERE place = 4;",
    "
    INSERT INTO meta VALUES ('group', 0);",
    "
    ALTER TABLE ledger ADD COLUMN channel INTEGER;
    ALTER TABLE ledger ADD COLUMN record INTEGER;
    ALTER TABLE ledger ADD COLUMN part INTEGER;
    CREATE TABLE dropped (
        letter       INTEGER PRIMARY KEY,
        dropped_host INTEGER NOT NULL,
        reactor      INTEGER NOT NULL,
        key          BLOB NOT NULL,
        channel      INTEGER NOT NULL,
        record       INTEGER NOT NULL,
        part         INTEGER NOT NULL,
        reason       TEXT NOT NULL
    );
    CREATE INDEX dropped_key ON dropped (key);
    CREATE INDEX dropped_since ON dropped (dropped_host);",
    "
    INSERT OR REPLACE INTO meta SELECT 'told', max(value, 1) FROM meta WHERE name = 'host';
    CREATE INDEX dead_origin ON dead (channel, record);
    CREATE INDEX dropped_origin ON dropped (channel, record);
    CREATE TABLE duplicates (
        id            INTEGER PRIMARY KEY,
        noted_host    INTEGER NOT NULL,
        reactor       INTEGER NOT NULL,
        channel       INTEGER NOT NULL,
        record        INTEGER NOT NULL,
        part          INTEGER NOT NULL,
        first         INTEGER NOT NULL,
        first_channel INTEGER,
        first_record  INTEGER,
        first_part    INTEGER
    );
    CREATE INDEX duplicates_origin ON duplicates (channel, record);
    CREATE TABLE redriven (
        delivery   INTEGER PRIMARY KEY,
        noted_host INTEGER NOT NULL,
        reactor    INTEGER NOT NULL,
        channel    INTEGER NOT NULL,
        record     INTEGER NOT NULL,
        part       INTEGER NOT NULL
    );
    CREATE INDEX redriven_origin ON redriven (channel, record);
    CREATE TABLE attempts (
        id         INTEGER PRIMARY KEY,
        ended_host INTEGER NOT NULL,
        worker     INTEGER NOT NULL,
        attempts   TEXT NOT NULL
    );
    CREATE TABLE modules (
        id     INTEGER PRIMARY KEY,
        digest TEXT NOT NULL UNIQUE
    );
    CREATE VIEW attempt AS
    SELECT json_extract(one.value, '$[4]') AS delivery, r.name AS reactor, json_extract(one.value, '$[5]') AS number,
           json_extract(one.value, '$[7]') AS code, json_extract(one.value, '$[8]') AS ended_wall,
           json_extract(one.value, '$[9]') AS took, m.digest AS module, a.worker, c.name AS channel,
           json_extract(one.value, '$[1]') AS record, json_extract(one.value, '$[2]') AS part,
           json_extract(one.value, '$[11]') AS event_id, json_extract(one.value, '$[12]') AS event_type,
           json_extract(one.value, '$[13]') AS correlation_id
    FROM attempts a, json_each(a.attempts) one
    LEFT JOIN reactors r ON r.id = json_extract(one.value, '$[3]')
    LEFT JOIN channels c ON c.id = json_extract(one.value, '$[0]')
    LEFT JOIN modules m ON m.id = json_extract(one.value, '$[10]');",
];
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Makes sure that the database file exists; creates it if necessary.
pub(super) fn database(file: &Path, turn: &Turn, reserve: u64) -> Result<()> {
    if !exists(file)? {
        turn.alone(|| if exists(file)? { Ok(()) } else { make(file, reserve) })?;
    }
    check_header(file)
}

fn exists(file: &Path) -> Result<bool> {
    folder::look(file, Kind::File).map(|found| found.is_some())
}

/// Builds the file next to its final name and renames it, so that at every moment there is a complete store or none.
fn make(file: &Path, reserve: u64) -> Result<()> {
    let dir = file.parent().unwrap_or(Path::new("."));
    never_was(dir, file)?;
    let failed = |e: std::io::Error| match e {
        e if room::means_full(&e) => StoreError::Full,
        e => StoreError::Other(format!("cannot make a store in {} ({e})", dir.display())),
    };
    // Only one process is here at a time, so files left by another one are garbage.
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with("reactor.db.tmp-") {
            let failed = |e| StoreError::Other(format!("cannot remove {} ({e}); remove it", entry.path().display()));
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    let aside = dir.join(format!("reactor.db.tmp-{}", std::process::id()));
    let kept = room::make(dir, reserve);
    let made = folder::make_new(&aside).map_err(failed)?;
    fill(&aside, !kept).map_err(|e| e.at(&aside))?;
    made.sync_all().map_err(failed)?;
    fs::rename(&aside, file).map_err(failed)?;
    folder::sync(dir).map_err(failed)
}

/// Makes sure that nothing indicates an earlier store.
pub(super) fn never_was(dir: &Path, file: &Path) -> Result<()> {
    let damaged = |detail: String| Err(StoreError::Damaged { path: file.display().to_string(), detail });
    if fs::symlink_metadata(dir.join("reactor.db-wal")).is_ok() {
        return damaged("it is gone, but its write-ahead log is there".to_owned());
    }
    match note::read(dir).map_err(|e| guard::broken(dir, &e))? {
        Reading::Sound(noted) if noted.durable.group > 0 => damaged(format!(
            "it is gone, and transaction {} of it was durable; to begin with an empty store, remove the file `durable` beside it",
            noted.durable.group
        )),
        _ => Ok(()),
    }
}

fn fill(aside: &Path, refusing: bool) -> Sql<()> {
    let conn = vfs::open(aside, OpenFlags::default())?;
    vfs::make_room(&conn)?;
    conn.execute_batch(&format!(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; {SCHEMA} COMMIT;"
    ))?;
    let start = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
    conn.execute("UPDATE meta SET value = ?1 WHERE name = 'host'", [super::rows::int(start)])?;
    room::set_refusing(&conn, refusing)?;
    conn.close().map_err(|(_, e)| Fault::from(e))
}

/// Checks what can be checked without `SQLite`: that the file is a database, ours, and of a known version.
pub(super) fn check_header(file: &Path) -> Result<()> {
    let path = || file.display().to_string();
    let unreadable = |e: std::io::Error| StoreError::Other(format!("cannot read {} ({e})", path()));
    let mut header = [0; 100];
    let read = read_head(file, &mut header).map_err(unreadable)?;
    let header = &header[..read];
    if header.len() < 100 {
        let detail = format!("it has {} bytes, too few for a database", header.len());
        return Err(StoreError::Damaged { path: path(), detail });
    }
    if !header.starts_with(MAGIC) {
        return Err(StoreError::Foreign { path: path(), reason: "it is not an SQLite database".into() });
    }
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    check_stamp(file, number(68), i64::from(number(60)))
}

fn read_head(file: &Path, head: &mut [u8]) -> std::io::Result<usize> {
    let file = folder::keep_open(file)?;
    let mut read = 0;
    while read < head.len() {
        match file.read_at(&mut head[read..], read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

fn check_stamp(file: &Path, application: u32, version: i64) -> Result<()> {
    let path = file.display().to_string();
    if application != APPLICATION {
        return Err(StoreError::Foreign {
            path,
            reason: format!("it is some other SQLite database (id {application:#x})"),
        });
    }
    match version {
        1..=VERSION => Ok(()),
        found if found > VERSION => Err(StoreError::Newer { path, found, known: VERSION }),
        found => Err(StoreError::Damaged { path, detail: format!("it says store version {found}, which never was") }),
    }
}

/// Checks that the tables of a store are those of this version.
pub(super) fn is_current(file: &Path, version: i64) -> Result<()> {
    if version >= VERSION {
        return check_stamp(file, APPLICATION, version);
    }
    let file = file.display();
    Err(StoreError::Other(format!(
        "{file} was written by an older Reactor (store version {version}, this one reads {VERSION}); `reactor up` or \
         `reactor publish` brings it up to date"
    )))
}

/// The writing connection.
pub(super) fn connect(file: &Path, patience: &Patience) -> Sql<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = vfs::open(file, flags)?;
    patience.set(&mut conn)?;
    conn.set_prepared_statement_cache_capacity(128);
    conn.execute_batch(
        "PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(conn)
}

/// A bounded check for damage: the stamp as `SQLite` sees it, what `first` checks, and both ends of every table and
/// index.
pub(super) fn check(conn: &Connection, file: &Path, first: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
    let read = || -> Sql<(u32, i64)> {
        let application = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        Ok((application, version(conn)?))
    };
    // A rejected file stays as it is; by default, the last connection to close would write the log into it.
    keep_log(conn, true).map_err(|e| e.at(file))?;
    let (application, version) = read().map_err(|e| e.at(file))?;
    check_stamp(file, application, version)?;
    first(conn)?;
    ends(conn).map_err(|e| e.at(file))?;
    keep_log(conn, false).map_err(|e| e.at(file))
}

/// The version of the tables.
pub(super) fn version(conn: &Connection) -> Sql<i64> {
    Ok(conn.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Makes sure of the journal mode that everything here relies on: a copy may have another.
pub(super) fn keep_in_log(conn: &Connection) -> Sql<()> {
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode == "wal" { Ok(()) } else { Err(Fault::other(format!("the store cannot have a write-ahead log ({mode})"))) }
}

/// Rewrites the whole database in one transaction, with room for a checksum in every page.
pub(super) fn make_seals(conn: &Connection) -> Sql<()> {
    vfs::make_room(conn)?;
    // The copy may be larger than memory.
    conn.execute_batch("PRAGMA temp_store = FILE; VACUUM; PRAGMA temp_store = MEMORY;")?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Brings the tables of an older version up to date, in one transaction; the first process to open the store does it.
pub(super) fn migrate(conn: &Connection) -> Sql<()> {
    if version(conn)? == VERSION {
        return Ok(());
    }
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let applied = (|| -> Sql<()> {
        let found = usize::try_from(version(conn)?).unwrap_or(0).saturating_sub(1);
        MIGRATIONS.iter().skip(found).try_for_each(|step| conn.execute_batch(step))?;
        conn.pragma_update(None, "user_version", VERSION)?;
        Ok(())
    })();
    conn.execute_batch(if applied.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    applied
}

/// Whether the log is kept when the last connection closes.
pub(super) fn keep_log(conn: &Connection, keep: bool) -> Sql<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)?;
    Ok(())
}

fn ends(conn: &Connection) -> Sql<()> {
    let mut select =
        conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?;
    let tables = select.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    for table in tables {
        for order in ["ASC", "DESC"] {
            let sql = format!("SELECT * FROM \"{table}\" ORDER BY 1 {order} LIMIT 1");
            let mut statement = conn.prepare(&sql)?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            if let Some(row) = rows.next()? {
                for column in 0..columns {
                    row.get_ref(column)?;
                }
            }
        }
    }
    Ok(())
}
