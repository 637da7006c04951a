//! The wal-index: what the processes that have a store open share about its log (`SQLite`'s walformat.html).
#![allow(unsafe_code, reason = "it is memory that other processes write")]

use std::ffi::c_void;
use std::thread;
use std::time::Duration;

use super::frames::{Position, Salts};

/// Bytes of the header, of which there are two copies.
const HEADER: usize = 48;
/// Offsets of the number of frames, of the salts, and of how far the last checkpoint tried to get.
const FRAMES: usize = 16;
const SALTS: [usize; 2] = [32, 36];
const ATTEMPTED: usize = 128;

/// The first region of the wal-index.
pub(super) struct Index(*mut c_void);

impl Index {
    /// SAFETY: `region` is the first region of a wal-index, and stays mapped as long as the result is used.
    pub(super) unsafe fn new(region: *mut c_void) -> Self {
        Self(region)
    }

    fn word(&self, at: usize) -> u32 {
        debug_assert!(at <= ATTEMPTED && at.is_multiple_of(4));
        // SAFETY: a region is shared memory of more than `ATTEMPTED` bytes, mapped and aligned, until the file is
        // closed.
        unsafe { self.0.byte_add(at).cast::<u32>().read_volatile() }
    }

    /// The salts of the current generation.
    pub(super) fn salts(&self) -> Salts {
        let words = SALTS.map(|at| self.word(at).to_ne_bytes());
        Salts(std::array::from_fn(|at| words[at / 4][at % 4]))
    }

    /// How much of the log the checkpoint in progress will have moved.
    pub(super) fn attempted(&self) -> u32 {
        self.word(ATTEMPTED)
    }

    /// The length of the log. The header has two copies, which differ while a writer updates them or after it was
    /// killed there.
    pub(super) fn position(&self) -> Option<Position> {
        for _ in 0..100 {
            let header = |copy: usize| -> [u32; 12] { std::array::from_fn(|at| self.word(copy * HEADER + at * 4)) };
            let position = Position { salts: self.salts(), frames: self.word(FRAMES) };
            if header(0) == header(1) && position == (Position { salts: self.salts(), frames: self.word(FRAMES) }) {
                return Some(position);
            }
            thread::sleep(Duration::from_micros(100));
        }
        None
    }
}
