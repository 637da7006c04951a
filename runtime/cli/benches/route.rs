//! Prints the cost of routing by number of reactors: nanoseconds per event.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod rounds;

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use reactor_config::model::{Allow, DeadLetterPolicy, DedupPolicy, ReactorConfig, RetryPolicy};
use reactor_core::backoff::Backoff;
use reactor_core::event::{Event, ReactorId};
use reactor_core::subscription::{Condition, Filter, Pointer, Scalar, TypePattern};
use reactor_host::route::Routes;

/// The Nth reactor of a kind.
type Make = fn(usize) -> ReactorConfig;

use self::rounds::nanos_per_call;

fn main() {
    let event = event();
    println!("{:<52} {:>8} {:>8} {:>8}", "route: ns/event at", "1", "100", "10,000");
    let kinds: [(&str, Make); 4] = [
        ("a type each, one matches", |n| reactor(&format!("order.t{n}.late"), None, false)),
        ("a prefix each (`order.t1.**`), one matches", |n| reactor(&format!("order.t{n}.**"), None, false)),
        ("one type, a tenant each in `when`, one matches", |n| reactor("order.**", Some(format!("tenant-{n}")), false)),
        ("the same, ordered by a value of the data", |n| reactor("order.**", Some(format!("tenant-{n}")), true)),
    ];
    for (name, make) in kinds {
        print!("{name:<52}");
        for count in [1, 100, 10_000] {
            let configs: Vec<ReactorConfig> = (0..count).map(make).collect();
            let numbered: Vec<(ReactorId, &ReactorConfig)> =
                configs.iter().zip(0..).map(|(config, n)| (ReactorId(n), config)).collect();
            let routes = Routes::compile("shop", &numbered);
            let mut matches = Vec::new();
            print!(
                " {:>8.0}",
                nanos_per_call(|| {
                    matches.clear();
                    routes.matching(black_box(&event), &mut matches);
                })
            );
            assert_eq!(matches.len(), 1, "{name}");
        }
        println!();
    }
}

fn event() -> Event {
    let filler = [r#"{"sku":"A-1000-XL","quantity":2,"price":19.99}"#; 6].join(",");
    Event {
        id: "e".into(),
        event_type: "order.t0.late".into(),
        version: 1,
        source: "shop".into(),
        time: None,
        subject: None,
        correlation_id: "e".into(),
        causation_id: None,
        partition_key: None,
        content_type: "application/json".into(),
        hop: 0,
        trace_parent: None,
        attributes: Vec::new(),
        data: Bytes::from(format!(r#"{{"orderId":"o-1234","items":[{filler}],"tenant":"tenant-0"}}"#)),
    }
}

fn reactor(on: &str, tenant: Option<String>, ordered: bool) -> ReactorConfig {
    let pointer = |text| Pointer::parse(text).unwrap();
    let equals = |tenant| (pointer("/data/tenant"), vec![Condition::Equals(Scalar::String(tenant))]);
    ReactorConfig {
        name: "r".into(),
        module: PathBuf::new().into(),
        build: None,
        from: vec!["shop".into()],
        on: vec![TypePattern::parse(on).unwrap()],
        when: Filter { fields: tenant.map(equals).into_iter().collect() },
        order_by: ordered.then(|| pointer("/data/orderId")),
        emit: vec![],
        concurrency: 1,
        rate: None,
        timeout: Duration::from_secs(1),
        cpu: Duration::from_secs(1),
        memory: 1,
        allow: Allow::default(),
        config: std::collections::BTreeMap::new(),
        breaker: None,
        retry: RetryPolicy { max_attempts: 1, backoff: Backoff::NONE, max_age: Duration::ZERO },
        dedup: DedupPolicy { window: Duration::ZERO, key: None, off: false },
        dead_letter: DeadLetterPolicy::default(),
    }
}
