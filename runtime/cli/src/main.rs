//! The `reactor` program.

fn main() -> std::process::ExitCode {
    reactor_cli::main()
}
