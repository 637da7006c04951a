//! kill -9 at random moments: every accepted event is done exactly once afterwards.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reactor_tests::{Sandbox, added, counts, mood};
use serde_json::json;

const ACCOUNTS: usize = 20;
const BATCH: usize = 400;

/// How often to kill; more on request, to measure.
fn kills() -> usize {
    std::env::var("REACTOR_KILLS").map_or(6, |count| count.parse().expect("REACTOR_KILLS is a number"))
}

/// A little randomness: when to kill.
fn jitter(below: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    Duration::from_millis(u64::from(now.subsec_nanos()) / 1_000 % below)
}

/// What each account should have, and has.
fn totals(sandbox: &Sandbox) -> Vec<(String, u64)> {
    let store = rusqlite::Connection::open(sandbox.path(".reactor/reactor.db")).expect("the store");
    let mut select = store.prepare("SELECT key, value FROM state ORDER BY key").expect("its state table");
    let rows = select.query_map([], |row| {
        let value: Vec<u8> = row.get(1)?;
        let value = String::from_utf8(value).expect("JSON");
        Ok((row.get(0)?, value.parse().expect("a number")))
    });
    rows.expect("rows").collect::<Result<_, _>>().expect("rows")
}

fn kill_again_and_again(extra: &str) {
    // Attempts cut short count, so an unlucky event needs more of them than there are kills.
    let kills = kills();
    let retry = format!("\n[reactors.tally.retry]\nmax-attempts = {}\ninitial = \"20ms\"\n", kills + 5);
    let sandbox = Sandbox::tally(&format!("{extra}{retry}"));
    let mut expected = vec![0_u64; ACCOUNTS];
    let (mut id, mut progress) = (0, Vec::new());
    for _ in 0..kills {
        let up = sandbox.up(&[]);
        let mut lines = String::new();
        for _ in 0..BATCH {
            lines += &added(id, &format!("a{:02}", id % ACCOUNTS), id);
            lines.push('\n');
            // Every tenth is published twice.
            if id % 10 == 0 {
                lines += &added(id, &format!("a{:02}", id % ACCOUNTS), id);
                lines.push('\n');
            }
            expected[id % ACCOUNTS] += id as u64;
            id += 1;
        }
        sandbox.run_with(&["publish", "in"], lines.as_bytes()).ok();
        std::thread::sleep(jitter(150));
        up.kill();
        progress.push(totals(&sandbox).iter().map(|(_, total)| total).sum::<u64>());
    }
    let summary = sandbox.until_idle();
    let found: Vec<u64> = totals(&sandbox).into_iter().map(|(_, total)| total).collect();
    assert_eq!(found, expected, "{summary}");
    let tally = counts(&summary, "tally");
    assert_eq!(tally["done"], id, "{summary}");
    assert_eq!(tally["duplicates"], kills * BATCH / 10, "{summary}");
    assert_eq!((&tally["dead"], &tally["active"]), (&0.into(), &0.into()), "{summary}");
    // A run that did nothing before it was killed also loses nothing.
    assert!(progress.iter().any(|sum| *sum > 0), "no host got anywhere before it was killed");
    eprintln!("{kills} kills, {id} events, sums at the kills {progress:?}, retried {}", tally["retried"]);
}

#[test]
fn nothing_is_lost_or_done_twice() {
    kill_again_and_again("");
}

#[test]
fn nor_in_lanes() {
    kill_again_and_again("order-by = \"/data/account\"");
}

const KEYS: usize = 3;

/// A host that orders by key, with enough events of each key for a kill to find some under way; of every `failing` events, one fails at first.
fn ordered(events: usize, failing: Option<usize>, extra: &str) -> Sandbox {
    let sandbox = Sandbox::moody(&format!("order-by = \"/data/key\"\n{extra}"));
    let event = |n: usize| {
        let fails = failing.is_some_and(|every| n.is_multiple_of(every));
        let wish = if fails { "retry" } else { "ok" };
        mood(&format!("m{n:04}"), &json!({ "do": wish, "times": 1, "key": format!("k{}", n % KEYS) }))
    };
    sandbox.publish("in", &(0..events).map(event).collect::<Vec<_>>());
    sandbox
}

