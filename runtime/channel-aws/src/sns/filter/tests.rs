use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use reactor_core::attribute::Attribute as Carried;
use reactor_core::event::Message;
use reactor_host::decode::{Settings, decode};

use super::*;
use crate::sns::emulated::{Attribute, Kind, assert_allowed, passes};
use crate::sns::foreign::lets_through;

fn channel(extra: &str) -> ChannelConfig {
    let text = format!("[channels.c]\nkind = \"sns\"\ntopic = \"t\"\nqueue = \"q\"\n{extra}\n");
    let loaded = reactor_config::parse(&text, Path::new("reactors.toml"), &|_| None, crate::testing::KINDS);
    loaded.map_err(|problems| problems.render(false)).expect("a configuration").config.channels["c"].clone()
}

fn patterns(on: &[impl AsRef<str>]) -> Vec<TypePattern> {
    on.iter().map(|text| TypePattern::parse(text.as_ref()).expect("a pattern")).collect()
}

fn policy(extra: &str, on: &[&str]) -> Option<FilterPolicy> {
    filter_policy(&channel(extra), &patterns(on))
}

const NATIVE: &str = "format = \"native\"";

#[test]
fn each_format_has_its_place() {
    let found = policy(NATIVE, &["order.placed@2", "order.**", "a.*.c", "*.paid", "order.**"]).expect("a policy");
    let types = json!(["order.placed", { "prefix": "order." }, { "prefix": "a." }, { "suffix": ".paid" }]);
    assert_eq!((found.scope, &found.policy), ("MessageBody", &json!({ "eventType": types })));
    let eventbridge = policy("format = \"eventbridge\"", &["a.b"]).expect("a policy");
    assert_eq!(eventbridge.policy, json!({ "detail-type": ["a.b"] }));
    let by_attribute = "format = { raw = { type = { attribute = \"kind\" } } }";
    let found = policy(by_attribute, &["a"]).expect("a policy");
    assert_eq!((found.scope, found.policy), ("MessageAttributes", json!({ "kind": ["a"] })));
    let nested = policy("format = { raw = { type = { pointer = \"/meta/type\" } } }", &["a"]).expect("a policy");
    assert_eq!(nested.policy, json!({ "meta": { "type": ["a"] } }));
    for (extra, on) in [
        ("", "a"),
        ("format = \"cloudevents\"", "a"),
        ("format = \"native\"\nunrouted = \"dead-letter\"", "a"),
        (NATIVE, "**"),
        (NATIVE, "*.*"),
        ("format = { raw = { type = \"a\" } }", "a"),
    ] {
        assert_eq!(policy(extra, &[on]), None, "{extra} {on}");
    }
    assert_eq!(policy(NATIVE, &["a", "**"]), None, "one that wants all wants all");
}

#[test]
fn what_sns_sees_otherwise_has_no_policy() {
    let pointer = |pointer: &str| {
        // A dollar sign begins a variable in the configuration.
        format!("format = {{ raw = {{ type = {{ pointer = '{}' }} }} }}", pointer.replace('$', "$$"))
    };
    for path in ["/messageType/0", "/m/12/t", "/", "/m//t", "/$or/t", "/a.b", "/a\"b", "/1/2/3/4/5/6", "/a/b/c/d/e/f"] {
        assert_eq!(policy(&pointer(path), &["a"]), None, "{path}");
    }
    let attribute = "format = { raw = { type = { attribute = \"event.kind\" } } }";
    for (extra, on, why) in [
        (pointer("/t"), "15", "a number's digits are a type"),
        (pointer("/t"), "1.*", "a number has a point"),
        (pointer("/t"), "*.5e3", "a number has an exponent"),
        (attribute.to_owned(), "-1", "an attribute may be a number"),
        (attribute.to_owned(), "[a", "an attribute may be a list, whose text is the type"),
        (attribute.to_owned(), "*.a]", "an attribute may be a list, whose text is the type"),
        (attribute.to_owned(), "abcd", "an attribute may be bytes, whose base64 is the type"),
        (attribute.to_owned(), "a\\b.c", "SNS wants it escaped twice"),
    ] {
        assert_eq!(policy(&extra, &["order.placed", on]), None, "{on}: {why}");
    }
    assert!(
        policy(attribute, &["order.placed", "order.**"]).is_some(),
        "dots are no levels in the name of an attribute"
    );
}

