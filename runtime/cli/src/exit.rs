//! Exit codes, as documented in the README.

use std::process::ExitCode;

use reactor_core::store::StoreError;

/// Done.
pub const OK: u8 = 0;
/// Something failed that no other code names.
pub const FAILURE: u8 = 1;
/// The command line is wrong; also what the argument parser itself exits with.
pub const USAGE: u8 = 2;
/// `reactors.toml` is wrong or cannot be read.
pub const CONFIG: u8 = 3;
/// A module is missing, broken, or imports what it was not granted; or its build failed.
pub const MODULE: u8 = 4;
/// The data directory is locked, foreign, newer, damaged, not safe, not writable, or not there.
pub const STORE: u8 = 5;
/// Some of the input was refused, and the rest was accepted; or nothing of it is an event.
pub const PARTIAL: u8 = 6;
/// Dead letters are left, and `--fail-on-dead` was asked for.
pub const DEAD: u8 = 7;

/// An error and the code the program ends with.
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

    /// Whether it is that there is no store yet.
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
