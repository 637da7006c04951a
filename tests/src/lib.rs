//! Shared by the end-to-end tests: the built program, the built guests, and a separate folder for each test.
//!
//! Everything here panics with a clear message if something is missing: a test that cannot run has to fail.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::expect_used, clippy::panic, reason = "this is test code")]

pub mod fake_sqs;

pub mod http;

pub mod localstack;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;
use tempfile::TempDir;

/// How long to wait before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are one level below the root")
}

/// A file of `tests/field`.
pub fn field(name: &str) -> PathBuf {
    root().join("tests/field").join(name)
}

/// The text of such a file.
pub fn field_text(name: &str) -> String {
    std::fs::read_to_string(field(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn target_dir() -> PathBuf {
    // The test program itself is in <target>/<profile>/deps.
    let exe = std::env::current_exe().expect("the path of the test program");
    exe.ancestors().nth(3).expect("target/profile/deps/test").to_owned()
}

fn cargo(args: &[&str]) {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).current_dir(root()).env("CARGO_TARGET_DIR", target_dir());
    let status = command.status().expect("cargo can be run");
    assert!(status.success(), "cargo {} failed", args.join(" "));
}

/// The `reactor` program, rebuilt if it is out of date.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        cargo(&["build", "--quiet", "--package", "reactor-cli", "--bin", "reactor"]);
        target_dir().join("debug/reactor")
    })
}

/// A guest of this workspace as a module, by its package name, rebuilt if it is out of date.
pub fn guest(package: &str) -> PathBuf {
    guest_for("wasm32-unknown-unknown", package)
}

/// The same, for another target.
pub fn guest_for(target: &str, package: &str) -> PathBuf {
    cargo(&["build", "--quiet", "--profile", "guest", "--target", target, "--package", package]);
    let module = target_dir().join(target).join("guest").join(package.replace('-', "_")).with_extension("wasm");
    assert!(module.is_file(), "{} was not built; is the target {target} installed?", module.display());
    module
}

/// A folder with a `reactors.toml`, in which the program runs.
#[derive(Debug)]
pub struct Sandbox {
    dir: TempDir,
    env: BTreeMap<String, String>,
}

impl Sandbox {
    /// A folder with this configuration.
    pub fn new(config: &str) -> Self {
        let sandbox = Self { dir: TempDir::new().expect("a temporary folder"), env: BTreeMap::new() };
        sandbox.write("reactors.toml", config);
        sandbox
    }

    /// A folder with one reactor, `tally`, that sums up amounts per account; `extra` goes into its table.
    pub fn tally(extra: &str) -> Self {
        let sandbox = Self::new(&format!(
            "[channels.in]\nkind = \"local\"\n\n[reactors.tally]\nmodule = \"tally.wasm\"\nfrom = [\"in\"]\n\
             on = [\"added\"]\nallow = {{ state = true }}\n{extra}\n"
        ));
        std::fs::copy(guest("guest-tally"), sandbox.path("tally.wasm")).expect("the module can be copied");
        sandbox
    }

    /// A folder with one reactor, `moody`, that does what each event says; `extra` goes into its table.
    pub fn moody(extra: &str) -> Self {
        let sandbox = Self::new(&format!(
            "[channels.in]\nkind = \"local\"\n\n[reactors.moody]\nmodule = \"moody.wasm\"\nfrom = [\"in\"]\n\
             on = [\"mood\"]\nemit = {{ mood = \"in\" }}\nallow = {{ state = true }}\n{extra}\n"
        ));
        std::fs::copy(guest("guest-moody"), sandbox.path("moody.wasm")).expect("the module can be copied");
        sandbox
    }

    /// A folder with this configuration, and `seen.wasm`, which records its input.
    pub fn seen(config: &str) -> Self {
        let sandbox = Self::new(config);
        std::fs::copy(guest("guest-seen"), sandbox.path("seen.wasm")).expect("the module can be copied");
        sandbox
    }

    /// A folder with the repository's own configuration, and the modules where it expects them.
    pub fn demo() -> Self {
        let config = std::fs::read_to_string(root().join("reactors.toml")).expect("the repository's configuration");
        let sandbox = Self::new(&config);
        let modules = "target/wasm32-unknown-unknown/guest";
        std::fs::create_dir_all(sandbox.path(modules)).expect("a folder in a temporary folder");
        for reactor in ["analytics", "inventory", "notifications", "payments"] {
            let module = sandbox.path(&format!("{modules}/example_{reactor}.wasm"));
            std::fs::copy(guest(&format!("example-{reactor}")), module).expect("the module can be copied");
        }
        sandbox
    }

