//! The frames of a write-ahead log, as `SQLite` writes them (walformat.html): a file header of 32 bytes, then frames of
//! a header and a page each. A frame's checksum continues that of the previous frame, so no frame after a damaged one
//! is valid. No I/O except through `Read`.

use std::collections::BTreeSet;
use std::io::{self, Read};

use super::seal::{PAGE, Page};

/// Bytes of the file's header.
pub(super) const HEADER: usize = 32;
/// Bytes of a frame's header: page number, database size after a commit or 0, salts, checksum.
pub(super) const FRAME_HEADER: usize = 24;
/// Bytes of a frame.
pub(super) const FRAME: usize = FRAME_HEADER + PAGE;

/// A generation of the log: what was written since it last started over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Salts(pub(super) [u8; 8]);

impl Salts {
    /// Whether this generation came directly after `earlier`, in the same file.
    pub(super) fn follows(self, earlier: Self) -> bool {
        let first = |salts: Self| u32::from_be_bytes(std::array::from_fn(|at| salts.0[at]));
        first(self) == first(earlier).wrapping_add(1)
    }
}

/// How far a generation of the log goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) salts: Salts,
    /// Frames up to and including the last commit.
    pub(super) frames: u32,
}

/// The result of a walk through the whole log.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// The generation, if the header is sound.
    pub(super) salts: Option<Salts>,
    /// Frames that are sound, like all frames before them.
    pub(super) sound: u32,
    /// Sound frames up to the last commit.
    pub(super) committed: u32,
    /// Commits among the sound frames.
    pub(super) commits: u32,
    /// Frames of the same generation behind the first unsound one, each of which follows the frame before it.
    pub(super) beyond: u32,
    /// Commits among those: unlikely after a torn end, but present after damage in the middle.
    pub(super) commits_beyond: u32,
    /// The pages that the committed frames hold.
    pub(super) pages: BTreeSet<u32>,
}

impl Survey {
    /// The offset of the first byte that is not part of a sound frame.
    pub(super) fn end(&self) -> u64 {
        if self.salts.is_none() { 0 } else { HEADER as u64 + u64::from(self.sound) * FRAME as u64 }
    }
}

/// Whether the checksums of a log with this magic number read big-endian words.
pub(super) fn is_big(magic: &[u8; 4]) -> bool {
    magic[3] & 1 == 1
}

fn sum(big: bool, seed: [u32; 2], bytes: &[u8]) -> [u32; 2] {
    let word = |bytes: [u8; 4]| if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
    bytes.as_chunks::<8>().0.iter().fold(seed, |[a, b], [w, x, y, z, rest @ ..]| {
        let a = a.wrapping_add(word([*w, *x, *y, *z])).wrapping_add(b);
        [a, b.wrapping_add(word(*rest)).wrapping_add(a)]
    })
}

fn words(bytes: [u8; 8]) -> [u32; 2] {
    let [a, b, c, d, rest @ ..] = bytes;
    [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes(rest)]
}

fn eight(bytes: &[u8]) -> [u8; 8] {
    std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0))
}

/// Whether a frame was written after one with the checksum `before`.
pub(super) fn follows(big: bool, before: [u8; 8], header: &[u8; FRAME_HEADER], page: &Page) -> bool {
    let seed = sum(big, words(before), &header[..8]);
    sum(big, seed, page) == words(eight(&header[16..]))
}

/// What this process has written to a log, for a quick check of its reads: a mismatch may be another process's write,
/// and has to be checked in the file.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Whether words are big-endian, and the checksum of the file header.
    header: Option<(bool, [u8; 8])>,
    frames: Vec<Option<Sums>>,
}

/// The checksums before and after a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    big: bool,
    seed: [u32; 2],
    checksum: [u8; 8],
}

impl Written {
    /// The log starts over with this header.
    pub(super) fn begin(&mut self, header: &[u8; HEADER]) {
        self.header = Some((header[3] & 1 == 1, eight(&header[24..])));
        self.frames.clear();
    }

    /// Notes the header of a frame that is written.
    pub(super) fn note(&mut self, frame: usize, header: &[u8; FRAME_HEADER]) {
        let before = match frame.checked_sub(1) {
            None => self.header,
            Some(earlier) => self.of(earlier).map(|sums| (sums.big, sums.checksum)),
        };
        if self.frames.len() <= frame {
            self.frames.resize(frame + 1, None);
        }
        self.frames[frame] = before.map(|(big, before)| {
            let seed = sum(big, words(before), &header[..8]);
            Sums { big, seed, checksum: eight(&header[16..]) }
        });
    }

    /// What is known about a frame.
    pub(super) fn of(&self, frame: usize) -> Option<Sums> {
        self.frames.get(frame).copied().flatten()
    }
}

impl Sums {
    /// Whether this page matches the checksums.
    pub(super) fn fit(&self, page: &Page) -> bool {
        sum(self.big, self.seed, page) == words(self.checksum)
    }
}

fn sound_header(header: &[u8; HEADER]) -> bool {
    let magic = u32::from_be_bytes(std::array::from_fn(|at| header[at])) & !1 == 0x377f_0682;
    let sum = sum(header[3] & 1 == 1, [0; 2], &header[..24]);
    magic && header[8..12] == [0, 0, 0x10, 0] && sum == words(eight(&header[24..]))
}

