//! The current contract and the previous one.

use reactor_core::attribute::Attribute;

use super::*;

/// Sets a state key for each attribute: its name, and its value as bytes.
const KEEP_ALL: &str = r#"
    (loop $next
      (if (i32.lt_u (local.get $i) (i32.load offset=112 (local.get $event))) (then
        (call $keep (i32.add (i32.load offset=108 (local.get $event)) (i32.mul (local.get $i) (i32.const 28))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))))"#;

fn attributes() -> Vec<Attribute> {
    vec![
        ("tenant", "acme").into(),
        Attribute::typed("weight", "Number.float", "1.50"),
        Attribute::binary("key", "Binary", vec![0, 1, 255]),
    ]
}

fn carrying() -> Call {
    let call = call();
    let event = Event { attributes: attributes(), ..(*call.event).clone() };
    Call { event: Arc::new(event), ..call }
}

fn written(run: &Run) -> Vec<(&str, Option<&[u8]>)> {
    let writes = run.effects.iter().filter_map(Effect::write);
    writes.map(|(key, value)| (key.as_str(), value.map(|value| &value[..]))).collect()
}

#[tokio::test]
async fn attributes_reach_the_module_with_their_types() {
    let bench = Bench::new();
    let state = STATE.replace("0.1.0", "0.2.0");
    let keep = |value: u32| {
        format!(
            r#"{state} (func $keep (param $at i32)
              (call $set (i32.load (local.get $at)) (i32.load offset=4 (local.get $at))
                (i32.load offset={value} (local.get $at)) (i32.load offset={} (local.get $at)) (i32.const 128)))"#,
            value + 4
        )
    };
    let module = bench.load(&core(&keep(20), "", KEEP_ALL));
    let run = module.guest.run(carrying()).await;
    assert_eq!(run.outcome, Outcome::Done);
    let values: [(&str, Option<&[u8]>); 3] =
        [("key", Some(&[0, 1, 255])), ("tenant", Some(b"acme")), ("weight", Some(b"1.50"))];
    assert_eq!(written(&run), values);
    let types = bench.load(&core(&keep(8), "", KEEP_ALL)).guest.run(carrying()).await;
    let names: [(&str, Option<&[u8]>); 3] =
        [("key", Some(b"Binary")), ("tenant", Some(b"String")), ("weight", Some(b"Number.float"))];
    assert_eq!(written(&types), names);
}

/// A module that imports every interface of a version and calls each.
fn everything(version: &str) -> String {
    let imports = [STATE, EMIT, LOG, RANDOM].join("\n")
        + r#"(import "reactor:guest/attempt@0.1.0" "current" (func $current (param i32)))
        (import "reactor:guest/config@0.1.0" "get" (func $config (param i32 i32 i32)))
        (import "reactor:guest/clock@0.1.0" "now" (func $now (result i64)))"#;
    let calls = r#"
      (call $current (i32.const 128))
      (if (i32.ne (i32.load (i32.const 136)) (i32.const 2)) (then unreachable))
      (call $config (i32.const 64) (i32.const 8) (i32.const 160))
      (if (i32.ne (i32.load8_u (i32.const 160)) (i32.const 1)) (then unreachable))
      (if (i64.eqz (call $now)) (then unreachable))
      (drop (call $random))
      (call $log (i32.const 2) (i32.const 64) (i32.const 8))
      (call $get (i32.const 72) (i32.const 1) (i32.const 192))
      (call $set (i32.const 72) (i32.const 1) (i32.const 64) (i32.const 8) (i32.const 192))
      (call $delete (i32.const 73) (i32.const 1) (i32.const 192))
      (call $publish (i32.const 80) (i32.const 7) (i32.const 1)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 64) (i32.const 8) (i32.const 72) (i32.const 1) (i32.const 224))"#;
    core(&imports, "greetingab      order.x", calls).replace("0.1.0", version)
}

#[tokio::test]
async fn a_module_of_the_previous_contract_runs_as_it_did() {
    let bench = Bench::new();
    for version in ["0.1.0", "0.2.0"] {
        let module = bench.load(&everything(version));
        let types = format!("reactor:guest/types@{version}");
        assert!(module.imports.contains(&types), "{:?}", module.imports);
        assert!(module.imports.iter().all(|import| import.ends_with(version)), "{:?}", module.imports);
        assert_eq!(module.unused_grants, [""; 0], "{version}");
        let run = module.guest.run(carrying()).await;
        assert_eq!(run.outcome, Outcome::Done, "{version}");
        let emitted = run.effects.iter().filter_map(Effect::put).count();
        assert_eq!((run.reads.len(), emitted, run.usage.host_calls), (1, 1, 9), "{version}");
        let expected: [(&str, Option<&[u8]>); 2] = [("a", Some(b"greeting")), ("b", None)];
        assert_eq!(written(&run), expected, "{version}");
        let nothing = GuestSpec { allow_state: false, emit: Vec::new(), ..spec() };
        let refused = bench.load_bytes(&component(&everything(version)), nothing);
        let Err(LoadError::Denied { imports, .. }) = refused else { panic!("not denied: {version}") };
        assert_eq!(imports.len(), 2, "{version}");
    }
    // A module without imports does not reveal its contract, and runs under the current one.
    assert_eq!(bench.load(&core("", "", "")).imports, ["reactor:guest/types@0.2.0"]);
}

#[tokio::test]
async fn a_core_module_of_the_previous_contract_is_encoded_with_it() {
    let bench = Bench::new();
    let typed = testing::typed_core(&wat::parse_str(everything("0.1.0")).unwrap()).unwrap();
    let module = bench.load_bytes(&typed, spec()).unwrap();
    assert!(module.imports.iter().all(|import| import.ends_with("@0.1.0")), "{:?}", module.imports);
    assert_eq!(module.guest.run(carrying()).await.outcome, Outcome::Done);
}
