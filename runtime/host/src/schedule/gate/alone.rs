//! A delivery whose runs are void again and again, because others change what it reads, gets its reactor for itself once.

use reactor_core::event::DeliveryId;

use super::super::ready::Ready;
use super::Gate;

/// See the module. One at a time; others that should run alone wait for their next failure.
#[derive(Debug, Default)]
pub(in super::super) struct Alone {
    wanted: Option<Ready>,
    runs: bool,
}

impl Alone {
    /// Lets nothing else start until this has run.
    pub(in super::super) fn want(&mut self, wanted: Ready) {
        if self.wanted.is_none() {
            *self = Self { wanted: Some(wanted), runs: false };
        }
    }

    /// What has to run while nothing else of the reactor does.
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
