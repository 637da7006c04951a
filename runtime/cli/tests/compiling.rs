//! Compiling in a child process: its limits, and that nothing is left behind.

use std::path::Path;
use std::time::Duration;

use reactor_sandbox::{
    CompileLimits, Compiler, Engine, EngineOptions, GuestSpec, Limits, LoadError, LoadedModule, testing,
};

const SOUND: &str = include_str!("../../sandbox/tests/modules/start_memory_above_budget.wat");

struct Bench {
    dir: tempfile::TempDir,
    engine: Engine,
    compiler: Compiler,
}

impl Bench {
    fn new(limits: CompileLimits) -> Self {
        let dir = tempfile::TempDir::new().expect("a folder");
        let compiler = Compiler::by(env!("CARGO_BIN_EXE_reactor").into(), limits);
        let options = EngineOptions {
            cache_dir: dir.path().join("cache"),
            instances: 4,
            max_memory: 64 << 20,
            compiler: compiler.clone(),
        };
        Self { engine: Engine::new(options).expect("an engine"), dir, compiler }
    }

    fn load(&self, bytes: &[u8]) -> Result<LoadedModule, LoadError> {
        let path = self.dir.path().join("module.wasm");
        std::fs::write(&path, bytes).expect("a file");
        let spec = GuestSpec {
            reactor: "r".to_owned(),
            timeout: Duration::from_secs(1),
            cpu: Duration::from_secs(1),
            memory: 64 << 20,
            allow_state: true,
            allow_http: Vec::new(),
            emit: Vec::new(),
            hop_limit: 16,
            limits: Limits::default(),
        };
        self.engine.load(&path, spec)
    }
}

/// The number of children of this process, including zombies.
fn children() -> usize {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let stats = processes.filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
    stats.filter(|stat| stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&own)).count()
}

fn sound() -> Vec<u8> {
    testing::component(&wat::parse_str(SOUND).expect("text")).expect("a component")
}

/// Takes seconds to compile, but stays below the cost limit.
fn slow() -> Vec<u8> {
    let function = format!("(func {})", "(call_indirect (type $t) (i32.const 1))".repeat(11_000));
    let wat = format!("(component (core module (type $t (func)) (table 10 funcref) {}))", function.repeat(4));
    wat::parse_str(wat).expect("text")
}

/// A component whose type is a component whose type is a component, and so on, a million levels deep.
fn deep_types() -> Vec<u8> {
    let (levels, header) = (1_000_000, b"\0asm\x0d\0\x01\0");
    let content = [b"\x01".to_vec(), b"\x41\x01\x01".repeat(levels), b"\x41\0".to_vec()].concat();
    let mut length = content.len();
    let mut bytes = [header.as_slice(), b"\x07"].concat();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    [bytes, content].concat()
}

/// One test, since it counts all children of the process.
#[test]
fn a_child_compiles_within_its_limits_and_leaves_nothing() {
    let usual = CompileLimits::default();
    let bench = Bench::new(usual);
    assert!(!bench.load(&sound()).expect("a module").from_cache);
    assert!(bench.load(&sound()).expect("a module").from_cache);
    let broken = wat::parse_str("(component (core module (func (result i32))))").expect("text");
    assert!(matches!(bench.load(&broken), Err(LoadError::Invalid(..))));

    let told = |limits: CompileLimits, bytes: &[u8]| match Bench::new(limits).load(bytes) {
        Err(LoadError::Compiling(_, why)) => why,
        other => panic!("{other:?}"),
    };
    let little = told(CompileLimits { memory: 48 << 20, ..usual }, &slow());
    assert!(little.contains("48 MiB of memory") && little.contains("REACTOR_COMPILE_MEMORY"), "{little}");
    let short = told(CompileLimits { time: Duration::from_millis(100), ..usual }, &slow());
    assert!(short.contains("more than 100ms") && short.contains("REACTOR_COMPILE_SECONDS"), "{short}");
    let deep = told(usual, &deep_types());
    assert!(deep.contains("nested too deeply") && !deep.contains("MiB"), "{deep}");
    assert_eq!(children(), 0);

    let bench = Bench::new(usual);
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| bench.load(&slow()));
        while children() == 0 {
            std::thread::yield_now();
        }
        bench.compiler.stop();
        let stopped = loading.join().expect("it ends").expect_err("it was stopped").to_string();
        assert!(stopped.contains("the program is stopping"), "{stopped}");
    });
    assert_eq!(children(), 0);
    let missing = Compiler::by(Path::new("/nothing/here").to_owned(), usual);
    assert!(!missing.is_stopped());
}