/// Walks through a log from its start.
pub(super) fn survey(log: &mut impl Read) -> io::Result<Survey> {
    let mut found = Survey::default();
    let mut header = [0; HEADER];
    found.bytes = fill(log, &mut header)? as u64;
    if found.bytes < HEADER as u64 {
        return Ok(found);
    }
    let (big, mut before) = (header[3] & 1 == 1, eight(&header[24..]));
    found.salts = sound_header(&header).then(|| Salts(eight(&header[16..])));
    let (mut salts, mut whole) = (found.salts, found.salts.is_some());
    let (mut waiting, mut frame) = (BTreeSet::new(), [0; FRAME]);
    loop {
        let read = fill(log, &mut frame)?;
        found.bytes += read as u64;
        if read < FRAME {
            return Ok(found);
        }
        let head: &[u8; FRAME_HEADER] = &std::array::from_fn(|at| frame[at]);
        let mut page = [0; PAGE];
        page.copy_from_slice(&frame[FRAME_HEADER..]);
        let generation = Salts(eight(&head[8..]));
        // Without a file header, the first frame determines the generation.
        let same = *salts.get_or_insert(generation) == generation;
        let [number, commit] = words(eight(head));
        let sound = same && number > 0 && follows(big, before, head, &page);
        before = eight(&head[16..]);
        whole &= sound;
        if whole {
            found.sound += 1;
            waiting.insert(number);
            if commit > 0 {
                (found.committed, found.commits) = (found.sound, found.commits + 1);
                found.pages.append(&mut waiting);
            }
        } else if sound {
            found.beyond += 1;
            found.commits_beyond += u32::from(commit > 0);
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(log: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < into.len() {
        match log.read(&mut into[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A log with these frames: page number and whether the frame commits.
    fn log(big: bool, salts: [u8; 8], frames: &[(u32, bool)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((0x377f_0682_u32 | u32::from(big)).to_be_bytes());
        bytes.extend([3_007_000_u32, 4096, 7].into_iter().flat_map(u32::to_be_bytes));
        bytes.extend(salts);
        let mut seed = sum(big, [0; 2], &bytes);
        bytes.extend(seed.into_iter().flat_map(u32::to_be_bytes));
        for (page, commit) in frames {
            let content = [u8::try_from(*page % 251).unwrap(); PAGE];
            let head: Vec<u8> = [*page, u32::from(*commit) * 9].into_iter().flat_map(u32::to_be_bytes).collect();
            seed = sum(big, sum(big, seed, &head), &content);
            bytes.extend(head);
            bytes.extend(salts);
            bytes.extend(seed.into_iter().flat_map(u32::to_be_bytes));
            bytes.extend(content);
        }
        bytes
    }

    fn look(bytes: &[u8]) -> Survey {
        survey(&mut &bytes[..]).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_flip_ends_the_log_where_it_is(
            big: bool,
            frames in prop::collection::vec((1_u32..50, any::<bool>()), 1..12),
            place in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let whole = log(big, *b"saltsalt", &frames);
            let sound = look(&whole);
            prop_assert_eq!((sound.sound as usize, sound.beyond), (frames.len(), 0));
            let last = frames.iter().rposition(|(_, commit)| *commit).map_or(0, |at| at + 1);
            prop_assert_eq!(sound.committed as usize, last);
            let at = place.index(whole.len());
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            let found = look(&flipped);
            if at < HEADER {
                prop_assert_eq!((found.salts, found.sound), (None, 0));
            } else {
                let frame = (at - HEADER) / FRAME;
                prop_assert_eq!(found.sound as usize, frame);
                prop_assert_eq!(found.end() as usize, HEADER + frame * FRAME);
                // The next frame is not counted if the damage is in the checksum it continues.
                prop_assert!(found.beyond as usize + 2 >= frames.len() - frame);
            }
            let cut = look(&whole[..at]);
            prop_assert_eq!((cut.sound as usize, cut.beyond), (at.saturating_sub(HEADER) / FRAME, 0));
        }
    }

    #[test]
    fn an_older_generation_behind_the_end_is_no_damage() {
        let old = log(false, *b"AAAAsalt", &[(1, true), (2, true), (3, true), (4, true)]);
        let mut now = log(false, *b"AAABsalt", &[(1, true)]);
        now.extend(&old[now.len()..]);
        let found = look(&now);
        assert_eq!((found.sound, found.committed, found.beyond, found.commits_beyond), (1, 1, 0, 0));
        assert!(Salts(*b"AAABsalt").follows(Salts(*b"AAAAsalt")) && !Salts(*b"AAAAsalt").follows(Salts(*b"AAABsalt")));
    }

    #[test]
    fn what_a_killed_transaction_left_has_no_commit() {
        let killed = log(false, *b"AAAAsalt", &[(1, true), (2, false), (3, false), (4, false)]);
        let mut now = log(false, *b"AAAAsalt", &[(1, true), (7, true)]);
        now.extend(&killed[now.len()..]);
        let found = look(&now);
        assert_eq!((found.committed, found.beyond, found.commits_beyond), (2, 1, 0));
    }
}
