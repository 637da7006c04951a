//! The checksum of a database page: eight bytes at its end, which `SQLite` keeps free (no `PRAGMA` sets this; the
//! header's byte 20 says 8). It is a hash of the page's number and content, so a changed or misplaced page is detected.
//! A store created before seals existed has none until it is migrated.

use twox_hash::XxHash3_64;

/// Bytes of a page.
pub(super) const PAGE: usize = 4096;
/// Bytes of a seal.
pub(super) const SEAL: usize = 8;
/// The seal of a page that a program without our checksums has moved out of the write-ahead log.
const NONE: [u8; SEAL] = [0; SEAL];
const MAGIC: &[u8] = b"SQLite format 3\0";

/// A page.
pub(super) type Page = [u8; PAGE];

/// The result of checking a page's seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The page is what was written.
    Sound,
    /// The page is all zeros: it was never written.
    Blank,
    /// There is no seal: another program moved it into the database.
    Unsealed,
    /// The page is not what was written.
    Broken,
}

/// The seal of a page, by its number, which starts at 1. It is never [`NONE`].
pub(super) fn of(number: u64, page: &Page) -> [u8; SEAL] {
    // It protects against damage, not against an attacker, who could write a whole store; every read of a page computes
    // it.
    let hash = XxHash3_64::oneshot_with_seed(number, &page[..PAGE - SEAL]).to_le_bytes();
    if hash == NONE { [1; SEAL] } else { hash }
}

/// Puts the seal on a page.
pub(super) fn put(number: u64, page: &mut Page) {
    let seal = of(number, page);
    page[PAGE - SEAL..].copy_from_slice(&seal);
}

/// Removes the seal, so that later writes to the log do not carry an old one.
pub(super) fn strip(page: &mut Page) {
    page[PAGE - SEAL..].copy_from_slice(&NONE);
}

/// Checks a page's seal.
pub(super) fn look(number: u64, page: &Page) -> Look {
    let seal = &page[PAGE - SEAL..];
    if seal == of(number, page) {
        Look::Sound
    } else if seal != NONE {
        Look::Broken
    } else if page.iter().all(|byte| *byte == 0) {
        Look::Blank
    } else {
        Look::Unsealed
    }
}

/// Whether the header of a first page says that the pages of its file have seals.
pub(super) fn is_sealed(header: &[u8]) -> bool {
    header.len() >= 100 && header.starts_with(MAGIC) && header[16..18] == [0x10, 0] && usize::from(header[20]) == SEAL
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_flip_and_every_move_is_found(fill: u8, number in 1_u64..1 << 32, bit in 0..PAGE * 8, other in 1_u64..1 << 32) {
            let mut page = [fill; PAGE];
            put(number, &mut page);
            prop_assert_eq!(look(number, &page), Look::Sound);
            prop_assert_eq!(look(other, &page) == Look::Sound, other == number);
            page[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(look(number, &page), Look::Broken);
        }
    }

    #[test]
    fn a_page_without_a_seal_is_told_from_one_that_was_never_written() {
        let mut page = [7; PAGE];
        strip(&mut page);
        assert_eq!((look(3, &page), look(3, &[0; PAGE])), (Look::Unsealed, Look::Blank));
    }
}
