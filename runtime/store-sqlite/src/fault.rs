//! Translates `SQLite`'s errors into the store's.

use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use reactor_core::store::StoreError;

use super::{holder, room, vfs};

/// An error on its way out of the tables; the file's name is added at the edge.
#[derive(Debug)]
pub(super) enum Fault {
    /// Already an error of the store.
    Store(StoreError),
    /// As `SQLite` reported it.
    Sql(rusqlite::Error),
    /// A row with impossible content.
    Row(String),
}

/// A result inside the store.
pub(super) type Sql<T> = Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// A rejection that concerns only one operation.
    pub(super) fn other(text: impl Into<String>) -> Self {
        Self::Store(StoreError::Other(text.into()))
    }

    /// The public error; `file` is where it happened.
    pub(super) fn at(self, file: &Path) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Row(detail) => StoreError::Damaged { path: file.display().to_string(), detail },
            Self::Sql(error) => translate(&error, file),
        }
    }
}

fn translate(error: &rusqlite::Error, file: &Path) -> StoreError {
    let damaged = || StoreError::Damaged { path: file.display().to_string(), detail: error.to_string() };
    match error {
        rusqlite::Error::SqliteFailure(code, _) => match code.code {
            ErrorCode::DiskFull => StoreError::Full,
            // SQLite reports a full disk for its own writes, but not when it creates files or the log's index.
            ErrorCode::SystemIoFailure
                if matches!(code.extended_code, ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_SHMOPEN)
                    && room::is_full(file) =>
            {
                StoreError::Full
            }
            ErrorCode::CannotOpen if room::is_full(file) => StoreError::Full,
            ErrorCode::SystemIoFailure if code.extended_code == ffi::SQLITE_IOERR_DATA => match vfs::found() {
                Some(found) => StoreError::Damaged { path: found.file.display().to_string(), detail: found.detail },
                None => damaged(),
            },
            ErrorCode::SystemIoFailure => {
                StoreError::Broken { detail: format!("{}: {error} (code {})", file.display(), code.extended_code) }
            }
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => damaged(),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
                let who = holder::name(&holder::of_database(file));
                StoreError::Busy { path: file.display().to_string(), who }
            }
            ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                StoreError::Other(format!("cannot write {} ({error}); check who owns it", file.display()))
            }
            _ => StoreError::Other(error.to_string()),
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..) => damaged(),
        _ => StoreError::Other(error.to_string()),
    }
}
