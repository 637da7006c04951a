//! The sandbox with well-behaved and misbehaving modules.

mod bombs;
mod contracts;
mod faults;
mod loading;
mod working;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use reactor_core::clock::SystemClock;
use reactor_core::event::{Event, Fault, Identity, Outcome, Version};
use reactor_core::guest::{Call, Effect, Run};
use reactor_core::subscription::TypePattern;
use reactor_core::world::{Live, NoHttp, StateView};

use super::*;

/// An engine with its own folder.
struct Bench {
    dir: TempDir,
    engine: Engine,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let engine = engine(&dir);
        Self { dir, engine }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn load_bytes(&self, bytes: &[u8], spec: GuestSpec) -> Result<LoadedModule, LoadError> {
        self.engine.load(&self.file("module.wasm", bytes), spec)
    }

    fn load(&self, wat: &str) -> LoadedModule {
        self.load_bytes(&component(wat), spec()).unwrap()
    }
}

fn engine(dir: &TempDir) -> Engine {
    Engine::new(EngineOptions {
        cache_dir: dir.path().join("cache"),
        instances: 16,
        max_memory: 64 << 20,
        compiler: Compiler::here(),
    })
    .unwrap()
}

/// A spec that grants everything, with short limits.
fn spec() -> GuestSpec {
    GuestSpec {
        reactor: "orders".to_owned(),
        timeout: Duration::from_secs(10),
        cpu: Duration::from_millis(300),
        memory: 4 << 20,
        allow_state: true,
        allow_http: Vec::new(),
        emit: vec![(TypePattern::parse("order.*").unwrap(), "out".to_owned())],
        hop_limit: 16,
        limits: Limits::default(),
    }
}

struct Fixed(Vec<(&'static str, &'static [u8], u64)>);

impl StateView for Fixed {
    fn get(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>> {
        match key {
            "broken" => anyhow::bail!("disk on fire"),
            "panic" => panic!("planted"),
            _ => {}
        }
        let found = self.0.iter().find(|(name, ..)| *name == key);
        Ok(found.map(|&(_, value, version)| (Bytes::from_static(value), Version(version))))
    }
}

fn world() -> Live<Fixed> {
    Live {
        state: Fixed(vec![("a", b"one", 41)]),
        clock: Arc::new(SystemClock::default()),
        config: BTreeMap::from([("greeting".to_owned(), "hello".to_owned())]),
        http: Arc::new(NoHttp),
    }
}

fn call() -> Call {
    let event = Event {
        id: "e1".to_owned(),
        event_type: "order.placed".to_owned(),
        version: 1,
        source: "shop".to_owned(),
        time: None,
        subject: None,
        correlation_id: "e1".to_owned(),
        causation_id: None,
        partition_key: Some("customer-7".to_owned()),
        content_type: "application/json".to_owned(),
        hop: 0,
        trace_parent: None,
        attributes: Vec::new(),
        data: Bytes::from_static(br#"{"n":1}"#),
    };
    Call { event: Arc::new(event), identity: Identity([7; 16]), attempt: 2, max_attempts: 5, world: Arc::new(world()) }
}

async fn run(module: &LoadedModule) -> Run {
    module.guest.run(call()).await
}

fn fault(run: &Run) -> (Fault, &str) {
    match &run.outcome {
        Outcome::Fault { fault, detail } => (*fault, detail),
        other => panic!("expected a fault, got {other:?}"),
    }
}

/// Core text around a body of `handle`. `$answer` is 0 = ok; the strings of `data` begin at 64.
fn core(imports: &str, data: &str, body: &str) -> String {
    format!(
        r#"(module
  {imports}
  (memory (export "memory") 2)
  (data (i32.const 64) "{data}")
  (global $next (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param $old i32) (param i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (local.get $at))
  (func (export "cabi_post_handle") (param i32))
  (func $handle (export "handle") (param $event i32) (result i32)
    (local $i i32)
    (i32.store8 (i32.const 0) (i32.const 0))
    {body}
    (i32.const 0)))"#
    )
}

fn component(wat: &str) -> Vec<u8> {
    testing::component(&wat::parse_str(wat).unwrap()).unwrap()
}

const LOG: &str = r#"(import "reactor:guest/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
const STATE: &str = r#"(import "reactor:guest/state@0.1.0" "get" (func $get (param i32 i32 i32)))
  (import "reactor:guest/state@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
  (import "reactor:guest/state@0.1.0" "delete" (func $delete (param i32 i32 i32)))"#;
const EMIT: &str = r#"(import "reactor:guest/emit@0.1.0" "publish" (func $publish (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;
const RANDOM: &str = r#"(import "reactor:guest/random@0.1.0" "next" (func $random (result i64)))"#;
