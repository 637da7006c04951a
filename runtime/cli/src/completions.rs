//! `reactor completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::exit::Exit;

/// Print a script that completes commands and options in a shell
///
/// Where to put it depends on the shell: bash reads ~/.local/share/bash-completion/completions/reactor, zsh a file
/// _reactor in a folder of $fpath, fish ~/.config/fish/completions/reactor.fish.
///
/// Example: reactor completions bash
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<(), Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "reactor", &mut script);
        super::print_as_is(String::from_utf8_lossy(&script).trim_end());
        Ok(())
    }
}