/// The first element of a list, as MassTransit sends it.
#[test]
fn a_type_in_a_list_comes_through() {
    const CONFIG: &str = include_str!("../../../../../tests/field/sns/type-in-an-array.toml");
    const BODY: &str = include_str!("../../../../../tests/field/sns/type-in-an-array.json");
    let loaded = reactor_config::parse(CONFIG, Path::new("reactors.toml"), &|_| None, crate::testing::KINDS);
    let config = loaded.map_err(|problems| problems.render(false)).expect("a configuration").config;
    let (channel, on) = (&config.channels["contracts"], &config.reactors["seen"].on);
    assert!(is_wanted(channel, on, BODY, &[]));
    assert_eq!(filter_policy(channel, on), None);
    let by_place = json!({ "messageType": { "0": ["urn:message:Shop.Contracts:OrderSubmitted"] } });
    assert!(!passes("MessageBody", &by_place, BODY, &[]), "SNS has no places");
    assert!(!lets_through("MessageBody", &by_place, channel, on), "so it is no good");
}

#[test]
fn the_limits_of_sns_are_kept() {
    let many = |count: usize| (0..count).map(|n| format!("order.t{n}")).collect::<Vec<_>>();
    let deep = channel("format = { raw = { type = { pointer = \"/a/b/c\" } } }");
    for (channel, most) in [(&channel(NATIVE), 150), (&deep, 50)] {
        let found = filter_policy(channel, &patterns(&many(most))).expect("a policy");
        assert_allowed(found.scope, &found.policy);
        assert_eq!(filter_policy(channel, &patterns(&many(most + 1))), None, "{most} are the most");
    }
    let long: Vec<String> = (0..100).map(|n| format!("order.t{n}{}", "x".repeat(3_000))).collect();
    assert_eq!(filter_policy(&channel(NATIVE), &patterns(&long)), None);
}

/// Words for types and patterns; the odd ones are parts of numbers or lists, or valid base64.
fn word() -> impl Strategy<Value = &'static str> {
    const PLAIN: &[&str] = &["a", "b", "x y"];
    const ODD: &[&str] = &["abcd", "1", "5", "1e5", "-1", "[1", "5]", "[\"a\"]"];
    prop_oneof![6 => select(PLAIN), 1 => select(ODD)]
}

fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(word(), 1..4).prop_map(|words| words.join("."))
}

fn on() -> impl Strategy<Value = Vec<String>> {
    let segment = prop_oneof![4 => word(), 1 => Just("*")];
    let pattern = (prop::collection::vec(segment, 1..4), prop::bool::weighted(0.2), select(&["", "@1", "@>=1"][..]));
    let pattern = pattern.prop_map(|(words, rest, version)| words.join(".") + if rest { ".**" } else { "" } + version);
    prop::collection::vec(pattern, 1..4)
}

/// Types that one of the patterns matches.
fn wanted(on: &[String]) -> impl Strategy<Value = String> + use<> {
    (select(on.to_vec()), prop::collection::vec(word(), 4)).prop_map(|(pattern, words)| {
        let path = pattern.split('@').next().unwrap_or_default().replace("**", "*");
        let filled = path.split('.').zip(words).map(|(own, word)| if own == "*" { word } else { own });
        filled.collect::<Vec<_>>().join(".")
    })
}

/// The value in place of the type.
fn type_value(on: &[String]) -> impl Strategy<Value = String> + use<> {
    const NUMBERS: &[&str] = &["1", "5", "15", "1.5", "1e5", "-1", "1.50", "12345678901234567890"];
    let text = prop_oneof![4 => wanted(on), 1 => words()].prop_map(|text| json!(text).to_string());
    prop_oneof![
        8 => text,
        2 => select(NUMBERS).prop_map(str::to_owned),
        1 => wanted(on).prop_map(|text| json!([text]).to_string()),
        1 => select(&["null", "true", "{}", "[]", "\"\""][..]).prop_map(str::to_owned),
    ]
}

