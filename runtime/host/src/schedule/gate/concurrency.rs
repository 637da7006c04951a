//! `concurrency = 4`: how many attempts of a reactor run at once.

use super::Gate;

/// See the module.
#[derive(Debug)]
pub(super) struct Concurrency {
    limit: usize,
    /// As many may be started, although not all of them can run at once, because runs are short: what runs them sees to
    /// the limit.
    pub(super) ahead: usize,
}

impl Concurrency {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), ahead: 0 }
    }

    pub(super) fn adopt(&mut self, limit: usize) {
        self.limit = limit.max(1);
    }
}

impl Gate for Concurrency {
    fn lets_through(&self, running: usize) -> bool {
        running < self.limit.max(self.ahead)
    }
}
