//! How a restored data directory takes its place.

use crate::backup::error::BackupError;
use crate::backup::format::{CONTROL, KEY_FILES};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tenantry_store_sqlite::{DirectoryLock, RESTORING};

/// In the staging directory: everything is there, and may be moved.
const COMPLETE: &str = "complete";
const CONTAINERS: &str = "containers";
/// What may be in an empty directory: the lock, and what the root of a file system has.
const IGNORED: [&str; 3] = ["tenantry.lock", "lost+found", RESTORING];

/// Whether a restore into that directory has begun and not finished.
#[must_use]
pub fn is_restoring(data_dir: &Path) -> bool {
    data_dir.join(RESTORING).exists()
}

/// The data directory that is being restored, locked.
pub(super) struct Target {
    directory: PathBuf,
    _lock: DirectoryLock,
}

impl Target {
    pub(super) fn take(data_dir: &Path) -> Result<Self, BackupError> {
        let target = Self { directory: data_dir.to_owned(), _lock: DirectoryLock::take(data_dir)? };
        if !target.staging().join(COMPLETE).exists() {
            target.ensure_empty()?;
        }
        Ok(target)
    }

    fn staging(&self) -> PathBuf {
        self.directory.join(RESTORING)
    }

    fn ensure_empty(&self) -> Result<(), BackupError> {
        let failed = BackupError::not_readable(&self.directory);
        for entry in fs::read_dir(&self.directory).map_err(&failed)? {
            let name = entry.map_err(&failed)?.file_name();
            if !name.to_str().is_some_and(|name| IGNORED.contains(&name)) {
                return Err(BackupError::Occupied { target: self.directory.display().to_string() });
            }
        }
        Ok(())
    }

    /// Finishes an earlier try, if everything was there; removes one that was not so far.
    pub(super) fn finish_earlier(&self) -> Result<bool, BackupError> {
        if self.staging().join(COMPLETE).exists() {
            self.move_all()?;
            return Ok(true);
        }
        remove_directory(&self.staging())?;
        Ok(false)
    }

    /// Where the files go first.
    pub(super) fn begin(&self) -> Result<PathBuf, BackupError> {
        let staging = self.staging();
        DirBuilder::new().mode(0o700).create(&staging).map_err(BackupError::not_writable(&staging))?;
        Ok(staging)
    }

    /// Everything is there: moves it to its place.
    pub(super) fn complete(&self) -> Result<(), BackupError> {
        let complete = self.staging().join(COMPLETE);
        File::create(&complete)
            .and_then(|file| file.sync_all())
            .map_err(BackupError::not_writable(&complete))?;
        sync(&self.staging())?;
        self.move_all()
    }

    fn move_all(&self) -> Result<(), BackupError> {
        let names = KEY_FILES.iter().map(|key| key.name).chain([CONTAINERS, CONTROL]);
        for name in names {
            let (from, to) = (self.staging().join(name), self.directory.join(name));
            if from.exists() {
                fs::rename(&from, &to).map_err(BackupError::not_writable(&to))?;
            }
        }
        sync(&self.directory)?;
        remove_directory(&self.staging())?;
        sync(&self.directory)
    }
}

fn sync(directory: &Path) -> Result<(), BackupError> {
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(BackupError::not_writable(directory))
}

/// Removes a directory with everything in it, if it is there.
fn remove_directory(path: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BackupError::not_writable(path)(error)),
        _ => Ok(()),
    }
}