/// Which events of a key have been done, in the order in which they were; the log has them in the order of their ids.
fn done(sandbox: &Sandbox, key: usize) -> Vec<String> {
    let list = sandbox.state("moody", &format!("k{key}"));
    list.map_or_else(Vec::new, |list| serde_json::from_str(&list).expect("a list of ids"))
}

fn published(events: usize, key: usize) -> Vec<String> {
    (0..events).filter(|n| n % KEYS == key).map(|n| format!("m{n:04}")).collect()
}

/// Deliveries that have not ended.
fn left(sandbox: &Sandbox) -> i64 {
    sandbox.store().query_row("SELECT count(*) FROM deliveries", [], |row| row.get(0)).expect("a count")
}

/// Kills a host at work, again and again, and answers how many events were done each time.
fn kill_at_work(sandbox: &Sandbox, kills: usize) -> Vec<usize> {
    let kill = |_| {
        let up = sandbox.up(&[]);
        std::thread::sleep(jitter(150));
        up.kill();
        (0..KEYS).map(|key| done(sandbox, key).len()).sum()
    };
    (0..kills).map(kill).collect()
}

#[test]
fn each_key_keeps_its_order_over_kills() {
    let events = 900;
    let policy = "[reactors.moody.retry]\nmax-attempts = 1000\ninitial = \"20ms\"\nmax = \"200ms\"\n";
    let mut progress = Vec::new();
    for round in 0..kills() {
        // A healthy guest, killed once; and one that fails now and then, killed twice.
        let failing = (round % 2 == 1).then_some(7);
        let sandbox = ordered(events, failing, policy);
        let before = kill_at_work(&sandbox, 1 + round % 2);
        let summary = sandbox.until_idle();
        assert_eq!(left(&sandbox), 0, "round {round}: it ended although there is something left: {summary}");
        for key in 0..KEYS {
            assert_eq!(
                done(&sandbox, key),
                published(events, key),
                "round {round}, killed after {before:?}: {summary}"
            );
        }
        progress.extend(before);
    }
    // A kill before or after all the work shows nothing.
    let at_work = progress.iter().filter(|done| (1..events).contains(done)).count();
    assert!(at_work > 0, "no host was killed at work");
    eprintln!("{} kills, {at_work} of them while events were under way", progress.len());
}

#[test]
fn a_kill_parks_no_key_before_earlier_events() {
    let events = 900;
    let policy =
        "[reactors.moody.retry]\nmax-attempts = 1\n[reactors.moody.dead-letter]\non-exhausted = \"park-key\"\n";
    let mut parked = 0;
    for round in 0..kills() {
        let sandbox = ordered(events, None, policy);
        kill_at_work(&sandbox, 1);
        sandbox.until_idle();
        let dead = sandbox.dead(&[]);
        for key in 0..KEYS {
            let (done, all) = (done(&sandbox, key), published(events, key));
            assert_eq!(done, all[..done.len()], "round {round}: out of order");
            let next = all.get(done.len());
            let letters = dead.iter().filter_map(|letter| letter["eventId"].as_str());
            let letters: Vec<&str> = letters.filter(|id| all.iter().any(|one| one == id)).collect();
            assert_eq!(letters, next.map(String::as_str).into_iter().collect::<Vec<_>>(), "round {round}: {dead:?}");
        }
        parked += dead.len();
        if !dead.is_empty() {
            sandbox.run(&["dead", "redrive", "--all"]).ok();
        }
        sandbox.until_idle();
        assert_eq!(left(&sandbox), 0);
        (0..KEYS)
            .for_each(|key| assert_eq!(done(&sandbox, key), published(events, key), "round {round}: after redrive"));
    }
    eprintln!("{parked} keys were parked");
}
