use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use reactor_config::model::{Allow, DeadLetterPolicy, DedupPolicy, ReactorConfig, RetryPolicy};
use reactor_core::backoff::Backoff;
use reactor_core::event::{Event, Identity, ReactorId};
use reactor_core::json::Decimal;
use reactor_core::subscription::{Condition, Filter, NumericOp, Pointer, Scalar, TypePattern, Wildcard};

use super::{Match, Routes, naive};

fn reactor(on: &[&str], when: Vec<(&str, Vec<Condition>)>) -> ReactorConfig {
    let pattern = |text: &&str| TypePattern::parse(text).expect("pattern");
    ReactorConfig {
        name: "r".into(),
        module: PathBuf::new().into(),
        build: None,
        from: vec!["shop".into()],
        on: on.iter().map(pattern).collect(),
        when: Filter { fields: when.into_iter().map(|(text, any)| (pointer(text), any)).collect() },
        order_by: None,
        emit: vec![],
        concurrency: 1,
        rate: None,
        timeout: Duration::from_secs(1),
        cpu: Duration::from_secs(1),
        memory: 1,
        allow: Allow::default(),
        config: Default::default(),
        breaker: None,
        retry: RetryPolicy { max_attempts: 1, backoff: Backoff::NONE, max_age: Duration::ZERO },
        dedup: DedupPolicy { window: Duration::ZERO, key: None, off: false },
        dead_letter: DeadLetterPolicy::default(),
    }
}

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).expect("pointer")
}

fn event(event_type: &str, version: u32, data: &str) -> Event {
    Event {
        id: "e".into(),
        event_type: event_type.into(),
        version,
        source: "shop".into(),
        time: None,
        subject: None,
        correlation_id: "e".into(),
        causation_id: None,
        partition_key: Some("p1".into()),
        content_type: "application/json".into(),
        hop: 0,
        trace_parent: None,
        attributes: Vec::new(),
        data: Bytes::from(data.to_owned()),
    }
}

fn number(text: &str) -> Decimal<'static> {
    Decimal::of(text).into_owned()
}

fn equals(text: &str) -> Condition {
    Condition::Equals(Scalar::String(text.into()))
}

fn numbered(configs: &[ReactorConfig]) -> Vec<(ReactorId, &ReactorConfig)> {
    configs.iter().enumerate().map(|(n, config)| (ReactorId(n as u32), config)).collect()
}

fn matching(configs: &[ReactorConfig], event: &Event) -> Vec<Match> {
    let mut matches = Vec::new();
    Routes::compile("shop", &numbered(configs)).matching(event, &mut matches);
    matches
}

fn ids(matches: &[Match]) -> Vec<u32> {
    matches.iter().map(|found| found.reactor.0).collect()
}

#[test]
fn every_reactor_that_wants_an_event_gets_it_once() {
    let configs = [
        reactor(&["order.*", "*.placed", "order.placed", "**"], vec![]),
        reactor(&["order.cancelled"], vec![]),
        reactor(&["order.placed@>=2"], vec![]),
        reactor(&["order.placed@1", "order.placed@2"], vec![]),
        ReactorConfig { from: vec!["other".into()], ..reactor(&["**"], vec![]) },
    ];
    assert_eq!(ids(&matching(&configs, &event("order.placed", 1, "{}"))), [0, 3]);
    assert_eq!(ids(&matching(&configs, &event("order.placed", 2, "{}"))), [0, 2, 3]);
    assert_eq!(ids(&matching(&configs, &event("order", 1, "{}"))), [0]);
}

