//! Files of backups: for their owner alone, and durable.

use super::error::BackupError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// A new file that its owner alone may read.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Makes a directory for its owner alone, if it is missing.
pub(super) fn make_directory(path: &Path) -> Result<(), BackupError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(BackupError::not_writable(path)(error)),
        _ => Ok(()),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(BackupError::not_writable(path))
}

/// Writes a file, completely or not at all.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let unfinished = path.with_extension("tmp");
    let write = || -> io::Result<()> {
        let mut file = private_file(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(BackupError::not_writable(path))?;
    path.parent().map_or(Ok(()), sync_directory)
}
