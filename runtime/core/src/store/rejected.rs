//! Which commits were refused, so that runs built on them are refused too.

use std::collections::BTreeSet;

use crate::event::Version;

/// Far more commits than can be in flight at once; older refusals need no individual record.
const REMEMBERED: usize = 65_536;

/// The refused commits of this process.
#[derive(Debug, Default)]
pub struct Rejected {
    numbers: BTreeSet<u64>,
    /// Everything below counts as refused: a run built on something this old runs again.
    floor: u64,
    highest: u64,
}

impl Rejected {
    /// The commit was applied, perhaps after it had been refused because the disk was full.
    pub fn applied(&mut self, number: Version) {
        self.highest = self.highest.max(number.0);
        self.numbers.remove(&number.0);
    }

    /// The commit was refused.
    pub fn refused(&mut self, number: Version) {
        self.highest = self.highest.max(number.0);
        self.numbers.insert(number.0);
        while self.numbers.len() > REMEMBERED {
            if let Some(oldest) = self.numbers.pop_first() {
                self.floor = oldest + 1;
            }
        }
    }

    /// Whether a run that was built on this commit may be applied.
    pub fn happened(&self, number: Version) -> bool {
        number.0 <= self.highest && number.0 >= self.floor && !self.numbers.contains(&number.0)
    }

    /// The highest number seen.
    pub fn highest(&self) -> u64 {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_applied_commits_have_happened() {
        let mut rejected = Rejected::default();
        rejected.applied(Version(1));
        rejected.refused(Version(2));
        assert!(rejected.happened(Version(1)));
        assert!(!rejected.happened(Version(2)));
        assert!(!rejected.happened(Version(3)), "nobody has seen it yet");
        rejected.applied(Version(2));
        assert!(rejected.happened(Version(2)));
        assert_eq!(rejected.highest(), 2);
    }

    #[test]
    fn what_is_forgotten_counts_as_refused() {
        let mut rejected = Rejected::default();
        for number in 1..=(REMEMBERED as u64 + 10) {
            rejected.refused(Version(number * 2));
        }
        assert!(rejected.numbers.len() <= REMEMBERED);
        assert!(!rejected.happened(Version(2)));
        assert!(!rejected.happened(Version(3)));
        assert!(rejected.happened(Version(51)));
    }
}
