//! What the store must not have lost: the file `durable`, beside the database.
//!
//! It has two records, each written in place, in one piece and with a checksum. The first covers what was reported as
//! durable: the number of its transaction, and the length of the log. It is written after the sync and before the
//! answers, so it never says too much, whichever process writes last; it is synced now and then, so after a power cut
//! it may say too little. The second covers the last checkpoint: how much of the log it moved, and whether all of that
//! is in the database. Until it is, database and log make sense only together. It is synced before the first page is
//! moved, and again before `SQLite` may shorten or delete the log.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;

use super::folder;
use super::frames::{Position, Salts};

const NAME: &str = "durable";
const MAGIC: &[u8; 8] = b"reactor1";
/// Bytes of a record, and the offsets of the two: in separate sectors.
const RECORD: usize = 56;
/// The bytes covered by the hash that ends a record.
const CHECKED: usize = 40;
const PLACES: [u64; 2] = [0, 512];
const BYTES: u64 = 1_024;

/// What was reported as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Durable {
    /// The number of the transaction, as in the database.
    pub(super) group: u64,
    /// The log after that transaction.
    pub(super) log: Position,
}

/// A checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moving {
    /// Once it is done, this transaction and all earlier ones are in the database.
    pub(super) covers: u64,
    /// This transaction and all earlier ones are in the database already.
    pub(super) settled: u64,
    /// The part of the log that it moves.
    pub(super) log: Position,
}

/// Both records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) durable: Durable,
    pub(super) moved: Moving,
    /// Whether everything that the checkpoint moves is in the database.
    pub(super) done: bool,
}

/// The content of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Missing,
    Damaged,
    Sound(Noted),
}

/// How a store differs from its note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The log has fewer frames.
    Frames { noted: u32, found: u32 },
    /// The log that had these frames is missing.
    Gone { noted: u32 },
    /// The database is at an earlier transaction.
    Older { noted: u64, found: u64 },
}

impl Noted {
    /// Compares the note with the log, if there is a usable one, and with the last transaction that the database knows.
    /// `foreign`: another program has moved a log into the database, which it does completely or not at all.
    pub(super) fn judge(&self, log: Position, group: u64, foreign: bool) -> Result<(), Loss> {
        let settled = if self.done { self.moved.covers } else { self.moved.settled };
        let covered = settled >= self.durable.group;
        for (noted, moved) in [(self.durable.log, covered), (self.moved.log, self.done)] {
            if noted.frames == 0 || log.salts.follows(noted.salts) {
                continue;
            }
            if log.salts == noted.salts {
                if log.frames < noted.frames {
                    return Err(Loss::Frames { noted: noted.frames, found: log.frames });
                }
            } else if !moved && !foreign {
                return Err(Loss::Gone { noted: noted.frames });
            }
        }
        let noted = self.durable.group;
        if group < noted { Err(Loss::Older { noted, found: group }) } else { Ok(()) }
    }
}

/// A process's open note.
#[derive(Debug)]
pub(super) struct Note {
    file: File,
    dirty: AtomicBool,
}

impl Note {
    /// Opens the note of a directory, or creates one that says `first`.
    pub(super) fn open(dir: &Path, first: Option<&Noted>) -> io::Result<Self> {
        let file = options().create(first.is_some()).open(path(dir))?;
        if let Some(noted) = first {
            // The umask may take rights from this user, too.
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.set_len(BYTES)?;
            file.write_all_at(&first_record(&noted.durable), PLACES[0])?;
            file.write_all_at(&second_record(&noted.moved, noted.done), PLACES[1])?;
            file.sync_all()?;
            File::open(dir)?.sync_all()?;
        }
        Ok(Self { file, dirty: AtomicBool::new(false) })
    }

    /// Notes what has been synced.
    pub(super) fn write(&self, durable: &Durable) -> io::Result<()> {
        self.dirty.store(true, Ordering::Relaxed);
        self.file.write_all_at(&first_record(durable), PLACES[0])
    }

    /// Syncs what was written since the last sync.
    pub(super) fn sync(&self) -> io::Result<()> {
        if self.dirty.swap(false, Ordering::Relaxed) { self.file.sync_data() } else { Ok(()) }
    }
}

