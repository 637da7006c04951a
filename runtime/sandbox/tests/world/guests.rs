//! The guests of the tests, and a live world for them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use reactor_core::clock::{Clock, Moment, Sleep, SystemClock};
use reactor_core::event::Version;
use reactor_core::subscription::TypePattern;
use reactor_core::world::{Live, StateView};
use reactor_sandbox::http_client::Client;
use reactor_sandbox::{Compiler, Engine, EngineOptions, GuestSpec, Limits, LoadedModule};

/// An engine with a folder for compiled modules.
pub(crate) struct Guests {
    dir: tempfile::TempDir,
    engine: Engine,
}

impl Guests {
    pub(crate) fn new() -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        let cache_dir = dir.path().join("cache");
        let options = EngineOptions { cache_dir, instances: 2, max_memory: 64 << 20, compiler: Compiler::here() };
        Self { engine: Engine::new(options).unwrap(), dir }
    }

    /// Loads a guest, which may send requests to this origin, if it is not empty.
    pub(crate) fn load(self, name: &str, http: &str) -> LoadedModule {
        let spec = GuestSpec {
            reactor: name.to_owned(),
            timeout: Duration::from_secs(60),
            cpu: Duration::from_secs(20),
            memory: 64 << 20,
            allow_state: true,
            allow_http: Some(http.to_owned()).filter(|origin| !origin.is_empty()).into_iter().collect(),
            emit: vec![(TypePattern::parse("mood").unwrap(), "out".to_owned())],
            hop_limit: 16,
            limits: Limits::default(),
        };
        let module = self.engine.load(&built(name), spec).unwrap();
        // The clock of the limits stops with the engine.
        std::mem::forget((self.engine, self.dir.keep()));
        module
    }
}

/// A guest of this workspace as a module, rebuilt if it is out of date.
fn built(package: &str) -> PathBuf {
    let target = if package == "guest-wasi" { "wasm32-wasip2" } else { "wasm32-unknown-unknown" };
    // The test program itself is in <target>/<profile>/deps.
    let exe = std::env::current_exe().unwrap();
    let dir = exe.ancestors().nth(3).unwrap();
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let args = ["build", "--quiet", "--profile", "guest", "--target", target, "--package", package];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let status = Command::new(cargo).args(args).current_dir(root).env("CARGO_TARGET_DIR", dir).status();
    assert!(status.unwrap().success(), "{package} was not built; is the target {target} installed?");
    dir.join(target).join("guest").join(package.replace('-', "_")).with_extension("wasm")
}

/// A key whose value cannot be read.
pub(crate) const BROKEN: &str = "broken";

/// Values that a replayed run can only get from the recording: a wall clock in 1970, and values in the state.
pub(crate) fn live() -> Live<Values> {
    let config = [("greeting", "hello"), ("number", "7")];
    Live {
        state: Values(BTreeMap::from([("a", "100"), ("count", "41"), ("runs", "6")])),
        clock: Arc::new(Odd(SystemClock::default())),
        config: config.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        http: Arc::new(Client::default()),
    }
}

pub(crate) struct Values(BTreeMap<&'static str, &'static str>);

impl StateView for Values {
    fn get(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>> {
        anyhow::ensure!(key != BROKEN, "disk on fire");
        Ok(self.0.get(key).map(|value| (Bytes::from_static(value.as_bytes()), Version(3))))
    }
}

struct Odd(SystemClock);

/// How far its clock is ahead.
const AHEAD: Duration = Duration::from_secs(1_000);

impl Clock for Odd {
    fn now(&self) -> Moment {
        self.0.now() + AHEAD
    }

    fn sleep_until(&self, at: Moment) -> Sleep {
        self.0.sleep_until(at.before(AHEAD))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_millisecond(86_400_000).unwrap()
    }

    fn random(&self) -> u64 {
        self.0.random()
    }
}
