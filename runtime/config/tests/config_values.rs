//! What a valid `reactors.toml` becomes: every key, every default, and the limits that `docs/reactors-toml.md` states.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reactor_channel_aws::sns::SnsSettings;
use reactor_channel_aws::sqs::{self, SqsSettings};
use reactor_channel_aws::testing::KINDS;
use reactor_config::model::{
    BreakerPolicy, Config, Format, OnExhausted, Outside, RawField, RetryPolicy, Settle, Unrouted,
};
use reactor_config::units::{parse_duration, parse_size};
use reactor_config::{Loaded, Problem, Problems, Written};
use reactor_core::backoff::{Backoff, Jitter};
use reactor_core::channel::Limits;
use reactor_core::json::Decimal;
use reactor_core::subscription::{Condition, NumericOp, Rate, Scalar, Wildcard};

const FULL: &str = include_str!("config_full.toml");

fn parse(text: &str) -> Result<Loaded, Problems> {
    let env = |name: &str| (name == "REGION").then(|| "eu-1".to_owned());
    reactor_config::parse(text, Path::new("/srv/shop/reactors.toml"), &env, KINDS)
}

fn valid(text: &str) -> Config {
    parse(text).unwrap_or_else(|problems| panic!("{text}\n{}", problems.render(false))).config
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn runtime_and_channels() {
    let loaded = parse(FULL).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.render(false));
    let Config { root, runtime, channels, .. } = loaded.config;
    assert_eq!(root, Path::new("/srv/shop"));
    assert_eq!(runtime.data_dir.path(), Path::new("/srv/shop/var/store"));
    assert_eq!((runtime.concurrency, runtime.drain, runtime.hop_limit), (64, seconds(10), 8));
    assert_eq!(runtime.queue_memory, 128 << 20);
    assert_eq!(runtime.admin, "127.0.0.1:9464".parse().ok());
    assert_eq!(runtime.history, seconds(3 * 86_400));

    let shop = &channels["shop"];
    assert_eq!((&shop.outside, shop.retention), (&None, seconds(30 * 86_400)));
    assert_eq!((&shop.format, shop.unrouted, shop.max_event), (&Format::Native, Unrouted::DeadLetter, 512 << 10));
    assert_eq!(shop.identity.as_ref().map(|pointer| pointer.text.as_str()), Some("/data/eventKey"));
    let sqs = Outside {
        kind: "sqs",
        limits: sqs::LIMITS,
        settle: Settle::Stored,
        lease: Some(seconds(90)),
        settings: Arc::new(SqsSettings { queue: "orders.fifo".into(), create: true }),
    };
    assert_eq!((&channels["orders"].outside, channels["orders"].retention), (&Some(sqs), seconds(86_400)));
    let news = SnsSettings {
        topic: "arn:aws:sns:eu-central-1:000000000000:news".into(),
        queue: Some("http://localhost:4566/000000000000/news".into()),
        create: false,
    };
    let sns = Outside {
        kind: "sns",
        limits: Limits { bytes: 256 << 10, ..sqs::LIMITS },
        settle: Settle::Completed,
        lease: None,
        settings: Arc::new(news),
    };
    assert_eq!((&channels["news"].outside, channels["news"].retention), (&Some(sns), seconds(14 * 86_400)));
    let Format::Raw(raw) = &channels["meters"].format else { panic!("{:?}", channels["meters"].format) };
    assert_eq!(raw.event_type, RawField::Constant("meter.read".into()));
    assert_eq!(raw.source, Some(RawField::Attribute("site".into())));
    assert!(matches!(&raw.id, Some(RawField::Pointer(pointer)) if pointer.tokens == ["serial"]));
}

