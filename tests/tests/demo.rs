//! The order flow of `examples/orders`, with its exact totals.

use reactor_tests::{Ran, Sandbox, counts, guest, root};
use serde_json::{Value, json};

fn publish(sandbox: &Sandbox) -> Ran {
    let events = root().join("examples/orders/events.jsonl");
    sandbox.run(&["--json", "publish", "shop", events.to_str().expect("a path in UTF-8")]).ok()
}

/// delivered, done, retried, duplicates, dead, emitted
fn totals(summary: &Value, reactor: &str) -> [u64; 6] {
    let counts = counts(summary, reactor);
    assert_eq!((&counts["active"], &counts["waiting"]), (&json!(0), &json!(0)), "{summary}");
    ["delivered", "done", "retried", "duplicates", "dead", "emitted"]
        .map(|name| counts[name].as_u64().unwrap_or_else(|| panic!("no {name} in {summary}")))
}

#[test]
fn every_event_is_accounted_for() {
    let sandbox = Sandbox::demo();
    let published = publish(&sandbox).json();
    let summary = sandbox.until_idle();
    assert_eq!(totals(&summary, "analytics"), [165, 164, 2, 3, 1, 0]);
    assert_eq!(totals(&summary, "inventory"), [36, 35, 0, 3, 1, 33]);
    assert_eq!(totals(&summary, "notifications"), [98, 98, 0, 3, 0, 66]);
    // Two slow orders are retried once, two flaky ones twice, and one whose gateway is down three times.
    assert_eq!(totals(&summary, "payments"), [30, 28, 2 + 2 * 2 + 3, 0, 2, 28]);
    let emitted = 33 + 66 + 28;
    assert_eq!(summary["published"], json!([["shop", published["accepted"].as_u64().expect("a count") + emitted]]));
    assert_eq!(summary["published"], json!([["shop", 170]]));
    assert_eq!((&summary["invalid"], &summary["unrouted"]), (&json!(2), &json!(0)));
    assert_eq!(
        summary["deadByReason"],
        json!([
            { "reactor": "-", "reason": "invalid-event", "count": 2 },
            { "reactor": "analytics", "reason": "trap", "count": 1 },
            { "reactor": "inventory", "reason": "rejected", "count": 1 },
            { "reactor": "payments", "reason": "rejected", "count": 1 },
            { "reactor": "payments", "reason": "retries-exhausted", "count": 1 },
        ])
    );
    state_adds_up(&sandbox);
    dead_letters_tell_why(&sandbox);
    publishing_it_again_changes_nothing(&sandbox, &summary);
}

/// Analytics' counts agree with what the log holds, and its revenue with what payments captured.
fn state_adds_up(sandbox: &Sandbox) {
    let store = sandbox.store();
    let mut select = store.prepare("SELECT CAST(body AS TEXT) FROM log_1").expect("the log of the only channel");
    let bodies = select.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    let events: Vec<Value> =
        bodies.filter_map(|body| serde_json::from_str(&body.expect("a row")).ok()).filter(Value::is_object).collect();
    let captured: Vec<&Value> = events.iter().filter(|event| event["eventType"] == "payment.captured").collect();
    assert_eq!(captured.len(), 28);
    for currency in ["EUR", "USD"] {
        let paid = captured.iter().map(|event| &event["data"]).filter(|data| data["currency"] == currency);
        let sum: u64 = paid.map(|data| data["amountCents"].as_u64().expect("an amount")).sum();
        assert!(sum > 0, "nothing was paid in {currency}");
        assert_eq!(sandbox.state("analytics", &format!("revenue:{currency}")), Some(sum.to_string()));
    }
    assert_eq!(sandbox.state("analytics", "count:payment.captured").as_deref(), Some("28"));
    assert_eq!(sandbox.state("analytics", "count:notification.sent").as_deref(), Some("66"));
    // An emitted event names what caused it.
    for event in captured {
        let cause = events.iter().find(|other| other["eventId"] == event["causationId"]);
        let cause = cause.unwrap_or_else(|| panic!("nothing caused {event}"));
        assert_eq!(cause["correlationId"], event["correlationId"]);
        assert_eq!(cause["eventType"], "inventory.reserved");
    }
}

fn dead_letters_tell_why(sandbox: &Sandbox) {
    let down = sandbox.dead(&["--reactor", "payments", "--reason", "retries-exhausted"]);
    assert_eq!(down.len(), 1);
    assert_eq!(down[0]["correlationId"], "flow-o-113-down");
    assert_eq!(down[0]["eventType"], "inventory.reserved");
    let attempts = down[0]["attempts"].as_array().expect("a list");
    assert_eq!(attempts.iter().map(|attempt| &attempt["code"]).collect::<Vec<_>>(), ["retry"; 4]);
    for invalid in sandbox.dead(&["--reason", "invalid-event"]) {
        assert_eq!(invalid["reactor"], Value::Null);
    }
    let trap = sandbox.dead(&["--reactor", "analytics"]);
    let shown = sandbox.run(&["dead", "show", &trap[0]["id"].to_string()]).ok().stdout;
    for expected in ["trap", "example_analytics::count", "attempt to divide by zero", "attempt 3", "order.placed"] {
        assert!(shown.contains(expected), "`{expected}` is not in:\n{shown}");
    }
}

fn publishing_it_again_changes_nothing(sandbox: &Sandbox, before: &Value) {
    let revenue = sandbox.state("analytics", "revenue:EUR");
    publish(sandbox);
    let after = sandbox.until_idle();
    assert_eq!(sandbox.state("analytics", "revenue:EUR"), revenue);
    for reactor in ["analytics", "inventory", "notifications", "payments"] {
        let ([old @ .., _, _, _], [new @ .., _, _, _]) = (totals(before, reactor), totals(&after, reactor));
        assert_eq!(old, new, "{reactor}");
    }
}

/// The lines of a configuration from the first reactor on, less what has to differ.
fn reactors(config: &str) -> Vec<&str> {
    let at = config.find("[reactors.").expect("a reactor");
    let tables = config[at..].split("\n\n").filter(|table| !table.contains(".dead-letter]"));
    let differs = |line: &&str| line.starts_with("module = ") || line.starts_with("build = ");
    tables.flat_map(str::lines).filter(|line| !differs(line)).collect()
}

#[test]
fn the_flow_on_localstack_has_the_same_reactors() {
    let read =
        |name: &str| std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let config = read("examples/orders/localstack.toml");
    assert_eq!(reactors(&config), reactors(&read("reactors.toml")));
    let sandbox = Sandbox::new(&config);
    for reactor in ["analytics", "inventory", "notifications", "payments"] {
        let module = format!("example_{reactor}");
        std::fs::copy(guest(&module.replace('_', "-")), sandbox.path(&format!("{module}.wasm"))).expect("a copy");
    }
    sandbox.run(&["check"]).ok();
}
