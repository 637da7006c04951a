//! Compiles modules in this process, or in child processes with limits on time and memory.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::cache::engine_key;
use super::compile::{ASKED, CODE, INVALID, MISMATCH, Refusal, compile};
use super::error::LoadError;

/// How often to check for a stop.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Maximum bytes of a child's answer.
const MAX_ANSWER: u64 = 1 << 30;
/// Maximum bytes read of a child's standard error.
const MAX_WORDS: u64 = 4_096;
const HASH: usize = blake3::OUT_LEN;

/// The limits for compiling one module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Wall-clock time.
    pub time: Duration,
    /// Memory in bytes.
    pub memory: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        // An interpreter of 16 MiB takes up to 30 s of CPU time and 1.2 GiB.
        Self { time: Duration::from_secs(120), memory: 3 << 30 }
    }
}

/// Compiles modules. Stopping one clone stops all.
#[derive(Clone, Debug)]
pub struct Compiler {
    child: Option<(PathBuf, CompileLimits)>,
    stopped: Arc<AtomicBool>,
}

impl Compiler {
    /// Compiles in this process, without limits: for tests, and for programs that trust their modules.
    pub fn here() -> Self {
        Self { child: None, stopped: Arc::default() }
    }

    /// Compiles in child processes of this program, whose `main` has to begin with
    /// [`compiled_for_another`](super::compiled_for_another).
    pub fn by(program: PathBuf, limits: CompileLimits) -> Self {
        Self { child: Some((program, limits)), stopped: Arc::default() }
    }

    /// Compiles in child processes of the program that runs now.
    ///
    /// # Errors
    /// The system does not reveal the running program.
    pub fn by_this_program(limits: CompileLimits) -> std::io::Result<Self> {
        // This path leads to the running program even if its file has been replaced.
        let own = PathBuf::from("/proc/self/exe");
        let program = if own.exists() { own } else { std::env::current_exe()? };
        Ok(Self::by(program, limits))
    }

    /// Ends running compilations in children, and rejects further ones.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it has been stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Machine code for a file.
    pub(super) fn compile(&self, wasm: &wasmtime::Engine, path: &Path, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        let refused = |refusal| match refusal {
            Refusal::Invalid(why) => LoadError::Invalid(path.to_owned(), why),
            Refusal::Mismatch(why) => LoadError::Mismatch(path.to_owned(), why),
        };
        if self.is_stopped() {
            return Err(stopped(path));
        }
        let Some((program, limits)) = &self.child else { return compile(wasm, bytes).map_err(refused) };
        let failed = |why: String| LoadError::Host(path.to_owned(), why);
        let child = start(program, *limits)
            .map_err(|error| failed(format!("cannot start {} to compile it: {error}", program.display())))?;
        let mut answer = self.answer(child, path, bytes, *limits)?;
        let Some((key, content)) = answer.split_first_chunk::<HASH>() else {
            return Err(failed("the compiler process gave no answer".to_owned()));
        };
        if blake3::Hash::from_bytes(*key) != engine_key(wasm) {
            return Err(failed("the program's file has been replaced by another version; restart it".to_owned()));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match content.split_first() {
            Some((&CODE, _)) => {
                // In place: machine code may be hundreds of MiB.
                drop(answer.drain(..=HASH));
                Ok(answer)
            }
            Some((&INVALID, why)) => Err(refused(Refusal::Invalid(text(why)))),
            Some((&MISMATCH, why)) => Err(refused(Refusal::Mismatch(text(why)))),
            _ => Err(failed("the compiler process gave an invalid answer".to_owned())),
        }
    }

    /// A child's answer, unless it takes too long.
    fn answer(&self, child: Child, path: &Path, bytes: &[u8], limits: CompileLimits) -> Result<Vec<u8>, LoadError> {
        let started = Instant::now();
        let mut child = Running(child);
        let (input, output) = (child.0.stdin.take(), child.0.stdout.take());
        let (Some(mut input), Some(output)) = (input, output) else { return Ok(Vec::new()) };
        let (answer, why) = std::thread::scope(|scope| {
            let (send, receive) = channel();
            scope.spawn(move || {
                // A child that has already ended explains itself by its exit status.
                let _ = input.write_all(&(bytes.len() as u64).to_le_bytes()).and_then(|()| input.write_all(bytes));
                let mut answer = Vec::new();
                let _ = output.take(MAX_ANSWER).read_to_end(&mut answer);
                let _ = send.send(answer);
                // Not before: the open pipe keeps the child running.
                drop(input);
            });
            loop {
                match receive.recv_timeout(LOOK_EVERY) {
                    Ok(answer) => return (answer, None),
                    Err(RecvTimeoutError::Timeout) if self.is_stopped() => {
                        child.kill();
                        return (Vec::new(), Some(stopped(path)));
                    }
                    Err(RecvTimeoutError::Timeout) if started.elapsed() <= limits.time => {}
                    Err(_) => {
                        // Before the scope ends: its thread reads until the child is gone.
                        child.kill();
                        return (Vec::new(), Some(LoadError::Compiling(path.to_owned(), too_long(limits))));
                    }
                }
            }
        });
        if let Some(why) = why {
            return Err(why);
        }
        let status = child.wait().map_err(|error| LoadError::Host(path.to_owned(), error.to_string()))?;
        match died(status, limits, &child.last_words()) {
            None => Ok(answer),
            Some(why) => Err(LoadError::Compiling(path.to_owned(), why)),
        }
    }
}

fn start(program: &Path, limits: CompileLimits) -> std::io::Result<Child> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(4);
    let seconds = limits.time.as_secs().saturating_add(1).saturating_mul(cores as u64);
    Command::new(program)
        .arg0("reactor")
        .args([ASKED.to_owned(), limits.memory.to_string(), seconds.to_string()])
        .env_clear()
        // Each thread reserves addresses for its stack and heap, and the memory limit covers them all.
        .env("RAYON_NUM_THREADS", cores.to_string())
        .env("MALLOC_ARENA_MAX", "2")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // ctrl-c in a terminal is for the program, which decides about its children.
        .process_group(0)
        .spawn()
}

