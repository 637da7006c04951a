//! Verifying a whole store, and continuing without lost data; a person has to ask for both.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use reactor_core::store::{Result, StoreError};

use super::checks::Lenient;
use super::fault::{Fault, Sql};
use super::folder::{self, DATABASE};
use super::frames::Survey;
use super::guard::{self, broken, log_of, read_page};
use super::lock::{OwnerLock, Turn};
use super::note::{self, Note, Noted, Reading};
use super::patience::Patience;
use super::rows::num;
use super::seal::{self, Look, PAGE, Page};
use super::{PATIENCE, create};

/// Attempts to read a page that a checkpoint may be writing.
const LOOKS: usize = 5;
/// Where a store is rebuilt without its damage.
const ASIDE: &str = "reactor.accepting";

/// The findings of a check.
#[derive(Debug, Default)]
pub struct Report {
    /// Damage: the file, the byte where it is known, and what it is.
    pub damage: Vec<Damage>,
    /// Pages of the database that were read.
    pub pages: u64,
    /// Whether the pages have checksums.
    pub checksums: bool,
    /// Frames of the write-ahead log that are sound.
    pub frames: u32,
}

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The byte at which the damage begins.
    pub byte: Option<u64>,
    /// What is wrong.
    pub detail: String,
}

/// What was given up in order to continue.
#[derive(Debug, Default)]
pub struct Accepted {
    /// The folder with copies of the damaged files.
    pub kept: PathBuf,
    /// Lost transactions, as far as the note of what was durable tells.
    pub transactions: Option<u64>,
    /// Pages that are used as they are although they are not what was written: the first byte of each.
    pub pages: Vec<u64>,
}

/// Reads everything in a store (each page, each frame) and checks its structure. A host may run meanwhile.
pub fn verify(dir: &Path) -> Result<Report> {
    let mut report = Report::default();
    let Some(file) = database(dir)? else {
        create::never_was(dir, &dir.join(DATABASE)).or_else(|error| report.add(error))?;
        return if report.damage.is_empty() { Err(no_store(dir)) } else { Ok(report) };
    };
    // Read without SQLite first: closing a descriptor releases all locks of this process on the file.
    let survey = guard::survey(&file)?;
    report.frames = survey.sound;
    if pages(&file, &survey, &mut report)? {
        return Ok(report);
    }
    if let Err(error) = structure(dir, &file, &mut report) {
        report.add(error)?;
    }
    Ok(report)
}

impl Report {
    fn add(&mut self, error: StoreError) -> Result<()> {
        let (StoreError::Damaged { path, detail } | StoreError::Foreign { path, reason: detail }) = error else {
            return Err(error);
        };
        self.push(PathBuf::from(path), None, detail);
        Ok(())
    }

    fn push(&mut self, file: PathBuf, byte: Option<u64>, detail: String) {
        let known = |one: &Damage| one.file == file && (one.detail == detail || one.byte == byte && byte.is_some());
        if !self.damage.iter().any(known) {
            self.damage.push(Damage { file, byte, detail });
        }
    }
}

/// A command waits for a while and then gives up.
fn patience(file: &Path) -> Patience {
    Patience::new(file, false, PATIENCE)
}

/// The database of a directory, if it exists.
fn database(dir: &Path) -> Result<Option<PathBuf>> {
    let file = dir.join(DATABASE);
    Ok((folder::may_look(dir)? && file.is_file()).then_some(file))
}

fn no_store(dir: &Path) -> StoreError {
    StoreError::Other(format!("there is no store in {}", dir.display()))
}

