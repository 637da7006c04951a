//! What the scheduler has asked to be loaded, and how far that is.

use std::collections::VecDeque;

use crate::schedule::Load;

/// Most loads that are carried out at a time: of lanes that have little in the store, there may be many.
const MOST: usize = 64;

/// Loads are carried out some at a time, so that what they read is bounded however many there are.
#[derive(Default)]
pub(crate) struct Loads {
    asked: VecDeque<Load>,
    under_way: bool,
}

impl Loads {
    pub(crate) fn ask(&mut self, load: Load) {
        self.asked.push_back(load);
    }

    /// Takes what is to be carried out now: nothing while others are under way.
    pub(crate) fn begin(&mut self) -> Vec<Load> {
        if self.under_way || self.asked.is_empty() {
            return Vec::new();
        }
        self.under_way = true;
        self.asked.drain(..self.asked.len().min(MOST)).collect()
    }

    /// They have been carried out but for these.
    pub(crate) fn ended(&mut self, left: Vec<Load>) {
        self.under_way = false;
        left.into_iter().rev().for_each(|load| self.asked.push_front(load));
    }
}

#[cfg(test)]
mod tests {
    use reactor_core::event::DeliveryId;

    use super::*;

    fn load(reactor: usize) -> Load {
        Load::Spilled { reactor, after: DeliveryId(0) }
    }

    #[test]
    fn loads_are_carried_out_in_order_and_some_at_a_time() {
        let mut loads = Loads::default();
        (0..MOST + 2).for_each(|reactor| loads.ask(load(reactor)));
        assert_eq!(loads.begin(), (0..MOST).map(load).collect::<Vec<_>>());
        assert!(loads.begin().is_empty(), "others are under way");
        loads.ended(vec![load(MOST - 2), load(MOST - 1)]);
        assert_eq!(loads.begin(), (MOST - 2..MOST + 2).map(load).collect::<Vec<_>>());
        loads.ended(Vec::new());
        assert!(loads.begin().is_empty());
    }
}
