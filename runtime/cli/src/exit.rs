//! Exit codes, as documented in the README.

use std::process::ExitCode;

use reactor_core::store::StoreError;

/// Done.
pub const OK: u8 = 0;
/// A failure without a more specific code.
pub const FAILURE: u8 = 1;
/// The command line is wrong; the argument parser exits with this code, too.
pub const USAGE: u8 = 2;
/// `reactors.toml` is wrong or cannot be read.
pub const CONFIG: u8 = 3;
/// A module is missing, broken, or imports what it was not granted; or its build failed.
pub const MODULE: u8 = 4;
/// The data directory is locked, foreign, newer, damaged, not safe, not writable, or missing.
pub const STORE: u8 = 5;
/// Some of the input was rejected and the rest accepted; or none of it is an event.
pub const PARTIAL: u8 = 6;
/// Dead letters are left, and `--fail-on-dead` was asked for.
pub const DEAD: u8 = 7;

/// An error and the program's exit code.
#[derive(Debug)]
pub struct Exit {
    /// One of this module's constants.
    pub code: u8,
    /// What to print on stderr; `None` if it has been printed.
    pub error: Option<anyhow::Error>,
}

impl Exit {
    /// An error to be printed.
    pub fn new(code: u8, error: impl Into<anyhow::Error>) -> Self {
        Self { code, error: Some(error.into()) }
    }

    /// Whether the error is that there is no store yet.
    pub fn is_missing_store(&self) -> bool {
        let store = self.error.as_ref().and_then(|error| error.downcast_ref());
        matches!(store, Some(StoreError::Missing { .. }))
    }

    /// An error that has been printed.
    pub fn printed(code: u8) -> Self {
        Self { code, error: None }
    }
}

impl From<anyhow::Error> for Exit {
    fn from(error: anyhow::Error) -> Self {
        let code = if error.is::<StoreError>() { STORE } else { FAILURE };
        Self { code, error: Some(error) }
    }
}

impl From<StoreError> for Exit {
    fn from(error: StoreError) -> Self {
        Self::new(STORE, error)
    }
}

impl From<std::io::Error> for Exit {
    fn from(error: std::io::Error) -> Self {
        Self::new(FAILURE, error)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code)
    }
}
