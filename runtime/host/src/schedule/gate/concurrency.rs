//! `concurrency = 4`: how many attempts of a reactor run at once.

use super::Gate;

/// See the module.
#[derive(Debug)]
pub(super) struct Concurrency {
    limit: usize,
    /// How many may be started. As runs are short, this can exceed what may run at once; the code that runs them
    /// enforces that limit.
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
