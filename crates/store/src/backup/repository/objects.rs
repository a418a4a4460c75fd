//! The objects of a directory of backups.

use crate::backup::content::HashingWriter;
use crate::backup::encryption::Recipients;
use crate::backup::error::BackupError;
use crate::backup::files::{make_directory, private_file, sync_directory};
use crate::backup::sink::{PutError, StoredObject, copy};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

pub(super) const OBJECTS: &str = "objects";

/// See [`self`].
pub(super) struct Objects {
    directory: PathBuf,
    /// The directories that have got objects since they were last synchronized.
    changed: BTreeSet<PathBuf>,
}

impl Objects {
    pub(super) fn new(repository: &Path) -> Self {
        Self { directory: repository.join(OBJECTS), changed: BTreeSet::new() }
    }

    /// Where the object is.
    pub(super) fn file(&self, object: &str) -> PathBuf {
        self.directory.join(&object[..2]).join(object)
    }

    /// Whether the object is there, with that size. It has its name only once it is whole.
    pub(super) fn has(&self, object: &str, kept: u64) -> bool {
        fs::metadata(self.file(object)).is_ok_and(|metadata| metadata.len() == kept)
    }

    /// Keeps `content`; returns what is kept, and how many bytes that has added.
    pub(super) fn put(
        &mut self,
        unfinished: &Path,
        recipients: Option<&Recipients>,
        content: &mut dyn Read,
    ) -> Result<(StoredObject, u64), PutError> {
        let file = unfinished.join("object.tmp");
        let failed = BackupError::not_writable(&file);
        let write = |error| PutError::Write(failed(error));
        let out = HashingWriter::new(private_file(&file).map_err(write)?);
        let out = match recipients {
            None => {
                let mut out = out;
                copy(content, &mut out, &failed)?;
                out
            }
            Some(recipients) => {
                let mut out = recipients.encrypt(out).map_err(write)?;
                copy(content, &mut out, &failed)?;
                out.finish().map_err(write)?
            }
        };
        let (mut out, object, kept) = out.finish();
        out.flush().and_then(|()| out.sync_data()).map_err(write)?;
        drop(out);
        let added = if self.has(&object, kept) { 0 } else { kept };
        let place = self.file(&object);
        let shard = place.parent().unwrap_or(&self.directory).to_owned();
        make_directory(&shard).map_err(PutError::Write)?;
        // Also over one that is there: that may have been damaged since, and this is what was read just now.
        fs::rename(&file, &place).map_err(write)?;
        self.changed.insert(shard);
        Ok((StoredObject { object, kept }, added))
    }

    /// Makes all names durable.
    pub(super) fn sync(&mut self) -> Result<(), BackupError> {
        for shard in std::mem::take(&mut self.changed) {
            sync_directory(&shard)?;
        }
        sync_directory(&self.directory)
    }

    /// Removes what an interrupted backup has left, but for its journal.
    pub(super) fn clear_unfinished(&self, unfinished: &Path, journal: &str) -> Result<(), BackupError> {
        let failed = BackupError::not_writable(unfinished);
        for entry in fs::read_dir(unfinished).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            if entry.file_name() != journal {
                fs::remove_file(entry.path()).map_err(&failed)?;
            }
        }
        Ok(())
    }

    /// Opens an object.
    pub(super) fn open(&self, object: &str) -> std::io::Result<File> {
        File::open(self.file(object))
    }

    /// Calls `visit` with every object and its size.
    pub(super) fn each(
        &self,
        mut visit: impl FnMut(&str, u64) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        let failed = BackupError::not_readable(&self.directory);
        for shard in fs::read_dir(&self.directory).map_err(&failed)? {
            for entry in fs::read_dir(shard.map_err(&failed)?.path()).map_err(&failed)? {
                let entry = entry.map_err(&failed)?;
                let bytes = entry.metadata().map_err(&failed)?.len();
                if let Some(name) = entry.file_name().to_str().filter(|name| name.len() == 64) {
                    visit(name, bytes)?;
                }
            }
        }
        Ok(())
    }
}
