//! Many modules and many reactors on one machine: 1,000 distinct modules loaded from the cache, 1,000 idle reactors,
//! and the start-up time of the example flow. Prints figures; asserts nothing.
//!
//! Options: `--modules N`; `--smoke` for a few, to check that it runs.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program that prints figures")]

#[allow(dead_code, reason = "each program uses its part of it")]
mod host;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use reactor_cli::bench::meter::{self, Meter};
use reactor_cli::bench::rig::{Rig, cores};
use reactor_cli::kinds::KINDS;
use reactor_config::model::Config;
use reactor_sandbox::{Compiler, Engine, EngineOptions, GuestSpec, LoadedModule};

use host::reactor;

fn main() {
    let modules = host::number("--modules", if host::is_smoke() { 4 } else { 1_000 });
    let dir = tempfile::TempDir::new().expect("a temporary folder");
    let config = many(dir.path(), modules);
    let start = Instant::now();
    drop(load(dir.path(), &config));
    println!("{modules} distinct modules, each for a reactor of its own; {} cores", cores());
    println!("  compiled and cached       {:>8.2} s", start.elapsed().as_secs_f64());
    let (start, before) = (Instant::now(), meter::resident());
    let loaded = load(dir.path(), &config);
    let took = start.elapsed();
    assert!(loaded.values().all(|module| module.from_cache), "every module is in the cache");
    println!(
        "  loaded from the cache     {:>8.2} s, {:.2} ms each",
        took.as_secs_f64(),
        took.as_secs_f64() * 1e3 / modules as f64
    );
    let code = meter::resident();
    let kib = |bytes: u64| bytes as f64 / 1_024.0 / modules as f64;
    println!("  memory of loaded modules  {:>8.0} KiB each", kib(code.saturating_sub(before)));
    let guests: BTreeMap<_, _> = loaded.into_iter().map(|(name, module)| (name, module.guest)).collect();
    let rig = Rig::new(config, dir.path(), guests).expect("a store");
    let mut running = rig.run().expect("a host");
    thread::sleep(Duration::from_secs(if host::is_smoke() { 0 } else { 3 }));
    let (meter, start) = (Meter::now(), Instant::now());
    thread::sleep(Duration::from_secs(if host::is_smoke() { 1 } else { 10 }));
    let idle = meter.used().cpu_in_all().as_secs_f64() / start.elapsed().as_secs_f64();
    println!("  idle reactors             {:>8.2} % of a core", idle * 100.0);
    println!(
        "  memory of idle reactors   {:>8.0} KiB each, beside that of the modules",
        kib(meter::resident().saturating_sub(code))
    );
    running.stop().expect("the host ends");
    example_flow();
}

/// A configuration of this many reactors, each with its own module file.
fn many(dir: &Path, count: usize) -> Config {
    let module = host::tally();
    let mut text = "[channels.in]\nkind = \"local\"\n".to_owned();
    for n in 0..count {
        // Different content makes it a different module to all but the code that reads it.
        let section = [b"\x04note".as_slice(), &n.to_le_bytes()].concat();
        let length = u8::try_from(section.len()).expect("a short section");
        let bytes = [&module[..], &[0, length], &section].concat();
        std::fs::write(dir.join(format!("m{n}.wasm")), bytes).expect("a module");
        text += &reactor(&format!("r{n}"), &format!("type-{n}"), "").replace("tally.wasm", &format!("m{n}.wasm"));
    }
    reactor_config::parse(&text, &dir.join("reactors.toml"), &|_| None, KINDS).expect("a valid configuration").config
}

/// Loads the modules as the program does.
fn load(dir: &Path, config: &Config) -> BTreeMap<String, LoadedModule> {
    let (instances, cache_dir) = (config.runtime.concurrency, dir.join("cache"));
    let engine = Engine::new(EngineOptions { cache_dir, instances, max_memory: 64 << 20, compiler: Compiler::here() })
        .expect("an engine");
    let specs = config.reactors.values().map(|reactor| (reactor.module.path(), GuestSpec::of(config, reactor)));
    let loaded = engine.load_all(specs.collect());
    config.reactors.keys().cloned().zip(loaded.into_iter().map(|module| module.expect("a module"))).collect()
}

/// Measures from the program's start until it has nothing left to do, with cached modules.
fn example_flow() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let config = root.join("reactors.toml");
    let dir = tempfile::TempDir::new().expect("a temporary folder");
    let up = |dir: PathBuf| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reactor"));
        command.args(["up", "--until-idle", "--config"]).arg(&config).arg("--data-dir").arg(dir);
        let start = Instant::now();
        let output = command.stdout(Stdio::null()).output().expect("the program");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        start.elapsed().as_secs_f64() * 1e3
    };
    let first = up(dir.path().to_owned());
    let again = host::median((0..5).map(|_| up(dir.path().to_owned())));
    println!("the example flow, from the start of the program to its end with nothing to do");
    println!("  modules compiled          {first:>8.0} ms");
    println!("  modules in the cache      {again:>8.0} ms");
}