/// Pointers of a raw format, as written in a file, and bodies in which they find a value.
const POINTERS: &[(&str, &[&str])] = &[
    ("/t", &[r#"{"t":TYPE}"#]),
    ("/t/0", &[r#"{"t":[TYPE,"a"]}"#, r#"{"t":{"0":TYPE}}"#]),
    ("/m/t", &[r#"{"m":{"t":TYPE}}"#, r#"{"m":[{"t":TYPE}]}"#]),
    ("/m/0/t", &[r#"{"m":[{"t":TYPE}]}"#, r#"{"m":{"0":{"t":TYPE}}}"#]),
    ("/a.b", &[r#"{"a.b":TYPE}"#]),
    ("/a/b", &[r#"{"a":{"b":TYPE}}"#, r#"{"a.b":TYPE}"#]),
    ("/$$or/t", &[r#"{"$or":{"t":TYPE}}"#]),
    ("/", &[r#"{"":TYPE}"#]),
];

/// The format of a channel, a body in which it may find a type, and the keys that lead to it.
fn format() -> impl Strategy<Value = (String, String, Vec<String>)> {
    let keys = |pointer: &str| pointer.replace("$$", "$").split('/').skip(1).map(str::to_owned).collect::<Vec<_>>();
    let raw = |origin: &str| format!("format = {{ raw = {{ type = {{ {origin} }} }} }}");
    let native = r#"{"eventId":"1","eventType":TYPE,"source":"s","data":1}"#;
    let eventbridge = r#"{"id":"1","detail-type":TYPE,"source":"s","detail":{}}"#;
    let pointed = select(POINTERS).prop_flat_map(|(pointer, bodies)| (Just(pointer), select(bodies)));
    prop_oneof![
        2 => Just((NATIVE.to_owned(), native.to_owned(), vec!["eventType".to_owned()])),
        2 => Just(("format = \"eventbridge\"".to_owned(), eventbridge.to_owned(), vec!["detail-type".to_owned()])),
        4 => pointed.prop_map(move |(pointer, body)| {
            (raw(&format!("pointer = '{pointer}'")), body.to_owned(), keys(pointer))
        }),
        4 => select(&["kind", "k.d"][..]).prop_map(move |name| {
            (raw(&format!("attribute = '{name}'")), "{}".to_owned(), vec![name.to_owned()])
        }),
    ]
}

fn attributes(on: &[String]) -> impl Strategy<Value = Vec<Attribute>> + use<> {
    let text = prop_oneof![
        6 => wanted(on).prop_map(|text| (Kind::String, text)),
        2 => select(&["1", "1.5", "1e5", "-1"][..]).prop_map(|text| (Kind::Number, text.to_owned())),
        2 => select(&["[1]", "[\"a\"]", "[1.5]", "[\"a\",\"b\"]"][..]).prop_map(|text| (Kind::StringArray, text.to_owned())),
        1 => Just((Kind::Binary, "abcd".to_owned())),
    ];
    let attribute = (select(&["kind", "k.d"][..]), text);
    prop::collection::vec(attribute, 0..3).prop_map(|all| {
        let named = |(name, (kind, text)): (&str, _)| Attribute { name: name.to_owned(), kind, text };
        let mut all: Vec<_> = all.into_iter().map(named).collect();
        all.dedup_by(|one, other| one.name == other.name);
        all
    })
}

/// A channel, what its reactors want, and a message.
#[derive(Clone, Debug)]
struct Case {
    format: String,
    /// Where the type should be.
    keys: Vec<String>,
    on: Vec<String>,
    body: String,
    attributes: Vec<Attribute>,
}

fn cases() -> impl Strategy<Value = Case> {
    (format(), on()).prop_flat_map(|((format, body, keys), on)| {
        (type_value(&on), attributes(&on)).prop_map(move |(value, attributes)| Case {
            format: format.clone(),
            keys: keys.clone(),
            on: on.clone(),
            body: body.replace("TYPE", &value),
            attributes,
        })
    })
}

/// Whether the host would give one of the events of a message to a reactor.
fn is_wanted(channel: &ChannelConfig, on: &[TypePattern], body: &str, attributes: &[Attribute]) -> bool {
    let mut message = Message::from_body(body.to_owned());
    let received = |found: &Attribute| {
        let (name, text) = (found.name.clone(), found.text.clone());
        match found.kind {
            Kind::String => Carried::text(name, text),
            Kind::Number => Carried::typed(name, "Number", text),
            Kind::StringArray => Carried::typed(name, "String.Array", text),
            Kind::Binary => Carried::base64(name, "Binary", text),
        }
    };
    message.attributes = attributes.iter().map(received).collect();
    let decoded = decode(&message, &Settings::new(channel)).map(|contents| contents.events).unwrap_or_default();
    decoded.iter().any(|found| on.iter().any(|on| on.matches(&found.event.event_type, found.event.version)))
}

/// A condition as others write them, about the types of a pattern or others.
fn condition(on: &[String]) -> impl Strategy<Value = Value> + use<> {
    let text = || prop_oneof![3 => wanted(on), 1 => words()];
    // Any number of bytes that does not split a character.
    let start = || (text(), 0..4_usize).prop_map(|(text, at)| text.get(..at).unwrap_or(&text).to_owned());
    let end = || (text(), 0..4_usize).prop_map(|(text, at)| text.get(at..).unwrap_or(&text).to_owned());
    prop_oneof![
        3 => text().prop_map(Value::from),
        3 => start().prop_map(|text| json!({ "prefix": text })),
        3 => end().prop_map(|text| json!({ "suffix": text })),
        1 => text().prop_map(|text| json!({ "equals-ignore-case": text.to_uppercase() })),
        2 => start().prop_map(|text| json!({ "wildcard": format!("{text}*") })),
        1 => end().prop_map(|text| json!({ "wildcard": format!("*{text}") })),
        1 => (start(), end()).prop_map(|(start, end)| json!({ "wildcard": format!("{start}*{end}") })),
        1 => Just(json!({ "exists": true })),
        1 => Just(json!({ "exists": false })),
        2 => prop::collection::vec(text(), 1..3).prop_map(|texts| json!({ "anything-but": texts })),
        1 => start().prop_map(|text| json!({ "anything-but": { "prefix": text } })),
        1 => end().prop_map(|text| json!({ "anything-but": { "suffix": text } })),
    ]
}

/// A case with a policy that someone else has set.
fn foreign_cases() -> impl Strategy<Value = (Case, &'static str, Value)> {
    let cases = cases().prop_flat_map(|case| {
        let conditions = prop::collection::vec(condition(&case.on), 1..5);
        (Just(case), conditions, 0..10, prop::bool::weighted(0.1))
    });
    cases.prop_map(|(case, conditions, odd, elsewhere)| {
        let is_attribute = case.format.contains("attribute") != elsewhere;
        let scope = if is_attribute { "MessageAttributes" } else { "MessageBody" };
        let keys = if is_attribute { &case.keys[..1] } else { &case.keys[..] };
        let mut policy = keys.iter().rev().fold(Value::Array(conditions), |inner, key| json!({ key.as_str(): inner }));
        if odd == 0 {
            policy["other"] = json!(["a"]);
        }
        (case, scope, policy)
    })
}

/// Runs a property and requires that it was really exercised.
fn often<S: Strategy>(strategy: &S, least: u32, judge: impl Fn(S::Value) -> Result<bool, TestCaseError>) {
    let (cases, tested) = (20_000, std::cell::Cell::new(0));
    let result =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() }).run(strategy, |value| {
            tested.set(tested.get() + u32::from(judge(value)?));
            Ok(())
        });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(tested.get() >= least, "only {} of {cases} cases had something to pass", tested.get());
}

#[test]
fn what_the_host_would_take_passes_the_policy_that_it_made() {
    often(&cases(), 2_000, |case| {
        let (channel, on) = (channel(&case.format), patterns(&case.on));
        let Some(made) = filter_policy(&channel, &on) else { return Ok(false) };
        assert_allowed(made.scope, &made.policy);
        prop_assert!(lets_through(made.scope, &made.policy, &channel, &on), "its own: {}", made.policy);
        let wanted = is_wanted(&channel, &on, &case.body, &case.attributes);
        let passed = passes(made.scope, &made.policy, &case.body, &case.attributes);
        prop_assert!(passed || !wanted, "{} does not let it through", made.policy);
        Ok(wanted)
    });
}

#[test]
fn what_the_host_would_take_passes_a_policy_that_is_judged_to_let_it_through() {
    often(&foreign_cases(), 1_000, |(case, scope, policy)| {
        let (channel, on) = (channel(&case.format), patterns(&case.on));
        if !lets_through(scope, &policy, &channel, &on) {
            return Ok(false);
        }
        let wanted = is_wanted(&channel, &on, &case.body, &case.attributes);
        let passed = passes(scope, &policy, &case.body, &case.attributes);
        prop_assert!(passed || !wanted, "{policy} does not let it through");
        Ok(wanted)
    });
}
