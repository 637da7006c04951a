//! Checks before a store is used: its first pages are sound, and everything reported as durable is there. A store that
//! fails a check is rejected and left as it is.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use reactor_core::store::{Result, StoreError};

use super::checks::Lenient;
use super::fault::{Fault, Sql};
use super::frames::{self, Position, Survey};
use super::lock::{OwnerLock, Turn};
use super::note::{self, Loss, Note, Noted, Reading};
use super::patience::Patience;
use super::rows::num;
use super::seal::{self, Look, PAGE, Page};
use super::{create, folder, vfs};

/// The page of the table `meta`, which is created first. Every transaction writes it, so if another program has moved a
/// log into the database, this page has no seal.
const META: u64 = 2;
/// Looks at a store that other processes change meanwhile.
const LOOKS: usize = 5;

/// What the first pages say, as they are in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct First {
    /// Its pages have seals.
    pub(super) sealed: bool,
    /// Another program has moved a log into the database.
    pub(super) foreign: bool,
}

/// Opens and checks a database; migrates one of an earlier version.
pub(super) fn open(dir: &Path, file: &Path, turn: &Turn, owner: bool, patience: &Patience) -> Result<Connection> {
    let mut first = first(file)?;
    if first.sealed && first.foreign {
        turn.alone(|| adopt(dir, file, patience))?;
        first.foreign = false;
    }
    let conn = create::connect(file, patience).map_err(|e| e.at(file))?;
    create::check(&conn, file, |conn| {
        if check(conn, dir, file, first.foreign || !first.sealed)? { Ok(()) } else { without_note(dir, file, conn) }
    })?;
    create::keep_in_log(&conn).map_err(|e| e.at(file))?;
    let version = create::version(&conn).map_err(|e| e.at(file))?;
    if version < create::VERSION || (owner && !first.sealed) {
        bring_up_to_date(&conn, dir, file, turn, owner, first.sealed)?;
    }
    if note::read(dir).map_err(|e| broken(dir, &e))? == Reading::Missing {
        turn.alone(|| note_first(dir))?;
    }
    Ok(conn)
}

/// Creates the first note, unless another process was faster.
fn note_first(dir: &Path) -> Result<()> {
    match note::read(dir) {
        Ok(Reading::Missing | Reading::Damaged) => {
            Note::open(dir, Some(&Noted::default())).map(drop).map_err(|e| broken(dir, &e))
        }
        Ok(Reading::Sound(_)) => Ok(()),
        Err(error) => Err(broken(dir, &error)),
    }
}

fn bring_up_to_date(conn: &Connection, dir: &Path, file: &Path, turn: &Turn, owner: bool, sealed: bool) -> Result<()> {
    let _lock = match (!owner).then(|| OwnerLock::take(dir)).transpose() {
        Ok(lock) => lock,
        Err(StoreError::Locked { path, pid }) => {
            return Err(StoreError::Other(format!(
                "{path} is of an earlier version, and in use by an earlier Reactor (process {pid}): stop that one first"
            )));
        }
        Err(error) => return Err(error),
    };
    turn.alone(|| {
        create::migrate(conn).map_err(|e| e.at(file))?;
        if sealed {
            return Ok(());
        }
        match create::make_seals(conn).map_err(|e| e.at(file)) {
            Ok(()) => Ok(()),
            Err(error @ (StoreError::Damaged { .. } | StoreError::Broken { .. })) => Err(error),
            Err(error) => {
                tracing::warn!(store = %file.display(), %error, "pages will have no checksums until the host is restarted");
                Ok(())
            }
        }
    })
}

/// Reads the first two pages of the file as they are.
pub(super) fn first(file: &Path) -> Result<First> {
    let open = folder::keep_open(file).map_err(|e| broken(file, &e))?;
    let mut page = [0; PAGE];
    if !read_page(&open, 1, &mut page).map_err(|e| broken(file, &e))? {
        let detail = "it ends within its first page".to_owned();
        return Err(StoreError::Damaged { path: file.display().to_string(), detail });
    }
    let sealed = seal::is_sealed(&page);
    let look = if sealed { seal::look(1, &page) } else { unsealed(&mut page) };
    if look == Look::Broken && !survey(file)?.pages.contains(&1) {
        let detail = "page 1 (byte 0) does not have the content that was written".to_owned();
        return Err(StoreError::Damaged { path: file.display().to_string(), detail });
    }
    let mut foreign = look == Look::Unsealed;
    if sealed && read_page(&open, META, &mut page).map_err(|e| broken(file, &e))? {
        foreign |= seal::look(META, &page) == Look::Unsealed;
    }
    Ok(First { sealed, foreign: sealed && foreign })
}

