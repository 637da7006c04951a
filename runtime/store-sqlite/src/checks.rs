//! Checks of the pages that are read from the database and its write-ahead log, and what they learn from writes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::frames::{self, FRAME, FRAME_HEADER, HEADER, Salts, Written};
use super::note;
use super::seal::{self, Look, PAGE, Page};

thread_local! {
    static LENIENT: Cell<Lenience> = const { Cell::new(Lenience::None) };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lenience {
    None,
    Unsealed,
    Everything,
}

/// While it lives, this thread may read database pages that would otherwise be rejected.
pub(super) struct Lenient;

impl Lenient {
    /// Allows pages without a seal.
    pub(super) fn unsealed() -> Self {
        LENIENT.set(Lenience::Unsealed);
        Self
    }

    /// Allows all pages.
    pub(super) fn everything() -> Self {
        LENIENT.set(Lenience::Everything);
        Self
    }
}

impl Drop for Lenient {
    fn drop(&mut self) {
        LENIENT.set(Lenience::None);
    }
}

/// Whether this thread accepts database pages unchecked.
pub(super) fn everything_passes() -> bool {
    LENIENT.get() == Lenience::Everything
}

/// What this process has written to a log, while one of its connections has the log open.
fn written_to(log: &Path) -> Arc<Mutex<Written>> {
    static LOGS: Mutex<BTreeMap<PathBuf, Weak<Mutex<Written>>>> = Mutex::new(BTreeMap::new());
    let mut logs = LOGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = logs.get(log).and_then(Weak::upgrade) {
        return known;
    }
    logs.retain(|_, known| known.strong_count() > 0);
    let new = Arc::default();
    logs.insert(log.to_owned(), Arc::downgrade(&new));
    new
}

/// What we know about a file.
pub(super) struct State {
    pub(super) path: PathBuf,
    pub(super) log: bool,
    /// The database: whether its pages have seals.
    pub(super) sealed: bool,
    /// The database: the checkpoint in progress, and whether it could be noted.
    pub(super) moving: Option<note::Moving>,
    pub(super) refuse: Option<c_int>,
    /// The log: the salts of the last write.
    pub(super) salts: Option<Salts>,
    /// The log: what connections of this process have written to it.
    frames: Arc<Mutex<Written>>,
    /// The log: the frame whose header has just been written.
    written: Option<u64>,
    /// The log: the first frame that this connection has overwritten without having fixed its checksums yet.
    unsettled: u64,
}

impl State {
    /// The state of a newly opened file.
    pub(super) fn new(path: PathBuf, log: bool) -> Self {
        Self {
            frames: if log { written_to(&path) } else { Arc::default() },
            path,
            log,
            sealed: false,
            moving: None,
            refuse: None,
            salts: None,
            written: None,
            unsettled: u64::MAX,
        }
    }

    /// What is wrong with a page of the database, if anything.
    pub(super) fn check_page(
        &mut self,
        page: &mut Page,
        at: u64,
        read: &dyn Fn(u64, &mut [u8]) -> bool,
    ) -> Option<String> {
        if at == 0 {
            self.sealed = seal::is_sealed(page);
        } else if !self.sealed {
            // Another connection may have sealed its pages since.
            let mut header = [0; 100];
            self.sealed = read(0, &mut header) && seal::is_sealed(&header);
        }
        if !self.sealed || !at.is_multiple_of(PAGE as u64) {
            return None;
        }
        let number = at / PAGE as u64 + 1;
        match seal::look(number, page) {
            Look::Sound => {
                seal::strip(page);
                None
            }
            _ if LENIENT.get() == Lenience::Everything => None,
            Look::Unsealed if LENIENT.get() == Lenience::Unsealed => None,
            Look::Broken => Some(format!("page {number} (byte {at}) does not have the content that was written")),
            Look::Blank => Some(format!("page {number} (byte {at}) is empty")),
            Look::Unsealed => Some(format!("page {number} (byte {at}) has lost its checksum")),
        }
    }

    /// What is wrong with the frame of the log that holds this page, if anything.
    pub(super) fn check_frame(&self, page: &Page, at: u64, read: &dyn Fn(u64, &mut [u8]) -> bool) -> Option<String> {
        let start = at.checked_sub((HEADER + FRAME_HEADER) as u64)?;
        let frame = start / FRAME as u64;
        if !start.is_multiple_of(FRAME as u64) || frame >= self.unsettled {
            return None;
        }
        let known = usize::try_from(frame).ok().and_then(|frame| self.frames().of(frame));
        if known.is_some_and(|sums| sums.fit(page)) {
            return None;
        }
        // The frame's header and the checksum before it: the last eight bytes of the file's header or of the previous
        // frame's header.
        let (mut magic, mut header, mut before) = ([0; 4], [0; FRAME_HEADER], [0; 8]);
        let earlier = if frame == 0 { HEADER as u64 - 8 } else { at - FRAME as u64 - 8 };
        let whole = read(0, &mut magic) && read(at - FRAME_HEADER as u64, &mut header) && read(earlier, &mut before);
        if whole && frames::follows(frames::is_big(&magic), before, &header, page) {
            return None;
        }
        Some(format!("frame {} (byte {}) does not have the content that was written", frame + 1, start + HEADER as u64))
    }

    fn frames(&self) -> MutexGuard<'_, Written> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns from a write to the log.
    pub(super) fn note_frame(&mut self, content: &[u8], at: u64) {
        let Some(start) = at.checked_sub(HEADER as u64) else {
            if let Ok(header) = content.try_into() {
                self.frames().begin(header);
            }
            return;
        };
        let (frame, inside) = (start / FRAME as u64, start % FRAME as u64);
        if inside == 0 && content.len() == FRAME_HEADER {
            self.salts = Some(Salts(std::array::from_fn(|at| content[8 + at])));
            if let (Ok(frame), Ok(header)) = (usize::try_from(frame), content.try_into()) {
                self.frames().note(frame, header);
            }
            if frame <= self.unsettled {
                self.unsettled = u64::MAX;
            }
            self.written = Some(frame);
        } else if inside == FRAME_HEADER as u64 && self.written.take() != Some(frame) {
            // A transaction that is larger than the cache overwrites its own frames and fixes the checksums at its end.
            self.unsettled = self.unsettled.min(frame);
        }
    }
}
