//! Runs a delivery once without concurrent runs of its reactor, if its runs are repeatedly void because others change
//! what it reads.

use reactor_core::event::DeliveryId;

use super::super::ready::Ready;
use super::Gate;

/// See the module. One delivery at a time; another that should run alone waits for its next failure.
#[derive(Debug, Default)]
pub(in super::super) struct Alone {
    wanted: Option<Ready>,
    runs: bool,
}

impl Alone {
    /// Blocks all other starts until this has run.
    pub(in super::super) fn want(&mut self, wanted: Ready) {
        if self.wanted.is_none() {
            *self = Self { wanted: Some(wanted), runs: false };
        }
    }

    /// What must run while nothing else of the reactor does.
    pub(in super::super) fn wanted(&self) -> Option<Ready> {
        self.wanted
    }
}

impl Gate for Alone {
    fn lets_through(&self, running: usize) -> bool {
        self.wanted.is_none() || (!self.runs && running == 0)
    }

    fn started(&mut self, _: DeliveryId) {
        self.runs = self.wanted.is_some();
    }

    fn gave_back(&mut self, _: DeliveryId) {
        if self.runs {
            *self = Self::default();
        }
    }
}