#[test]
fn reactor() {
    let config = valid(FULL);
    let inventory = &config.reactors["inventory"];
    assert_eq!(inventory.module.path(), Path::new("/srv/shop/modules/inventory.wasm"));
    assert_eq!(inventory.build.as_ref().map(Written::meaning), Some("make inventory PRICE=$5"));
    assert_eq!(inventory.from, ["shop", "orders"]);
    let on: Vec<_> = inventory.on.iter().map(|pattern| pattern.text.as_str()).collect();
    assert_eq!(on, ["order.placed@>=2,<4", "order.cancelled"]);
    let emit: Vec<_> = inventory.emit.iter().map(|(pattern, to)| (pattern.text.as_str(), to.as_str())).collect();
    assert_eq!(emit, [("stock.reserved", "news"), ("stock.*", "shop"), ("audit.**", "audit")], "in the file's order");
    assert_eq!(inventory.order_by.as_ref().map(|pointer| pointer.text.as_str()), Some("/data/orderId"));
    assert_eq!((inventory.concurrency, inventory.memory), (4, 32 << 20));
    assert_eq!(inventory.rate, Some(Rate { count: 100, per: seconds(60) }));
    assert_eq!((inventory.timeout, inventory.cpu), (seconds(30), Duration::from_millis(2_500)));
    assert!(inventory.allow.state);
    let http: Vec<_> = inventory.allow.http.iter().map(Written::meaning).collect();
    assert_eq!(http, ["https://api.example.com", "http://[::1]:8080"]);
    let guest: Vec<_> = inventory.config.iter().map(|(key, value)| (key.as_str(), value.meaning())).collect();
    let expected = [
        ("flags", r#"{"deep":[1,2.5,true,"eu-1"]}"#),
        ("mask", "255"),
        ("stock", "1000"),
        ("warehouse", "eu-1"),
        ("zone", "none"),
    ];
    assert_eq!(guest, expected);
    let retry = RetryPolicy {
        max_attempts: 7,
        backoff: Backoff::try_new(Duration::from_millis(250), seconds(90), 1.5, Jitter::Equal).expect("valid bounds"),
        max_age: seconds(5_400),
    };
    assert_eq!(inventory.retry, retry);
    let breaker = BreakerPolicy { failures: 20, backoff: Backoff::doubling(seconds(2), seconds(30), Jitter::None) };
    assert_eq!(inventory.breaker, Some(breaker));
    assert_eq!(inventory.dedup.window, seconds(20 * 86_400));
    assert_eq!(inventory.dedup.key.as_ref().map(|pointer| pointer.text.as_str()), Some("/data/orderId"));
    assert_eq!(inventory.dead_letter.channel.as_deref(), Some("audit"));
    assert_eq!(inventory.dead_letter.on_exhausted, OnExhausted::ParkKey);
}

#[test]
fn filter() {
    let config = valid(FULL);
    let string = |text: &str| Scalar::String(text.to_owned());
    let mut fields: Vec<_> = config.reactors["inventory"].when.fields.clone();
    fields.sort_by(|(left, _), (right, _)| left.text.cmp(&right.text));
    let conditions: Vec<_> = fields.into_iter().map(|(pointer, conditions)| (pointer.text, conditions)).collect();
    let number = |text: &str| Decimal::of(text).into_owned();
    let range = vec![(NumericOp::Greater, number("0")), (NumericOp::LessOrEqual, number("5000"))];
    let not = |excluded: Vec<Scalar>| Condition::AnythingBut(excluded.into_iter().map(Condition::Equals).collect());
    let prefixes = ["test-", "demo-"].map(|text| Condition::Prefix(text.into()));
    let files = vec![
        Condition::Suffix(".png".into()),
        Condition::Wildcard(Wildcard::parse("dir/*.jpg").expect("a wildcard")),
        Condition::EqualsIgnoreCase("readme".into()),
    ];
    let expected = [
        ("/data/amount".to_owned(), vec![Condition::Numeric(range)]),
        ("/data/author".to_owned(), vec![Condition::Equals(Scalar::Number(number("1524831183200260097")))]),
        ("/data/country".to_owned(), vec![not(vec![string("XX"), Scalar::Number(number("0"))])]),
        ("/data/currency".to_owned(), vec![Condition::Equals(string("EUR")), Condition::Prefix("US".into())]),
        ("/data/customer".to_owned(), vec![Condition::Exists(true)]),
        ("/data/deleted".to_owned(), vec![Condition::Equals(Scalar::Null), Condition::Exists(false)]),
        ("/data/file".to_owned(), files),
        ("/data/name".to_owned(), vec![Condition::AnythingBut(prefixes.to_vec())]),
        ("/data/parent".to_owned(), vec![not(vec![Scalar::Null])]),
        ("/data/test".to_owned(), vec![Condition::Equals(Scalar::Bool(false))]),
        ("/subject".to_owned(), vec![not(vec![string("draft")])]),
    ];
    assert_eq!(conditions, expected);
}

#[test]
fn later_checks_can_point_at_keys() {
    let loaded = parse(FULL).expect("valid");
    let line = |place: reactor_config::Place| {
        let problem = Problem::at(place, "test", "here").label("this").note("why").help("do");
        let json = Problems::from(problem).to_json();
        json["problems"][0]["line"].as_u64().and_then(|line| FULL.lines().nth(line as usize - 1)).unwrap_or_default()
    };
    let places = &loaded.places;
    assert!(line(places.reactor("inventory", "module")).starts_with("module ="));
    assert_eq!(line(places.reactor("inventory", "nothing")), "[reactors.inventory]");
    assert_eq!(line(places.channel("orders", "kind")), "kind = \"sqs\"");
    assert!(line(places.at(&["reactors", "inventory", "allow", "http", "1"])).contains("[::1]"));
}

/// The minimum that a section needs, and the table that its keys are in.
fn surroundings(heading: &str) -> Option<&'static str> {
    Some(match heading {
        "`[runtime]`" => "[runtime]\n",
        "`[channels.NAME]`" => "[channels.a]\n",
        "`[reactors.NAME]`" => {
            "[channels.c]\nkind = \"local\"\n[reactors.a]\nmodule = \"a.wasm\"\nfrom = \"c\"\non = \"a\"\n"
        }
        _ => return None,
    })
}