    /// Sets an environment variable for the program, after those that point it to the emulator.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in the folder.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).expect("a file in a temporary folder");
    }

    /// The program, to be run in the folder. Its AWS calls go to the emulator, or nowhere.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).current_dir(self.dir.path()).env_remove("RUST_LOG").env("NO_COLOR", "1");
        localstack::lead_to_emulator(&mut command);
        command.envs(&self.env);
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.command(args).stdin(Stdio::null()).output().expect("the program can be run").into()
    }

    /// Runs the program with this standard input.
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        // A program that rejects its input early closes the pipe, which is no fault of the test.
        let _ = child.stdin.take().expect("its standard input").write_all(input);
        child.wait_with_output().expect("the program ends").into()
    }

    /// The store, for inspection.
    pub fn store(&self) -> Connection {
        let store = Connection::open(self.path(".reactor/reactor.db")).expect("the store");
        store.busy_timeout(PATIENCE).expect("a time-out");
        store
    }

    /// A value of a reactor's state, as text.
    pub fn state(&self, reactor: &str, key: &str) -> Option<String> {
        let sql = "SELECT CAST(value AS TEXT) FROM state JOIN reactors ON id = reactor WHERE name = ?1 AND key = ?2";
        self.store().query_row(sql, [reactor, key], |row| row.get(0)).optional().expect("its state table")
    }

    /// The inputs of a reactor whose module is `seen.wasm`, in order.
    pub fn given(&self, reactor: &str) -> Vec<Value> {
        let texts = (1..).map_while(|number: u32| self.state(reactor, &number.to_string()));
        texts.map(|text| serde_json::from_str(&text).expect("JSON")).collect()
    }

    /// Publishes these events, one per line.
    pub fn publish(&self, channel: &str, events: &[String]) {
        self.run_with(&["publish", channel], events.join("\n").as_bytes()).ok();
    }

    /// Every dead letter, newest first, as JSON; `select` narrows it.
    pub fn dead(&self, select: &[&str]) -> Vec<Value> {
        self.run(&[&["--json", "dead", "list"], select].concat()).ok().json_lines()
    }

    /// Starts `reactor up` and waits until it reports that it is up.
    pub fn up(&self, args: &[&str]) -> Up {
        let log = self.path("up.log");
        let file = std::fs::File::create(&log).expect("a log file");
        let child = self
            .command(&[&["up"], args].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .expect("the program can be run");
        let mut up = Up { child, log };
        wait_until("`reactor up` is up", || {
            assert!(up.child.try_wait().expect("its state").is_none(), "it ended: {}", up.log());
            up.log().lines().any(|line| line.ends_with(" up") || line.contains("\"message\":\"up\""))
        });
        up
    }

    /// Runs the host until it is idle, and returns the counts.
    pub fn until_idle(&self) -> Value {
        self.run(&["--json", "up", "--until-idle"]).ok().json()
    }
}

/// A running host; killed when dropped.
#[derive(Debug)]
pub struct Up {
    child: Child,
    log: PathBuf,
}

impl Up {
    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log can be read")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Sends SIGTERM, waits for a successful end, and returns the counts. Needs `--json`.
    pub fn drain(mut self) -> Value {
        self.signal("TERM");
        let status = wait_for(&mut self.child);
        assert!(status.success(), "{status}: {}", self.log());
        let mut summary = String::new();
        let mut stdout = self.child.stdout.take().expect("its standard output");
        stdout.read_to_string(&mut summary).expect("text");
        serde_json::from_str(&summary).unwrap_or_else(|error| panic!("{error}: {summary}"))
    }

    /// Waits until it has logged this text.
    pub fn wait_for_log(&self, text: &str) {
        wait_until(text, || self.log().contains(text));
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for the end.
    pub fn wait(mut self) -> ExitStatus {
        wait_for(&mut self.child)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Fails if it has already ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(status.expect("kill can be run").success(), "the process is there");
}

fn wait_for(child: &mut Child) -> ExitStatus {
    let mut ended = None;
    wait_until("the program ends", || {
        ended = child.try_wait().expect("its state");
        ended.is_some()
    });
    ended.expect("it has ended")
}

/// Waits until a condition holds, or panics.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// Asserts success.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// Asserts an exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that its messages contain this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "`{text}` is not in:\n{}", self.stderr);
        self
    }

    /// The last line of its output, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// Every line of its output, as JSON.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// An event for the `tally` guest.
pub fn added(id: usize, account: &str, amount: usize) -> String {
    serde_json::json!({
        "eventId": format!("e{id}"),
        "eventType": "added",
        "source": "test",
        "data": { "account": account, "amount": amount },
    })
    .to_string()
}

/// An event for the `moody` guest; `data` says what to do.
pub fn mood(id: &str, data: &Value) -> String {
    serde_json::json!({ "eventId": id, "eventType": "mood", "source": "test", "data": data }).to_string()
}

/// A reactor's counts in the output of `up`.
#[track_caller]
pub fn counts<'a>(summary: &'a Value, reactor: &str) -> &'a Value {
    let reactors = summary["reactors"].as_array().expect("a list of reactors");
    reactors.iter().find(|entry| entry["name"] == reactor).unwrap_or_else(|| panic!("no {reactor} in {summary}"))
}
