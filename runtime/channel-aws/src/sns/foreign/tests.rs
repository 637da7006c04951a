use std::path::Path;

use serde_json::json;

use super::*;

fn judge(format: &str, on: &[&str], scope: &str, policy: &Value) -> bool {
    let text = format!("[channels.c]\nkind = \"sns\"\ntopic = \"t\"\nqueue = \"q\"\nformat = {format}\n");
    let loaded = reactor_config::parse(&text, Path::new("reactors.toml"), &|_| None, crate::testing::KINDS);
    let config = loaded.map_err(|problems| problems.render(false)).expect("a configuration").config;
    let on: Vec<_> = on.iter().map(|text| TypePattern::parse(text).expect("a pattern")).collect();
    lets_through(scope, policy, &config.channels["c"], &on)
}

#[test]
fn a_wider_policy_is_as_good() {
    let native =
        |on: &[&str], conditions: Value| judge("\"native\"", on, "MessageBody", &json!({ "eventType": conditions }));
    for (on, conditions, expected) in [
        (&["order.placed"][..], json!(["order.placed", "order.paid"]), true),
        (&["order.placed"], json!(["order.paid"]), false),
        (&["order.placed", "order.paid"], json!(["order.placed"]), false),
        (&["order.placed"], json!([{ "prefix": "order" }]), true),
        (&["order.*"], json!([{ "prefix": "order" }]), true),
        (&["order.*"], json!([{ "prefix": "order.p" }]), false),
        (&["order.**"], json!(["order.placed", "order.paid"]), false),
        (&["*.paid"], json!([{ "suffix": "paid" }]), true),
        (&["*.paid"], json!([{ "prefix": "order" }]), false),
        (&["order.**"], json!([{ "wildcard": "ord*" }]), true),
        (&["order.**"], json!([{ "wildcard": "ord*d" }]), false),
        (&["order.placed"], json!([{ "wildcard": "ord*d" }]), true),
        (&["Order.placed"], json!([{ "equals-ignore-case": "order.Placed" }]), true),
        (&["order.placed"], json!([{ "anything-but": ["order.paid", 5] }]), true),
        (&["order.*"], json!([{ "anything-but": ["order.paid"] }]), false),
        (&["order.*"], json!([{ "anything-but": { "prefix": "invoice." } }]), true),
        (&["order.*"], json!([{ "anything-but": { "prefix": "order.p" } }]), false),
        (&["**"], json!([{ "exists": true }]), true),
        (&["**"], json!([{ "prefix": "" }]), false),
        (&["order.placed"], json!([{ "exists": false }]), false),
        (&["order.placed"], json!("order.placed"), false),
    ] {
        assert_eq!(native(on, conditions.clone()), expected, "{on:?} {conditions}");
    }
}

#[test]
fn what_asks_for_more_or_looks_elsewhere_is_not() {
    let wanted = json!({ "eventType": ["a"] });
    assert!(judge("\"native\"", &["a"], "MessageBody", &wanted));
    assert!(judge("\"native\"", &["a"], "MessageBody", &json!({})));
    assert!(judge("\"auto\"", &["a"], "MessageAttributes", &json!({})));
    for (format, scope, policy) in [
        ("\"native\"", "MessageAttributes", wanted.clone()),
        ("\"auto\"", "MessageBody", wanted.clone()),
        ("\"eventbridge\"", "MessageBody", wanted),
        ("\"native\"", "MessageBody", json!({ "eventType": ["a"], "source": ["shop"] })),
        ("\"native\"", "MessageBody", json!({ "eventType": { "a": ["a"] } })),
        ("\"native\"", "MessageBody", json!(null)),
        ("{ raw = { type = { pointer = \"/types/0\" } } }", "MessageBody", json!({ "types": { "0": ["a"] } })),
        ("{ raw = { type = { pointer = \"/types/0\" } } }", "MessageBody", json!({ "types": ["a"] })),
    ] {
        assert!(!judge(format, &["a"], scope, &policy), "{format} {scope} {policy}");
    }
}