/// A child that is killed when this is dropped.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        // Fails only if the child has already ended.
        let _ = self.0.kill();
    }

    /// What the child wrote before it ended, if that was little: it does not write while it works.
    fn last_words(&mut self) -> String {
        let mut words = Vec::new();
        if let Some(stderr) = self.0.stderr.take() {
            // Unreadable output explains nothing.
            let _ = stderr.take(MAX_WORDS).read_to_end(&mut words);
        }
        String::from_utf8_lossy(&words).into_owned()
    }

    fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.0.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        let _ = self.0.wait();
    }
}

fn stopped(path: &Path) -> LoadError {
    LoadError::Compiling(path.to_owned(), "the program is stopping".to_owned())
}

const REMEDY: &str = "split its largest functions and build it with optimizations";

fn too_long(limits: CompileLimits) -> String {
    format!("that took more than {:?}; {REMEDY}, or allow more with REACTOR_COMPILE_SECONDS", limits.time)
}

/// Why a child ended without an answer, if it did.
fn died(status: ExitStatus, limits: CompileLimits, last_words: &str) -> Option<String> {
    use rustix::process::Signal;
    if status.success() {
        return None;
    }
    let signal = status.signal();
    let is = |other: Signal| signal == Some(other.as_raw());
    // A failed allocation and a stack overflow end a program with the same signal.
    Some(if is(Signal::ABORT) && last_words.contains("overflowed its stack") {
        "its types or blocks are nested too deeply for the compiler; flatten them".to_owned()
    } else if is(Signal::ABORT) {
        let mib = limits.memory >> 20;
        format!("that took more than {mib} MiB of memory; {REMEDY}, or allow more with REACTOR_COMPILE_MEMORY")
    } else if is(Signal::XCPU) {
        too_long(limits)
    } else if is(Signal::KILL) {
        format!("the process that compiled it was killed, perhaps because this machine has too little memory; {REMEDY}")
    } else {
        format!("the compiler failed on it ({status}); {REMEDY}")
    })
}
