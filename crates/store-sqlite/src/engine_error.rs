//! The errors of statements, and the only place that maps them to rows of the error table.

use rusqlite::ffi::{self, ErrorCode as SqliteCode};
use tenantry_documents::fuel::Interruption;
use tenantry_domain::{Error, ErrorCode};
use tokio::task::JoinError;

/// Why a read or a write failed.
#[derive(Debug)]
pub(super) enum EngineError {
    /// An error of SQLite.
    Engine(rusqlite::Error),
    /// A refusal of ours.
    Refused(Error),
}

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<tenantry_documents::Error> for EngineError {
    fn from(error: tenantry_documents::Error) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Interruption> for EngineError {
    fn from(stopped: Interruption) -> Self {
        Self::Refused(stopped.into())
    }
}

impl From<EngineError> for Error {
    fn from(failure: EngineError) -> Self {
        match failure {
            EngineError::Refused(error) => error,
            EngineError::Engine(error) => taken(&error).map_or_else(|| refusal(&error), Self::new),
        }
    }
}

/// The result of work on a connection.
pub(super) type EngineResult<T> = Result<T, EngineError>;

/// The uniqueness rule that was broken, if one was.
fn taken(error: &rusqlite::Error) -> Option<ErrorCode> {
    let rusqlite::Error::SqliteFailure(sqlite, Some(message)) = error else { return None };
    let unique = [ffi::SQLITE_CONSTRAINT_PRIMARYKEY, ffi::SQLITE_CONSTRAINT_UNIQUE];
    if !unique.contains(&sqlite.extended_code) {
        return None;
    }
    match message.rsplit(' ').next()? {
        "reserved_keys.key" => Some(ErrorCode::NameTaken),
        "accounts.email_key" => Some(ErrorCode::EmailTaken),
        _ => None,
    }
}

/// `store_unavailable` for what may pass (a full disk, a lock, an unreadable file), `internal` for defects.
fn refusal(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(SqliteCode::ConstraintViolation | SqliteCode::ApiMisuse | SqliteCode::Unknown) | None => {
            Error::internal(error)
        }
        Some(_) => Error::unavailable(error),
    }
}

/// The error of work on a thread of its own that did not finish.
pub(super) fn cut_off(error: &JoinError) -> Error {
    if error.is_panic() {
        return Error::internal("work on the store has panicked");
    }
    Error::unavailable("the runtime is shutting down")
}

/// Whether the connection that met this error must not be used again: after a failed read, write or fsync
/// nobody knows what its caches hold.
pub(super) fn is_fatal(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            SqliteCode::SystemIoFailure
                | SqliteCode::DatabaseCorrupt
                | SqliteCode::NotADatabase
                | SqliteCode::CannotOpen
                | SqliteCode::OutOfMemory
                | SqliteCode::FileLockingProtocolFailed
                // A connection that was opened on a read-only disk stays read-only.
                | SqliteCode::ReadOnly
        )
    )
}

/// Whether only the statement that met this error is lost, and the transaction around it can go on.
pub(super) fn is_of_statement(error: &rusqlite::Error) -> bool {
    !is_fatal(error) && error.sqlite_error_code() != Some(SqliteCode::DiskFull)
}
