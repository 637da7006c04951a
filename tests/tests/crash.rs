//! kill -9 at random moments: every accepted event is done exactly once afterwards.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reactor_tests::{Sandbox, added, counts};

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