/// Checks every page; true if the file cannot be a database at all.
fn pages(file: &Path, survey: &Survey, report: &mut Report) -> Result<bool> {
    let failed = |e: io::Error| broken(file, &e);
    let open = File::open(file).map_err(failed)?;
    let mut page: Page = [0; PAGE];
    let first = guard::first(file);
    report.checksums = match first {
        Ok(first) => first.sealed,
        // A damaged first page cannot be trusted; a sound second one shows that there are checksums.
        Err(StoreError::Damaged { .. }) => {
            read_page(&open, 2, &mut page).map_err(failed)? && seal::look(2, &page) == Look::Sound
        }
        Err(error) => return Err(error),
    };
    if let Err(error) = first {
        report.add(error)?;
    }
    let mut number = 1;
    while read_page(&open, number, &mut page).map_err(failed)? {
        // A page that is also in the log is read from there.
        let replaced = u32::try_from(number).is_ok_and(|number| survey.pages.contains(&number));
        if report.checksums && !replaced && !is_sound(&open, number, &mut page).map_err(failed)? {
            let byte = (number - 1) * PAGE as u64;
            let detail = format!("page {number} (byte {byte}) does not have the content that was written");
            report.push(file.to_owned(), Some(byte), detail);
        }
        number += 1;
    }
    report.pages = number - 1;
    Ok(report.pages == 0)
}

fn is_sound(open: &File, number: u64, page: &mut Page) -> io::Result<bool> {
    for _ in 0..LOOKS {
        if matches!(seal::look(number, page), Look::Sound | Look::Blank) {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(20));
        read_page(open, number, page)?;
    }
    // `sqlite3` has written to this store: the next command adds the checksum.
    Ok(seal::look(number, page) == Look::Unsealed)
}

/// Lets `SQLite` check tables and indexes, and compares the store with the note of what is durable.
fn structure(dir: &Path, file: &Path, report: &mut Report) -> Result<()> {
    let _lenient = Lenient::unsealed();
    let conn = create::connect(file, &patience(file)).map_err(|e| e.at(file))?;
    create::keep_log(&conn, true).map_err(|e| e.at(file))?;
    create::check(&conn, file, |conn| {
        guard::check(conn, dir, file, false).map(drop).or_else(|error| {
            // Another program may have moved the log: the next command detects that.
            if guard::check(conn, dir, file, true).is_ok() { Ok(()) } else { Err(error) }
        })
    })?;
    create::keep_log(&conn, true).map_err(|e| e.at(file))?;
    for line in integrity(&conn).map_err(|e| e.at(file))? {
        report.push(file.to_owned(), None, line);
    }
    Ok(())
}

/// Problems of tables and indexes.
fn integrity(conn: &Connection) -> Sql<Vec<String>> {
    let mut check = conn.prepare("PRAGMA integrity_check(100)")?;
    let lines = check.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Continues without lost data: drops everything behind a break in the log, and uses altered database pages as they are
/// if they still make a database. Keeps copies of the files. `None` if nothing is damaged.
pub fn accept_loss(dir: &Path) -> Result<Option<Accepted>> {
    let Some(file) = database(dir)? else {
        return Err(if verify(dir).is_ok() { only_a_backup(dir) } else { no_store(dir) });
    };
    let _lock = OwnerLock::take(dir)?;
    let turn = Turn::open(dir, true, patience(&file))?;
    turn.alone(|| {
        let report = verify(dir)?;
        if report.damage.is_empty() {
            return Ok(None);
        }
        let kept = keep(dir, &file)?;
        let aside = dir.join(ASIDE);
        let found = put_together(&aside, &file, report.checksums);
        let accepted = found.and_then(|(group, pages)| {
            let noted = match note::read(dir).map_err(|e| broken(dir, &e))? {
                Reading::Sound(noted) => Some(noted.durable.group.saturating_sub(group)),
                Reading::Missing | Reading::Damaged => None,
            };
            replace(dir, &file, &aside.join("reactor.db")).map_err(|e| broken(dir, &e))?;
            Ok(Some(Accepted { kept: kept.clone(), transactions: noted, pages }))
        });
        let _ = fs::remove_dir_all(&aside);
        if accepted.is_err() {
            // Nothing was changed, so the copies are not needed.
            let _ = fs::remove_dir_all(&kept);
        }
        accepted
    })
}

fn only_a_backup(dir: &Path) -> StoreError {
    StoreError::Other(format!(
        "reactor.db is gone, and the rest of {} is not a usable database: restore a back-up, or move the folder away to \
         begin with an empty store",
        dir.display()
    ))
}

/// Copies the files to their own folder.
fn keep(dir: &Path, file: &Path) -> Result<PathBuf> {
    let kept = dir.join(format!("damaged-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ")));
    let copy = || {
        make_folder(&kept)?;
        for from in [file.to_owned(), log_of(file), note::path(dir)] {
            copy_if_there(&from, &kept)?;
        }
        File::open(&kept)?.sync_all()?;
        File::open(dir)?.sync_all()
    };
    copy().map_err(|e| full_or(&kept, &e))?;
    Ok(kept)
}

