//! The fates of deliveries in the model store.

use std::collections::{BTreeMap, BTreeSet};

use reactor_core::event::{DeliveryId, HostTime, LaneKey, Origin, ReactorId};
use reactor_core::store::{Asked, Behind, Blocked, Fate, Place, StoredDead, StoredDelivery};

use super::inner::{Dead, Inner, Row};

/// A letter that was dropped.
#[derive(Debug)]
pub(super) struct Dropped {
    pub(super) at: HostTime,
    pub(super) of: Asked,
    pub(super) reason: String,
}

impl Inner {
    pub(super) fn drop_dead(&mut self, id: u64) -> Option<(ReactorId, LaneKey)> {
        self.dead.get(&id).filter(|dead| !dead.stored.redriving)?;
        let Dead { stored: StoredDead { letter, .. }, delivery, .. } = self.dead.remove(&id)?;
        let reactor = letter.reactor?;
        // No reactor completed it, so a later event with the same key is not a duplicate.
        let key = (reactor, letter.key);
        if self.ledger.get(&key).is_some_and(|(_, known, _)| Some(*known) == delivery) {
            self.ledger.remove(&key);
        }
        let of = Asked { reactor, key: letter.key, origin: letter.origin };
        self.dropped.insert(id, Dropped { at: self.host, of, reason: letter.reason });
        self.counts(reactor).dead -= 1;
        self.counts(reactor).dropped += 1;
        Some((reactor, letter.parks?))
    }

    pub(super) fn fate(&self, asked: &Asked) -> Option<Fate> {
        let entered = self.ledger.get(&(asked.reactor, asked.key));
        if let Some((_, id, _)) = entered.filter(|(.., origin)| *origin == asked.origin) {
            return Some(self.fate_of(*id));
        }
        let dropped = |(letter, dropped): (&u64, &Dropped)| Fate::Dropped(*letter, dropped.reason.clone());
        if let Some(it) = self.dropped.iter().find(|(_, dropped)| dropped.of == *asked) {
            return Some(dropped(it));
        }
        let is_before = |origin: Origin| {
            let place = |origin: Origin| (origin.offset, origin.part);
            origin.channel != asked.origin.channel || place(origin) < place(asked.origin)
        };
        let first =
            entered.filter(|(.., origin)| is_before(*origin)).map(|(_, id, origin)| (*origin, self.fate_of(*id)));
        let same = |of: &Asked| (of.reactor, of.key) == (asked.reactor, asked.key) && is_before(of.origin);
        let gone = self.dropped.iter().filter(|(_, gone)| same(&gone.of)).map(|it| (it.1.of.origin, dropped(it)));
        let rank = |(origin, _): &(Origin, Fate)| (origin.channel == asked.origin.channel, origin.offset, origin.part);
        let (first, fate) = first.into_iter().chain(gone).max_by_key(rank)?;
        Some(Fate::Duplicate { first: Some(first), fate: Box::new(fate) })
    }

    pub(super) fn fate_of(&self, id: DeliveryId) -> Fate {
        let Some(Row { stored, .. }) = self.deliveries.get(&id) else {
            let letter = self.dead.iter().find(|(_, dead)| dead.delivery == Some(id)).map(|(letter, _)| *letter);
            return letter.map_or(Fate::Done, Fate::Dead);
        };
        let stored = Box::new(stored.clone());
        match (stored.place, stored.lane) {
            (Place::Held, Some(lane)) => {
                let parked = self.parking(stored.reactor, lane).min().map(Behind::Parked);
                let mut ahead = self.deliveries.values().map(|row| &row.stored);
                let is_head = |other: &&StoredDelivery| {
                    (other.reactor, other.lane, other.place) == (stored.reactor, Some(lane), Place::Waiting)
                };
                let behind = parked.or_else(|| ahead.find(is_head).map(|head| Behind::Waiting(head.origin)));
                Fate::Held(stored, behind)
            }
            _ => Fate::Active(stored),
        }
    }

    pub(super) fn blocked(&self) -> Vec<(ReactorId, Blocked)> {
        let mut all: BTreeMap<ReactorId, Blocked> = BTreeMap::new();
        let letters = self.dead.values().map(|dead| &dead.stored.letter);
        let parked: BTreeSet<_> = letters.filter_map(|letter| letter.reactor.zip(letter.parks)).collect();
        for (reactor, _) in &parked {
            all.entry(*reactor).or_default().parked_keys += 1;
        }
        for held in self.deliveries.values().map(|row| &row.stored).filter(|held| held.place == Place::Held) {
            let of = all.entry(held.reactor).or_default();
            let is_parked = held.lane.is_some_and(|lane| parked.contains(&(held.reactor, lane)));
            if is_parked { of.parked += 1 } else { of.held += 1 }
        }
        all.into_iter().collect()
    }
}
