//! The command line: one file per command, and the only place that wires the parts together.
//!
//! Data goes to stdout, messages to stderr.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]
#![allow(clippy::disallowed_methods, reason = "no part of the walk: it lives by the machine's clocks")]

/// Prints one line of data on stdout, with everything in it escaped.
macro_rules! out {
    ($($words:tt)*) => { $crate::print_as_is(&reactor_core::plain::line(&format!($($words)*))) };
}

/// Prints a message on stderr; further lines of its content get a margin.
macro_rules! say {
    ($($words:tt)*) => { $crate::say_as_is(&reactor_core::plain::lines(&$crate::hidden::hide(&format!($($words)*)))) };
}

mod attempt;
mod backstop;
pub mod bench;
mod build;
mod check;
mod codes;
mod completions;
mod connect;
mod dead;
mod dead_from;
pub mod exit;
mod explain;
mod graph;
mod hidden;
mod input;
mod invoke;
pub mod kinds;
mod letters;
mod log;
mod logging;
mod modules;
mod new;
mod orphans;
mod patience;
mod project;
mod publish;
mod publish_again;
mod reload;
mod report;
mod schema;
mod shell;
mod status;
mod store;
mod up;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use reactor_core::plain::{self, MARGIN};

use exit::Exit;

/// Runs sandboxed WebAssembly consumers on events, and commits the effects of each at most once.
#[derive(Debug, Parser)]
#[command(name = "reactor", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 failure, 2 usage, 3 configuration, 4 module, 5 store, 6 some input rejected or none decodable, \
     7 dead letters left (--fail-on-dead).";

/// Options of every command.
#[derive(Clone, Debug, Args)]
struct Global {
    /// The configuration file
    #[arg(long, short, global = true, value_name = "FILE", default_value = "reactors.toml")]
    config: PathBuf,
    /// The data directory; overrides the one in the configuration
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    /// The form of log lines, which go to stderr; RUST_LOG chooses what is logged
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
    /// Whether to use colours on stderr and in tables
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// One short line for each thing that happened
    Text,
    /// One JSON object per line, with all fields
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    /// In a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

impl Global {
    /// Whether stderr gets colours.
    fn colored(&self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal()
            }
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::New),
    Build(build::Build),
    Check(check::Check),
    Up(up::Up),
    Publish(publish::Publish),
    Invoke(invoke::Invoke),
    Bench(bench::command::Bench),
    #[command(subcommand)]
    Dead(dead::Dead),
    #[command(subcommand)]
    Log(log::Log),
    Graph(graph::Graph),
    #[command(subcommand)]
    Store(store::Store),
    Explain(explain::Explain),
    Schema(schema::Schema),
    Completions(completions::Completions),
}

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    if let Some(code) = reactor_sandbox::compiled_for_another() {
        return code;
    }
    std::panic::set_hook(Box::new(say_panic));
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    let filter = if matches!(cli.command, Command::Bench(_)) { bench::command::LOGGED } else { logging::USUAL };
    logging::start(&cli.global, filter);
    let ended = match cli.command {
        Command::New(command) => command.run(&cli.global),
        Command::Build(command) => command.run(&cli.global),
        Command::Check(command) => command.run(&cli.global),
        Command::Up(command) => command.run(&cli.global),
        Command::Publish(command) => command.run(&cli.global),
        Command::Invoke(command) => command.run(&cli.global),
        Command::Bench(command) => command.run(&cli.global),
        Command::Dead(command) => command.run(&cli.global),
        Command::Log(command) => command.run(&cli.global),
        Command::Graph(command) => command.run(&cli.global),
        Command::Store(command) => command.run(&cli.global),
        Command::Explain(command) => command.run(&cli.global),
        Command::Schema(command) => command.run(),
        Command::Completions(command) => command.run(),
    };
    match ended {
        Ok(()) => ExitCode::from(exit::OK),
        Err(exit) => {
            say_why(&exit, cli.global.colored());
            exit.into()
        }
    }
}

/// Ends the program with a message about its arguments, or with the help. The parser quotes arguments unescaped, so it
/// gets escaped ones for its message.
fn refuse(error: &clap::Error) -> ! {
    let plain = std::env::args_os().map(|argument| plain::line(&argument.to_string_lossy()).into_owned());
    match Cli::try_parse_from(plain) {
        Err(same) if same.kind() == error.kind() => same.exit(),
        // The escaping changed the error, or removed it.
        _ => error.exit(),
    }
}

/// Prints the program's own text on stdout, on any number of lines; text from outside in it is escaped.
///
/// A reader that has gone away, such as `head`, does not stop the program.
fn print_as_is(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// The same on stderr; variables' values are hidden before escaping, since they could not be found afterwards.
fn say_as_is(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints JSON on stdout, with hidden characters as JSON escapes.
fn print_json(json: &impl std::fmt::Display) {
    print_as_is(&plain::json(&json.to_string()));
}

/// Prints a text from outside on stdout, with a margin before every line. JSON keeps its own escapes.
fn print_block(text: &str) {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    for line in text.split('\n') {
        let line = if is_json { plain::json(line) } else { plain::line(line) };
        print_as_is(&format!("{MARGIN}{line}"));
    }
}

/// A panic message may quote the content of an event.
fn say_panic(panic: &PanicHookInfo<'_>) {
    say!("thread `{}` {panic}", std::thread::current().name().unwrap_or("?"));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        say!("{backtrace}");
    }
}

fn say_why(exit: &Exit, colored: bool) {
    let Some(error) = &exit.error else { return };
    let (on, off) = if colored { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    say_as_is(&format!("{on}error{off}: {}", plain::lines(&hidden::hide(&error.to_string()))));
    for cause in error.chain().skip(1) {
        say!("  because: {cause}");
    }
}
