//! What the program does about a damaged store.

use reactor_tests::{Sandbox, added};

/// Flips a bit behind `text` wherever in the store that stands behind something else than `not_after`.
fn spoil(sandbox: &Sandbox, text: &str, not_after: u8) {
    let file = sandbox.path(".reactor/reactor.db");
    let mut bytes = std::fs::read(&file).expect("the store");
    let places: Vec<usize> = (1..bytes.len() - text.len())
        .filter(|at| bytes[*at..].starts_with(text.as_bytes()) && bytes[at - 1] != not_after)
        .collect();
    assert!(!places.is_empty(), "`{text}` is not in the store");
    for at in places {
        bytes[at + text.len()] ^= 1;
    }
    std::fs::write(file, bytes).expect("the store");
}

#[test]
fn state_that_is_damaged_ends_the_host_and_not_the_event() {
    let sandbox = Sandbox::tally("");
    let accounts: Vec<String> =
        (0..600).map(|number| added(number, &format!("acc-{number}-{}", "x".repeat(40)), 1)).collect();
    sandbox.publish("in", &accounts);
    sandbox.until_idle();
    // In the middle of the table, where nobody looks at the start.
    spoil(&sandbox, "acc-300-", b'"');
    sandbox.publish("in", &[added(1_000, &format!("acc-300-{}", "x".repeat(40)), 1)]);
    let told = sandbox.run(&["up", "--until-idle"]).code(5);
    let told = told.says("reactor.db is damaged: page").says("(byte").says("reactor store verify");
    assert!(!told.stderr.contains("dead letter"), "{}", told.stderr);
    assert!(sandbox.dead(&[]).is_empty(), "the event is not to blame");

    let told = sandbox.run(&["store", "verify"]).code(5);
    assert!(told.stdout.contains("reactor.db: page ") && told.stdout.contains("damaged places"), "{}", told.stdout);
    let report = sandbox.run(&["store", "verify", "--json"]).code(5).json();
    assert!(report["damage"][0]["byte"].as_u64().is_some_and(|byte| byte % 4_096 == 0), "{report}");

    let told = sandbox.run(&["store", "accept-loss"]).ok();
    assert!(told.stdout.contains("transactions lost: 0") && told.stdout.contains("used as it is"), "{}", told.stdout);
    sandbox.run(&["store", "verify"]).ok();
    assert_eq!(sandbox.until_idle()["reactors"][0]["done"], 601);
}

#[test]
fn a_damaged_log_is_refused_by_every_command() {
    let sandbox = Sandbox::tally("");
    sandbox.run(&["up", "--until-idle"]).ok();
    let up = sandbox.up(&[]);
    sandbox.publish("in", &(0..20).map(|number| added(number, "a", 1)).collect::<Vec<_>>());
    up.kill();
    let file = sandbox.path(".reactor/reactor.db-wal");
    let mut bytes = std::fs::read(&file).expect("the log");
    // In the first frame: what is behind may be left over from an earlier round of the log.
    bytes[32 + 24 + 500] ^= 1;
    std::fs::write(&file, &bytes).expect("the log");
    for command in [&["up", "--until-idle"][..], &["dead", "list"], &["log", "tail", "in"]] {
        sandbox.run(command).code(5).says("reactor.db-wal is damaged: frame").says("accept-loss");
    }
    sandbox.run_with(&["publish", "in"], b"{}").code(5).says("reactor.db-wal is damaged");
    assert_eq!(std::fs::read(&file).expect("the log"), bytes, "nothing was changed");
    let accepted = sandbox.run(&["store", "accept-loss", "--json"]).ok().json();
    assert!(accepted["accepted"]["transactionsLost"].is_u64(), "{accepted}");
    assert!(
        std::path::Path::new(accepted["accepted"]["kept"].as_str().expect("a folder")).join("reactor.db-wal").exists()
    );
    sandbox.until_idle();
    sandbox.run(&["store", "accept-loss"]).ok();
}
