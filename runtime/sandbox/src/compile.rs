//! Compiles a file's bytes to machine code, also as a child process of a host.
//!
//! A child reads a module from its standard input and writes the result to its standard output: the engine's key, a
//! byte that says what follows, and machine code or a reason. It ends when its standard input closes, so that it never
//! outlives the program that started it.

use std::io::{Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use wasmtime::Engine;

use super::cache::engine_key;
use super::engine::config;
use super::format::encoded;

/// The first argument that makes a program compile.
pub(super) const ASKED: &str = "__compile";

/// Why there is no machine code.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The file breaks the rules of the format.
    Invalid(String),
    /// The file does not match the contract.
    Mismatch(String),
}

pub(super) const CODE: u8 = 0;
pub(super) const INVALID: u8 = 1;
pub(super) const MISMATCH: u8 = 2;

/// Compiles the content of a file: a component, or a core module, which is made into one.
pub(super) fn compile(wasm: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let component = encoded(bytes)?;
    wasm.precompile_component(&component).map_err(|error| Refusal::Invalid(format!("{error:#}")))
}

/// Compiles for the program that started this one, if this process was started for that.
///
/// The first argument says so; the limits follow: memory in bytes and CPU time in seconds.
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

/// Sets the limits. If one cannot be set, the system does not have it, or a lower one is in force already.
fn limit(memory: u64, seconds: u64) {
    let set = |resource, most| {
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    };
    set(Resource::Core, 0);
    set(Resource::Cpu, seconds);
    set(Resource::Data, memory);
    // Code and reserved addresses come on top; this limit works where `Data` does not.
    set(Resource::As, memory.saturating_mul(2).saturating_add(1 << 30));
    let _ = nice(5);
    // If the machine itself is short of memory, kill this process first.
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
        // No more data is sent: this returns when the parent has ended or closed the pipe.
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