/// The path of a directory's note.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Reads the note of a directory.
pub(super) fn read(dir: &Path) -> io::Result<Reading> {
    match folder::open_to_look(&path(dir)) {
        Ok(file) if !file.metadata()?.is_file() => Err(io::Error::other("it is not a file")),
        Ok(file) => read_from(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Reading::Missing),
        Err(error) => Err(error),
    }
}

fn read_from(file: &File) -> io::Result<Reading> {
    let mut records = [[0; RECORD]; 2];
    for (record, place) in records.iter_mut().zip(PLACES) {
        if let Err(error) = file.read_exact_at(record, place) {
            return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(Reading::Damaged) } else { Err(error) };
        }
    }
    let [Some((durable, _)), Some((moved, done))] = [0, 1].map(|at| parse(at, &records[usize::from(at)])) else {
        return Ok(Reading::Damaged);
    };
    Ok(Reading::Sound(Noted { durable: Durable { group: durable.covers, log: durable.log }, moved, done }))
}

/// Notes that everything up to a transaction is in the database, and that no checkpoint is in progress.
pub(super) fn settle(dir: &Path, group: u64) -> io::Result<()> {
    let file = options().open(path(dir))?;
    let settled = Moving { covers: group, settled: group, log: Position::default() };
    file.write_all_at(&second_record(&settled, true), PLACES[1])?;
    file.sync_data()
}

