//! Where a backup goes: a directory, or a stream.

use super::error::BackupError;
use super::format::{BackupFile, BackupManifest};
use jiff::Timestamp;
use std::io::{self, Read, Write};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// The name and the beginning of a backup.
#[derive(Debug, Clone)]
pub struct StartedBackup {
    /// Its name among others.
    pub id: String,
    /// When it began.
    pub began: Timestamp,
    /// Whom it is encrypted to, as far as that is known without a secret.
    pub recipients: Vec<String>,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
}

/// What is kept of a file.
pub struct StoredObject {
    /// The SHA-256 of what is kept.
    pub(super) object: String,
    /// Its size.
    pub(super) kept: u64,
}

/// Why a file was not put.
pub enum PutError {
    /// It could not be read.
    Read(io::Error),
    /// The place of the backup could not be written.
    Write(BackupError),
}

/// Takes the files of a backup.
pub trait Sink {
    /// What was started.
    fn started(&self) -> &StartedBackup;

    /// A file of that path that is there already, with the state it had.
    fn known(&self, path: &str) -> Option<&BackupFile>;

    /// Takes `bytes` of `content`. The same path may come again; then the last one counts.
    ///
    /// # Errors
    /// See [`PutError`].
    fn put(&mut self, path: &str, bytes: u64, content: &mut dyn Read) -> Result<StoredObject, PutError>;

    /// Notes a file that is good, so that an interrupted backup need not copy it again.
    ///
    /// # Errors
    /// The place cannot be written.
    fn note(&mut self, file: &BackupFile) -> Result<(), BackupError>;

    /// The bytes that were added so far.
    fn added(&self) -> u64;

    /// Makes the backup complete: only now it exists.
    ///
    /// # Errors
    /// The place cannot be written.
    fn complete(&mut self, manifest: &BackupManifest) -> Result<(), BackupError>;
}

/// Copies all of `content`, and tells where an error came from.
pub(super) fn copy(
    content: &mut dyn Read,
    out: &mut dyn Write,
    failed: impl Fn(io::Error) -> BackupError,
) -> Result<u64, PutError> {
    let (mut buffer, mut bytes) = (vec![0; BUFFER_BYTES], 0);
    loop {
        let read = match content.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(read) => read,
            Err(error) => return Err(PutError::Read(error)),
        };
        out.write_all(&buffer[..read]).map_err(|error| PutError::Write(failed(error)))?;
        bytes += read as u64;
    }
}