/// A store without seals, or one whose header has lost the mark of them.
fn unsealed(page: &mut Page) -> Look {
    let reserved = page[20];
    page[16..18].copy_from_slice(&[0x10, 0]);
    page[20] = 8;
    if reserved != 0 || seal::look(1, page) == Look::Sound { Look::Broken } else { Look::Sound }
}

/// Reads a page as it is in the file; false if the file ends before it.
pub(super) fn read_page(file: &File, number: u64, page: &mut Page) -> io::Result<bool> {
    match file.read_exact_at(page, (number - 1) * PAGE as u64) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The write-ahead log of a database.
pub(super) fn log_of(file: &Path) -> PathBuf {
    file.with_file_name("reactor.db-wal")
}

/// Walks through the log of a database.
pub(super) fn survey(file: &Path) -> Result<Survey> {
    let log = log_of(file);
    match folder::open_to_look(&log) {
        Ok(open) => frames::survey(&mut io::BufReader::with_capacity(1 << 20, open)).map_err(|e| broken(&log, &e)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Survey::default()),
        Err(error) => Err(broken(&log, &error)),
    }
}

/// Compares the store with the note of what is durable; returns whether there is a readable note.
pub(super) fn check(conn: &Connection, dir: &Path, file: &Path, foreign: bool) -> Result<bool> {
    let mut last = None;
    for _ in 0..LOOKS {
        // Read the note first: it was true when it was read, so it must hold for everything read later.
        let reading = note::read(dir).map_err(|e| broken(dir, &e))?;
        let (log, group) = state(conn).map_err(|e| e.at(file))?;
        let noted = match reading {
            Reading::Sound(noted) => noted,
            Reading::Missing | Reading::Damaged => return goes_on_to_its_end(file).map(|()| false),
        };
        // A killed writer has left the log's index half written; the next transaction rebuilds it.
        let Some(log) = log else { continue };
        let Err(loss) = noted.judge(log, group, foreign) else { return Ok(true) };
        // While others write, the log may have started over more than once between the two reads.
        if last.replace(noted) == Some(noted) {
            return Err(describe(file, loss)?);
        }
    }
    Err(StoreError::Other(format!("{} is changing too quickly to be checked; try again", dir.display())))
}

/// A store without a log, which is damaged if the note expects one.
pub(super) fn check_still(conn: &Connection, dir: &Path, file: &Path, foreign: bool) -> Result<()> {
    let Reading::Sound(noted) = note::read(dir).map_err(|e| broken(dir, &e))? else { return Ok(()) };
    let (log, group) = state(conn).map_err(|e| e.at(file))?;
    noted.judge(log.unwrap_or_default(), group, foreign).or_else(|loss| Err(describe(file, loss)?))
}

/// The position of the log and the number of the last transaction, in one snapshot.
fn state(conn: &Connection) -> Sql<(Option<Position>, u64)> {
    let tx = conn.unchecked_transaction()?;
    // Opens the log.
    tx.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let log = vfs::index(&tx)?;
    let group: Option<u64> =
        tx.query_row("SELECT value FROM meta WHERE name = 'group'", [], |row| num(row, 0)).optional()?;
    tx.finish()?;
    Ok((log, group.unwrap_or(0)))
}

/// Without a note, the only possible check is whether the log continues behind an unreadable place.
fn goes_on_to_its_end(file: &Path) -> Result<()> {
    let found = survey(file)?;
    if found.commits_beyond == 0 {
        return Ok(());
    }
    let detail = format!("{}; there is no note of how much was durable", place(&found));
    Err(StoreError::Damaged { path: log_of(file).display().to_string(), detail })
}

/// Reports that there is no readable note, and makes room for a new one.
fn without_note(dir: &Path, file: &Path, conn: &Connection) -> Result<()> {
    let note = note::path(dir);
    if note::read(dir).map_err(|e| broken(dir, &e))? == Reading::Damaged {
        tracing::warn!(note = %note.display(), "the file `durable` was damaged and has been made again; an earlier loss would not be noticed");
        return Note::open(dir, Some(&Noted::default())).map(drop).map_err(|e| broken(&note, &e));
    }
    if state(conn).map_err(|e| e.at(file))?.1 > 0 {
        tracing::warn!(note = %note.display(), "the file `durable` was missing and has been made again; an earlier loss would not be noticed");
    }
    Ok(())
}

/// Where a log becomes unreadable, and what is behind.
pub(super) fn place(found: &Survey) -> String {
    let (beyond, commits) = (found.beyond, found.commits_beyond);
    let what = match (found.salts, found.bytes) {
        (None, 0) => return "it is missing or empty".to_owned(),
        (None, _) => "its header (byte 0) is damaged".to_owned(),
        (Some(_), bytes) if bytes < found.end() + frames::FRAME as u64 => {
            format!("it ends at byte {bytes}, after {} whole frames", found.sound)
        }
        (Some(_), _) => format!("frame {} (byte {}) is damaged", found.sound + 1, found.end()),
    };
    format!("{what}; {beyond} frames behind it, with {commits} transactions, cannot be used")
}

fn describe(file: &Path, loss: Loss) -> Result<StoreError> {
    let found = survey(file)?;
    let log = log_of(file).display().to_string();
    Ok(match loss {
        Loss::Frames { noted, found: usable } => StoreError::Damaged {
            path: log,
            detail: format!("{}; {noted} frames are needed, and {usable} are usable", place(&found)),
        },
        Loss::Gone { noted } => StoreError::Damaged {
            path: log,
            detail: if found.salts.is_some() {
                format!("it is not the one that was written; {noted} frames of that one are not in the database")
            } else {
                format!("{}; {noted} frames of it are not in the database", place(&found))
            },
        },
        Loss::Older { noted, found } => StoreError::Damaged {
            path: file.display().to_string(),
            detail: format!(
                "its last transaction is number {found}, and number {noted} was durable; if this is a back-up that was put in place, remove the file `durable` that belongs to the other store"
            ),
        },
    })
}

/// Seals the pages that another program has moved out of the log, once the store has been found complete.
fn adopt(dir: &Path, file: &Path, patience: &Patience) -> Result<()> {
    if !first(file)?.foreign {
        // Another process was faster.
        return Ok(());
    }
    tracing::warn!(store = %file.display(), "another program has written pages without checksums; checking them and adding checksums");
    {
        let _lenient = Lenient::unsealed();
        let conn = create::connect(file, patience).map_err(|e| e.at(file))?;
        create::check(&conn, file, |conn| check(conn, dir, file, true).map(drop))?;
        create::keep_log(&conn, true).map_err(|e| e.at(file))?;
        let sound: String =
            conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|e| Fault::from(e).at(file))?;
        if sound != "ok" {
            return Err(StoreError::Damaged { path: file.display().to_string(), detail: sound });
        }
        if let Reading::Sound(noted) = note::read(dir).map_err(|e| broken(dir, &e))? {
            let (log, group) = state(&conn).map_err(|e| e.at(file))?;
            if noted.judge(log.unwrap_or_default(), group, false).is_err() {
                note::settle(dir, group).map_err(|e| broken(dir, &e))?;
            }
        }
    }
    put_seals(file).map_err(|e| broken(file, &e))
}

/// Seals the pages that have no seal.
fn put_seals(file: &Path) -> io::Result<()> {
    let open = File::options().read(true).write(true).open(file)?;
    let (mut page, mut number) = ([0; PAGE], 1);
    while read_page(&open, number, &mut page)? {
        if seal::look(number, &page) == Look::Unsealed {
            let at = number * PAGE as u64 - seal::SEAL as u64;
            open.write_all_at(&seal::of(number, &page), at)?;
            // A checkpoint may have written the page meanwhile: read it again.
            continue;
        }
        number += 1;
    }
    open.sync_all()
}

/// A file that cannot be read or written.
pub(super) fn broken(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Broken { detail: format!("{}: {error}", path.display()) }
}