fn make_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

fn full_or(path: &Path, error: &io::Error) -> StoreError {
    if error.kind() == io::ErrorKind::StorageFull { StoreError::Full } else { broken(path, error) }
}

fn copy_if_there(from: &Path, to: &Path) -> io::Result<()> {
    let Some(name) = from.file_name() else { return Ok(()) };
    let to = to.join(name);
    match fs::copy(from, &to) {
        Ok(_) => File::open(&to)?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Builds a sound database from the files, with as much of the log as is usable, or without the log if that has more;
/// returns its last transaction and the pages that are used as they are.
fn put_together(aside: &Path, file: &Path, checksums: bool) -> Result<(u64, Vec<u64>)> {
    let mut best: Option<(u64, bool)> = None;
    let mut why = String::new();
    for with_log in [true, false] {
        match build(aside, file, with_log, checksums) {
            Ok((group, _)) if best.is_none_or(|(known, _)| group > known) => best = Some((group, with_log)),
            Ok(_) => {}
            Err(StoreError::Damaged { detail, .. }) => why = detail,
            Err(error) => return Err(error),
        }
    }
    let Some((_, with_log)) = best else {
        return Err(StoreError::Other(format!(
            "the readable part of {} is not a usable database ({why}), so only a back-up helps; nothing was changed",
            file.display()
        )));
    };
    build(aside, file, with_log, checksums)
}

fn build(aside: &Path, file: &Path, with_log: bool, checksums: bool) -> Result<(u64, Vec<u64>)> {
    let failed = |e: io::Error| full_or(aside, &e);
    if aside.exists() {
        fs::remove_dir_all(aside).map_err(failed)?;
    }
    make_folder(aside).map_err(failed)?;
    copy_if_there(file, aside).map_err(failed)?;
    if with_log {
        copy_if_there(&log_of(file), aside).map_err(failed)?;
    }
    let copy = aside.join("reactor.db");
    let group = {
        let _lenient = Lenient::everything();
        let conn = create::connect(&copy, &patience(&copy)).map_err(|e| e.at(file))?;
        let wrong = integrity(&conn).map_err(|e| e.at(file))?;
        if let Some(first) = wrong.into_iter().next() {
            return Err(StoreError::Damaged { path: file.display().to_string(), detail: first });
        }
        let group = conn.query_row("SELECT value FROM meta WHERE name = 'group'", [], |row| num(row, 0));
        let group = group.map_err(|e| Fault::from(e).at(file))?;
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(|e| Fault::from(e).at(file))?;
        group
    };
    let pages = if checksums { put_seals(&copy).map_err(failed)? } else { Vec::new() };
    Ok((group, pages))
}

/// Seals all pages; returns where a seal was wrong.
fn put_seals(copy: &Path) -> io::Result<Vec<u64>> {
    use std::os::unix::fs::FileExt;
    let open = File::options().read(true).write(true).open(copy)?;
    let (mut page, mut wrong) = ([0; PAGE], Vec::new());
    for number in 1.. {
        if !read_page(&open, number, &mut page)? {
            break;
        }
        let byte = (number - 1) * PAGE as u64;
        let look = seal::look(number, &page);
        if look == Look::Broken {
            wrong.push(byte);
        }
        if matches!(look, Look::Broken | Look::Unsealed) {
            seal::put(number, &mut page);
            open.write_all_at(&page, byte)?;
        }
    }
    open.sync_all()?;
    Ok(wrong)
}

/// Replaces the old database and its log with the new one. Until the last step the old note holds, which rejects the
/// store.
fn replace(dir: &Path, file: &Path, new: &Path) -> io::Result<()> {
    fs::rename(new, file)?;
    File::open(dir)?.sync_all()?;
    for gone in [log_of(file), file.with_file_name("reactor.db-shm")] {
        match fs::remove_file(gone) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Note::open(dir, Some(&Noted::default())).map(drop)
}