#[test]
fn a_table_of_values_is_only_a_shortcut() {
    let field = "/data/tenant";
    let mut configs: Vec<_> = (0..50).map(|n| reactor(&["a"], vec![(field, vec![equals(&format!("t{n}"))])])).collect();
    configs.push(reactor(&["a"], vec![(field, vec![equals("t7"), equals("t8")])]));
    configs.push(reactor(&["a"], vec![(field, vec![equals("t7")]), ("/data/x", vec![Condition::Exists(true)])]));
    configs.push(reactor(&["a"], vec![(field, vec![equals("t7"), Condition::Exists(false)])]));
    configs.push(reactor(&["a"], vec![(field, vec![Condition::Equals(Scalar::Number(number("0.0")))])]));
    assert_eq!(ids(&matching(&configs, &event("a", 1, r#"{"tenant":"t7"}"#))), [7, 50, 52]);
    assert_eq!(ids(&matching(&configs, &event("a", 1, r#"{"tenant":["t7","t8","t7"],"x":1}"#))), [7, 8, 50, 51, 52]);
    assert_eq!(ids(&matching(&configs, &event("a", 1, "{}"))), [52]);
    assert_eq!(ids(&matching(&configs, &event("a", 1, r#"{"tenant":-0.0}"#))), [53]);
}

#[test]
fn without_dedup_every_message_is_an_event_of_its_own() {
    let mut config = reactor(&["**"], vec![]);
    config.dedup.key = Some(pointer("/partitionKey"));
    let event = event("a.b", 1, "{}");
    let key = |config: &ReactorConfig, message, part| {
        matching(std::slice::from_ref(config), &event)[0].key(Identity::of(&[b"identity"]), message, part)
    };
    assert_eq!(key(&config, Some("m1"), 0), key(&config, Some("m2"), 1));
    config.dedup.off = true;
    assert_eq!(key(&config, Some("m1"), 0), key(&config, Some("m1"), 0), "delivered twice");
    assert_ne!(key(&config, Some("m1"), 0), key(&config, Some("m2"), 0));
    assert_ne!(key(&config, Some("m1"), 0), key(&config, Some("m1"), 1));
}

#[test]
fn lanes_and_keys_follow_the_value() {
    let mut config = reactor(&["a"], vec![]);
    config.order_by = Some(pointer("/data/order/id"));
    config.dedup.key = Some(pointer("/partitionKey"));
    let configs = [config];
    let of = |data: &str| matching(&configs, &event("a", 1, data))[0];
    let one = of(r#"{"order":{"id":1}}"#);
    assert_eq!(one.lane, of(r#"{"order":{"x":[],"id":1.0}}"#).lane);
    assert_ne!(one.lane, of(r#"{"order":{"id":"1"}}"#).lane);
    assert_ne!(
        of(r#"{"order":{"id":18446744073709551616}}"#).lane,
        of(r#"{"order":{"id":18446744073709551617}}"#).lane
    );
    assert!(one.key.is_some() && one.key != one.lane);
    for absent in ["{}", r#"{"order":{"id":null}}"#, r#"{"order":1}"#] {
        assert_eq!(of(absent).lane, None, "{absent}");
    }
}

#[test]
fn a_route_is_wanted_whatever_its_filter() {
    let configs = [reactor(&["a.*@2"], vec![("/data/x", vec![equals("y")])]), reactor(&["b.**"], vec![])];
    let routes = Routes::compile("shop", &numbered(&configs));
    assert!(routes.wants("a.b", 2) && routes.wants("b.c.d", 9));
    assert!(!routes.wants("a.b", 1) && !routes.wants("b", 1) && !routes.wants("a", 2));
}

/// Small ones, one twice, and two that are one double.
fn numbers() -> impl Strategy<Value = &'static str> {
    const ALL: &[&str] = &["0", "-0.0", "1", "1.0", "1e0", "2", "0.5", "1524831183200260097", "1524831183200260098"];
    proptest::sample::select(ALL)
}

fn scalars() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        "[xy]".prop_map(Scalar::String),
        numbers().prop_map(|text| Scalar::Number(number(text))),
        any::<bool>().prop_map(Scalar::Bool),
        Just(Scalar::Null),
    ]
}

/// What may stand in `anything-but`, too.
fn plain_conditions() -> impl Strategy<Value = Condition> {
    prop_oneof![
        4 => scalars().prop_map(Condition::Equals),
        1 => "[xy]".prop_map(Condition::Prefix),
        1 => "[xy]".prop_map(Condition::Suffix),
        1 => "[xy]".prop_map(Condition::EqualsIgnoreCase),
        1 => "(x|y|xy)?\\*(x|y)?".prop_map(|text| Condition::Wildcard(Wildcard::parse(&text).expect("a wildcard"))),
    ]
}

fn conditions() -> impl Strategy<Value = Condition> {
    let ops = prop_oneof![Just(NumericOp::Less), Just(NumericOp::GreaterOrEqual), Just(NumericOp::Equal)];
    let bounds = proptest::collection::vec((ops, numbers().prop_map(number)), 1..3);
    prop_oneof![
        6 => plain_conditions(),
        1 => bounds.prop_map(Condition::Numeric),
        1 => any::<bool>().prop_map(Condition::Exists),
        1 => proptest::collection::vec(plain_conditions(), 0..3).prop_map(Condition::AnythingBut),
    ]
}

fn reactors() -> impl Strategy<Value = ReactorConfig> {
    let on = proptest::collection::vec("(a|b|\\*)(\\.(a|b|\\*)){0,2}(\\.\\*\\*)?(@[12]|@>=2)?", 1..4);
    let field = prop_oneof![Just("/data/k"), Just("/data/l/0"), Just("/partitionKey"), Just("/data"), Just("/nowhere")];
    let when = proptest::collection::vec((field, proptest::collection::vec(conditions(), 1..3)), 0..3);
    (on, when).prop_map(|(on, when)| {
        let on: Vec<&str> = on.iter().map(String::as_str).collect();
        reactor(&on, when)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_index_decides_as_trying_every_reactor_does(
        configs in proptest::collection::vec(reactors(), 0..12),
        event_type in "(a|b|c)(\\.(a|b|c)){0,3}",
        version in 1u32..4,
        k in "(\"x\"|\"y\"|\"X\"|\"xy\"|0|1|2|1\\.0|0\\.5|152483118320026009[78]|true|null|\\{\"x\":1\\}|\\[\"x\",1\\]|\\[\\])",
        l in "(\\[\"y\"\\]|\\[\\]|\\[2,\"x\"\\]|\"x\")",
        content_type in "(application/json|text/plain)",
    ) {
        let event = Event { content_type, ..event(&event_type, version, &format!("{{\"k\":{k},\"l\":{l}}}")) };
        let expected = naive::matching("shop", &numbered(&configs), &event);
        let found: Vec<ReactorId> = matching(&configs, &event).iter().map(|found| found.reactor).collect();
        prop_assert_eq!(found, expected);
    }
}
