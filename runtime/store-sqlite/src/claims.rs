//! Which attempts have begun: a small file that survives the process but not a power cut, and costs no sync.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use reactor_core::event::DeliveryId;
use reactor_core::store::{Mark, Result, StoreError};

use super::{folder, room};

/// Bytes of a record: epoch, delivery, attempt, check.
const RECORD: usize = 24;
/// An upper bound above any configured number of slots.
const MOST: usize = 65_536;

/// An attempt that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The delivery.
    pub(super) delivery: DeliveryId,
    /// The number of the attempt.
    pub(super) attempt: u32,
}

/// The file, one record per slot.
#[derive(Debug)]
pub(super) struct Claims {
    path: PathBuf,
    file: File,
    slots: usize,
    epoch: u64,
    /// The content of the file, which may have more slots than this owner uses.
    image: Mutex<Vec<[u8; RECORD]>>,
}

impl Claims {
    /// Opens the file and makes room; claims of the previous owner stay until [`Claims::clear`].
    pub(super) fn open(dir: &Path, slots: usize, epoch: u64) -> Result<Self> {
        let path = dir.join("claims");
        let file = folder::open(&path)?;
        let (most, size) = (slots.max(MOST) * RECORD, file.metadata().map_err(|e| broken(&path, &e))?.len());
        if size > most as u64 {
            let reason = format!(
                "it has {size} bytes, and no host writes more than {most}; remove it: attempts that a crash cut short \
                 are not counted then"
            );
            return Err(StoreError::Refused { path: path.display().to_string(), reason });
        }
        let mut bytes = Vec::new();
        (&file).take(most as u64).read_to_end(&mut bytes).map_err(|e| broken(&path, &e))?;
        if let Some(missing) = (slots * RECORD).checked_sub(bytes.len()) {
            // Written, not just extended: a claim must not fail for lack of space.
            file.write_all_at(&vec![0; missing], bytes.len() as u64).map_err(|e| broken(&path, &e))?;
            bytes.resize(slots * RECORD, 0);
        }
        let image = Mutex::new(bytes.as_chunks().0.to_vec());
        Ok(Self { path, file, slots, epoch, image })
    }

    /// Records attempts that begin and slots that become free, in one write.
    pub(super) fn mark(&self, marks: &[Mark]) -> Result<()> {
        if let Some((slot, _)) = marks.iter().find(|(slot, _)| *slot >= self.slots) {
            let slots = self.slots;
            return Err(StoreError::Other(format!("there is no slot {slot}: the store was opened with {slots}")));
        }
        let mut image = self.image();
        let (mut first, mut end) = (self.slots, 0);
        for (slot, attempt) in marks {
            image[*slot] = attempt.map_or([0; RECORD], |(delivery, attempt)| self.record(delivery, attempt));
            (first, end) = (first.min(*slot), end.max(*slot + 1));
        }
        if first >= end {
            return Ok(());
        }
        let bytes = image[first..end].as_flattened();
        self.file.write_all_at(bytes, (first * RECORD) as u64).map_err(|e| broken(&self.path, &e))
    }

    fn record(&self, delivery: DeliveryId, attempt: u32) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        record[..8].copy_from_slice(&self.epoch.to_le_bytes());
        record[8..16].copy_from_slice(&delivery.0.to_le_bytes());
        record[16..20].copy_from_slice(&attempt.to_le_bytes());
        let check = check(&record);
        record[20..].copy_from_slice(&check);
        record
    }

    /// The claims that earlier owners left.
    pub(super) fn left(&self) -> Vec<Claim> {
        self.image().iter().filter_map(|record| self.claim(record)).collect()
    }

    fn claim(&self, record: &[u8; RECORD]) -> Option<Claim> {
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| record[at + i]));
        let attempt = u32::from_le_bytes(std::array::from_fn(|i| record[16 + i]));
        let epoch = number(0);
        let sound = record[20..] == check(record) && epoch != 0 && epoch < self.epoch;
        sound.then_some(Claim { delivery: DeliveryId(number(8)), attempt })
    }

    /// Clears the claims that earlier owners left.
    pub(super) fn clear(&self) -> Result<()> {
        let mut image = self.image();
        image.iter_mut().filter(|record| self.claim(record).is_some()).for_each(|record| *record = [0; RECORD]);
        self.file.write_all_at(image.as_flattened(), 0).map_err(|e| broken(&self.path, &e))
    }

    fn image(&self) -> MutexGuard<'_, Vec<[u8; RECORD]>> {
        self.image.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broken(path: &Path, error: &std::io::Error) -> StoreError {
    if room::means_full(error) {
        return StoreError::Full;
    }
    StoreError::Broken { detail: format!("{}: {error}", path.display()) }
}

/// A checksum, because a power cut may tear a record.
fn check(record: &[u8; RECORD]) -> [u8; 4] {
    let hash = blake3::hash(&record[..20]);
    std::array::from_fn(|i| hash.as_bytes()[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_owner_sees_what_an_earlier_one_began() {
        let dir = tempfile::tempdir().unwrap();
        let first = Claims::open(dir.path(), 4, 1).unwrap();
        first.mark(&[(0, Some((DeliveryId(7), 1))), (1, Some((DeliveryId(8), 2)))]).unwrap();
        first.mark(&[(0, None)]).unwrap();
        assert!(first.left().is_empty(), "its own are not left over");
        let second = Claims::open(dir.path(), 2, 2).unwrap();
        second.mark(&[(0, Some((DeliveryId(9), 1)))]).unwrap();
        assert_eq!(second.left(), [Claim { delivery: DeliveryId(8), attempt: 2 }]);
        second.clear().unwrap();
        assert!(second.left().is_empty());
        let third = Claims::open(dir.path(), 2, 3).unwrap();
        assert_eq!(third.left(), [Claim { delivery: DeliveryId(9), attempt: 1 }]);
        assert!(third.mark(&[(2, Some((DeliveryId(1), 1)))]).is_err());
    }

    #[test]
    fn a_torn_record_is_none() {
        let dir = tempfile::tempdir().unwrap();
        Claims::open(dir.path(), 1, 1).unwrap().mark(&[(0, Some((DeliveryId(7), 1)))]).unwrap();
        let path = dir.path().join("claims");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[9] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(Claims::open(dir.path(), 1, 2).unwrap().left().is_empty());
    }
}
