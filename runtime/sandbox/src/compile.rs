//! From a file's bytes to machine code, and the child process that does it for a host.
//!
//! A child reads a module from its standard input and writes what became of it to its standard output: the engine's key,
//! a byte that says what follows, and machine code or a reason. It ends when its standard input does, so that it never
//! outlives the program that started it.

use std::io::{Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use wasmtime::Engine;

use super::cache::engine_key;
use super::error::Refusal;
use super::format::encoded;
use super::settings::config;

/// The first argument of a program that is to compile.
pub(super) const ASKED: &str = "__compile";

pub(super) const CODE: u8 = 0;
pub(super) const INVALID: u8 = 1;
pub(super) const MISMATCH: u8 = 2;

/// Compiles the content of a file: a component, or a core module that becomes one.
pub(super) fn compile(wasm: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let component = encoded(bytes)?;
    wasm.precompile_component(&component).map_err(|error| Refusal::Invalid(format!("{error:#}")))
}

/// Compiles for the program that started this one, if that is what this process is for.
///
/// The first argument says so; then come the memory in bytes and the CPU time in seconds that it may use.
#[must_use]
pub fn compiled_for_another() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ASKED {
        return None;
    }
    let mut number = || arguments.next()?.to_str()?.parse().ok();
    let (Some(memory), Some(seconds)) = (number(), number()) else { return Some(ExitCode::FAILURE) };
    limit(memory, seconds);
    Some(answer().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}

/// A limit that cannot be set is one that this system does not have, or a lower one that holds already.
fn limit(memory: u64, seconds: u64) {
    let set = |resource, most| {
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    };
    set(Resource::Core, 0);
    set(Resource::Cpu, seconds);
    set(Resource::Data, memory);
    // Code and reserved addresses come on top; this holds where the one above does not.
    set(Resource::As, memory.saturating_mul(2).saturating_add(1 << 30));
    let _ = nice(5);
    // If the machine itself is short of memory, this is what may go.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

fn answer() -> anyhow::Result<()> {
    let mut input = std::io::stdin().lock();
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let mut module = Vec::new();
    input.by_ref().take(u64::from_le_bytes(length)).read_to_end(&mut module)?;
    drop(input);
    std::thread::Builder::new().name("parent".to_owned()).spawn(|| {
        // Nothing more is sent: this returns when the parent has ended or has lost interest.
        let _ = std::io::stdin().lock().read(&mut [0]);
        std::process::exit(1);
    })?;
    let wasm = Engine::new(&config()).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let (kind, content) = match compile(&wasm, &module) {
        Ok(code) => (CODE, code),
        Err(Refusal::Invalid(why)) => (INVALID, why.into_bytes()),
        Err(Refusal::Mismatch(why)) => (MISMATCH, why.into_bytes()),
    };
    let mut output = std::io::stdout().lock();
    output.write_all(engine_key(&wasm).as_bytes())?;
    output.write_all(&[kind])?;
    output.write_all(&content)?;
    Ok(output.flush()?)
}