/// Notes that a checkpoint of a database begins to move the content of the log; `None` if the database has no note.
pub(super) fn moving(database: &Path, salts: Salts, frames: u32) -> io::Result<Option<Moving>> {
    let Some(dir) = database.parent() else { return Ok(None) };
    let file = match options().open(path(dir)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let log = Position { salts, frames };
    let mut moving = Moving { covers: 0, settled: 0, log };
    if let Reading::Sound(Noted { durable, moved, done }) = read_from(&file)? {
        let before = if done { moved.covers } else { moved.settled };
        // A log starts over once all of it has been moved, so an older generation has nothing left to move.
        moving.settled = if durable.log.salts == salts { before } else { before.max(durable.group) };
        moving.covers = if durable.log.frames <= frames { moving.settled.max(durable.group) } else { moving.settled };
    }
    file.write_all_at(&second_record(&moving, false), PLACES[1])?;
    file.sync_data()?;
    Ok(Some(moving))
}

/// Notes that a checkpoint is done and synced.
pub(super) fn moved(database: &Path, moving: &Moving) -> io::Result<()> {
    let Some(dir) = database.parent() else { return Ok(()) };
    let file = options().open(path(dir))?;
    file.write_all_at(&second_record(moving, true), PLACES[1])?;
    file.sync_data()
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn first_record(durable: &Durable) -> [u8; RECORD] {
    record(0, &Moving { covers: durable.group, settled: 0, log: durable.log }, false)
}

fn second_record(moving: &Moving, done: bool) -> [u8; RECORD] {
    record(1, moving, done)
}

fn record(which: u8, said: &Moving, done: bool) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(MAGIC);
    record[8..16].copy_from_slice(&said.covers.to_le_bytes());
    record[16..24].copy_from_slice(&said.settled.to_le_bytes());
    record[24..32].copy_from_slice(&said.log.salts.0);
    record[32..36].copy_from_slice(&said.log.frames.to_le_bytes());
    (record[36], record[37]) = (which, u8::from(done));
    let check = check(&record);
    record[CHECKED..].copy_from_slice(&check);
    record
}

fn check(record: &[u8; RECORD]) -> [u8; RECORD - CHECKED] {
    let hash = blake3::hash(&record[..CHECKED]);
    std::array::from_fn(|at| hash.as_bytes()[at])
}

fn parse(which: u8, record: &[u8; RECORD]) -> Option<(Moving, bool)> {
    if !record.starts_with(MAGIC) || record[36] != which || record[CHECKED..] != check(record) {
        return None;
    }
    let number = |from: usize| u64::from_le_bytes(std::array::from_fn(|at| record[from + at]));
    let salts = Salts(std::array::from_fn(|at| record[24 + at]));
    let frames = u32::from_le_bytes(std::array::from_fn(|at| record[32 + at]));
    Some((Moving { covers: number(8), settled: number(16), log: Position { salts, frames } }, record[37] == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Salts = Salts(*b"AAAAsalt");
    const NEXT: Salts = Salts(*b"AAABtlas");
    const OTHER: Salts = Salts(*b"XXXXsalt");

    fn at(salts: Salts, frames: u32) -> Position {
        Position { salts, frames }
    }

    fn noted(durable: Position, moved: Position, done: bool) -> Noted {
        Noted { durable: Durable { group: 5, log: durable }, moved: Moving { covers: 5, settled: 0, log: moved }, done }
    }

    #[test]
    fn it_says_after_a_checkpoint_what_it_said_before() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), Reading::Missing);
        let note = Note::open(dir.path(), Some(&Noted::default())).unwrap();
        let durable = Durable { group: 7, log: at(OLD, 9) };
        note.write(&durable).unwrap();
        note.sync().unwrap();
        let database = dir.path().join("reactor.db");
        let moving = moving(&database, OLD, 12).unwrap().unwrap();
        assert_eq!(moving, Moving { covers: 7, settled: 0, log: at(OLD, 12) });
        assert_eq!(read(dir.path()).unwrap(), Reading::Sound(Noted { durable, moved: moving, done: false }));
        moved(&database, &moving).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Reading::Sound(Noted { durable, moved: moving, done: true }));
        let later = super::moving(&database, NEXT, 3).unwrap().unwrap();
        assert_eq!(later, Moving { covers: 7, settled: 7, log: at(NEXT, 3) });
        for byte in (0..RECORD).chain(512..512 + RECORD) {
            let mut bytes = std::fs::read(path(dir.path())).unwrap();
            bytes[byte] ^= 1;
            let next = tempfile::tempdir().unwrap();
            std::fs::write(path(next.path()), bytes).unwrap();
            assert_eq!(read(next.path()).unwrap(), Reading::Damaged, "byte {byte}");
        }
    }

    #[test]
    fn a_log_has_to_be_there_until_it_has_been_moved() {
        let none = at(Salts::default(), 0);
        let open = noted(at(OLD, 9), none, false);
        assert_eq!(open.judge(at(OLD, 9), 5, false), Ok(()));
        assert_eq!(open.judge(at(OLD, 8), 5, false), Err(Loss::Frames { noted: 9, found: 8 }));
        assert_eq!(open.judge(none, 5, false), Err(Loss::Gone { noted: 9 }));
        assert_eq!(open.judge(at(OTHER, 20), 5, false), Err(Loss::Gone { noted: 9 }));
        assert_eq!(open.judge(at(NEXT, 0), 5, false), Ok(()), "it starts over only when all has been moved");
        assert_eq!(open.judge(none, 5, true), Ok(()), "sqlite3 has moved it");
        assert_eq!(open.judge(none, 4, true), Err(Loss::Older { noted: 5, found: 4 }));
        let done = noted(at(OLD, 9), at(OLD, 9), true);
        assert_eq!(done.judge(none, 5, false), Ok(()));
        assert_eq!(done.judge(none, 4, false), Err(Loss::Older { noted: 5, found: 4 }));
        assert_eq!(
            done.judge(at(OLD, 3), 5, false),
            Err(Loss::Frames { noted: 9, found: 3 }),
            "old pages in front of new"
        );
    }

    #[test]
    fn what_is_being_moved_has_to_be_in_the_log() {
        let moving = noted(at(OLD, 5), at(OLD, 9), false);
        assert_eq!(moving.judge(at(OLD, 9), 5, false), Ok(()));
        assert_eq!(moving.judge(at(OLD, 7), 5, false), Err(Loss::Frames { noted: 9, found: 7 }));
        assert_eq!(moving.judge(at(OTHER, 7), 9, false), Err(Loss::Gone { noted: 5 }));
        // Two generations later, which the note of what is durable does not know.
        let settled = Moving { covers: 5, settled: 5, log: at(OTHER, 9) };
        let quiet = Noted { durable: moving.durable, moved: settled, done: false };
        assert_eq!(quiet.judge(at(OTHER, 9), 9, false), Ok(()));
        let later = noted(at(OLD, 5), at(NEXT, 9), false);
        assert_eq!(later.judge(at(Salts::default(), 0), 9, false), Err(Loss::Gone { noted: 5 }));
    }
}
