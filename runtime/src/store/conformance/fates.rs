//! What became of deliveries.

use super::fixture::*;
use crate::event::{DeliveryId, Offset};
use crate::store::{DeadFilter, Fate, Place};

/// Each delivery is told as it stands: in progress, waiting, done, dead; and nothing of what was never admitted.
pub fn fates_are_told(harness: &mut dyn Harness) {
    let f = fixture(harness);
    f.publish(&["{}"]);
    let ids: Vec<DeliveryId> = (1..=4).map(|number| f.in_memory(number)).collect();
    f.commit_all(vec![f.done(1, ids[1]), f.failed(2, ids[2], 1, at(5_000)), f.died(3, ids[3], f.letter(4))]);
    let asked: Vec<_> = (1..=5).map(|number| (f.reactor, key(number))).collect();
    let fates = f.store.fates((f.channel, Offset(1)), &asked).unwrap();
    assert!(matches!(&fates[0], Some(Fate::Active(stored)) if stored.id == ids[0] && stored.history.is_empty()));
    assert_eq!(fates[1], Some(Fate::Done));
    let Some(Fate::Active(waiting)) = &fates[2] else { panic!("{:?}", fates[2]) };
    assert_eq!((waiting.place, waiting.due, waiting.history.len()), (Place::Waiting, at(5_000), 1));
    let letters = f.store.dead_letters(&DeadFilter::default()).unwrap();
    assert_eq!(fates[3], Some(Fate::Dead(letters[0].id)));
    assert_eq!(fates[4], None);
    // From a record that is not there yet, the same is found.
    assert_eq!(f.store.fates((f.channel, Offset(99)), &asked).unwrap(), fates);
}