struct Row {
    /// The file before the key.
    before: String,
    key: String,
    kind: String,
    default: String,
    limits: String,
}

/// The rows of the reference that have a default or limits.
fn rows() -> Vec<Row> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reactors-toml.md");
    let text = std::fs::read_to_string(path).expect("docs/reactors-toml.md");
    let mut rows = Vec::new();
    for section in text.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap_or_default();
        let policy = heading.strip_prefix("`[reactors.NAME.").and_then(|rest| rest.strip_suffix("]`"));
        let before = match policy {
            Some(table) => {
                let reactor = surroundings("`[reactors.NAME]`").expect("a reactor");
                format!("{reactor}order-by = \"/data/id\"\n[reactors.a.{table}]\n")
            }
            None => surroundings(heading).map(str::to_owned).unwrap_or_default(),
        };
        for line in section.lines().filter(|line| line.starts_with("| `") && !before.is_empty()) {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [key, kind, default, limits, meaning] = cells[..] else { continue };
            let mut before = before.clone();
            if heading == "`[channels.NAME]`" && key != "`kind`" {
                let kinds = [("`sns`", "\"sns\"\ntopic = \"t\""), ("`sqs`", "\"sqs\"")];
                let channel =
                    kinds.iter().find(|(name, _)| meaning.starts_with(name)).map_or("\"local\"", |(_, kind)| kind);
                let queue = if channel == "\"sqs\"" && key != "`queue`" { "\nqueue = \"q\"" } else { "" };
                before.push_str(&format!("kind = {channel}{queue}\n"));
            }
            let bare = |cell: &str| cell.trim_matches('`').to_owned();
            rows.push(Row {
                before,
                key: bare(key),
                kind: kind.to_owned(),
                default: default.to_owned(),
                limits: limits.to_owned(),
            });
        }
    }
    rows
}

