//! The scheduler against a model store, with a tape of random choices as its environment.

mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;

use reactor_core::event::Version;

use self::world::{BYTES, World};
use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Nothing is lost, nothing runs twice at once, nothing overtakes within its lane, and memory stays bounded.
    #[test]
    fn every_delivery_ends_once_and_in_the_order_of_its_lane(
        memory in 1usize..200,
        tape in proptest::collection::vec(any::<u8>(), 0..1_500),
    ) {
        let mut world = World::new(memory, tape);
        while world.tape.len() > 0 {
            world.step(false);
        }
        world.wind_down();
        let ended: BTreeSet<_> = world.done.iter().map(|(_, id)| *id).collect();
        prop_assert_eq!(ended.len(), world.done.len(), "something ended twice");
        prop_assert_eq!(ended.len() as u64, world.next_id - 1, "something was lost");
        prop_assert!(world.memory.is_empty());
        prop_assert!(world.scheduler.is_idle() && world.scheduler.reactors[0].lanes.is_empty());
    }
}

#[test]
fn a_lane_in_back_off_holds_no_permit_and_stops_no_other_lane() {
    let mut world = World::new(1 << 20, vec![1, 1, 2]);
    (0..3).for_each(|_| world.admit());
    world.act();
    let first = DeliveryId(1);
    assert!(world.running.contains_key(&first) && world.running.contains_key(&DeliveryId(3)));
    assert!(!world.running.contains_key(&DeliveryId(2)), "the second of the lane waits for the first");
    world.running.remove(&first);
    world.give_back(first, Return::Ran(Version(1), Ending::Wait));
    world.act();
    assert!(!world.running.contains_key(&DeliveryId(2)), "the first is in back-off");
    assert_eq!(world.scheduler.reactors[0].running, 1);
}

#[test]
fn a_reactor_with_a_full_queue_does_not_starve_another() {
    let ticket = |reactor, id| Ticket { delivery: DeliveryId(id), reactor, lane: None, bytes: BYTES };
    let spec = ReactorSpec { concurrency: 1, rate: None, breaker: None };
    let mut scheduler = Scheduler::new(&[spec.clone(), spec], 8, 100);
    for reactor in 0..2 {
        scheduler.loaded(reactor, Loaded::Spilled(None, false));
    }
    for id in 0..10 {
        if scheduler.place(0, None) == Place::Memory {
            scheduler.offer(ticket(0, id), Arrival::Fresh);
        }
    }
    assert_eq!(scheduler.place(0, None), Place::Spilled);
    assert!(!scheduler.needs_refill(0) && scheduler.needs_refill(1));
    scheduler.offer(ticket(1, 99), Arrival::Fresh);
    let started = scheduler.tick(HostTime(0));
    assert!(started.contains(&Action::Start { delivery: DeliveryId(99), after: None }), "{started:?}");
}