#[test]
fn the_defaults_are_those_of_the_reference() {
    let mut checked = 0;
    for Row { before, key, default, .. } in rows() {
        let Some(default) = default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) else { continue };
        let (without, with) = (valid(&before), valid(&format!("{before}{key} = {default}\n")));
        assert_eq!(format!("{without:?}"), format!("{with:?}"), "{key} = {default}");
        checked += 1;
    }
    assert!(checked >= 20, "only {checked} defaults found");
}

#[test]
fn the_types_are_those_of_the_reference() {
    let mut checked = 0;
    // One row stands for several keys.
    for Row { before, key, kind, .. } in rows().into_iter().filter(|row| !row.key.contains(',')) {
        let expected = match kind.as_str() {
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "true or false",
            "table" => "a table",
            "list of names" | "list of patterns" => "a list of strings",
            "word or table" => "a string, or a table",
            "string" | "word" | "address" | "path" | "name" | "pointer" | "rate" | "duration" | "size" => "a string",
            other => panic!("{key}: what is {other:?}?"),
        };
        // The minimal reactor has these three already.
        let before =
            before.lines().filter(|line| !line.starts_with(&format!("{key} = "))).collect::<Vec<_>>().join("\n");
        let problems = parse(&format!("{before}\n{key} = 1979-05-27\n")).expect_err(&key).to_json();
        let first = problems["problems"].as_array().and_then(|all| all.iter().find(|one| one["code"] == "wrong-type"));
        let reason = first.and_then(|one| one["reason"].as_str()).unwrap_or_default();
        assert!(reason.starts_with(&format!("expected {expected}")), "{key}, {kind}: {problems}");
        checked += 1;
    }
    assert!(checked >= 35, "only {checked} types found");
}

#[test]
fn the_limits_are_those_of_the_reference() {
    let mut checked = 0;
    for Row { before, key, limits, .. } in rows() {
        let limits = limits.split(", not").next().unwrap_or_default().replace(',', "");
        // Words in backticks are the values themselves, which the golden files cover.
        let (least, most) = match (limits.strip_prefix("up to "), limits.split_once(" to ")) {
            _ if limits.contains('`') => continue,
            (Some(most), _) => (None, most),
            (None, Some((least, most))) if most.starts_with(|c: char| c.is_ascii_digit()) => (Some(least), most),
            (None, _) => continue,
        };
        let accepts = |value: &str| {
            // A CPU limit must fit its time-out, and a first delay its longest.
            let room = match key.as_str() {
                "cpu" => "timeout = \"15m\"\n",
                "initial" if before.contains("breaker") => "max = \"1h\"\n",
                "initial" => "max = \"12h\"\n",
                _ => "",
            };
            parse(&format!("{before}{room}{key} = {value}\n")).is_ok()
        };
        for (limit, step) in [(least, -1.0), (Some(most), 1.0)] {
            let Some(limit) = limit else { continue };
            let (at, beyond) = at_and_beyond(limit, step).unwrap_or_else(|| panic!("{key}: what is {limit:?}?"));
            assert!(accepts(&at), "{key} = {at}");
            assert!(!accepts(&beyond), "{key} = {beyond}");
            checked += 1;
        }
    }
    assert!(checked >= 25, "only {checked} limits found");
}

/// A limit as a value, and the next value beyond it.
fn at_and_beyond(limit: &str, step: f64) -> Option<(String, String)> {
    let limit = limit.replace("10 years", "3650d");
    if let Ok(number) = limit.parse::<f64>() {
        return Some((format!("{number}"), format!("{}", number + step)));
    }
    if let Ok(duration) = parse_duration(&limit) {
        let millis = duration.as_millis() as f64;
        return Some((format!("\"{limit}\""), format!("\"{}ms\"", millis + step)));
    }
    let bytes = parse_size(&limit).ok()? as f64;
    Some((format!("\"{limit}\""), format!("\"{}B\"", bytes + step)))
}
