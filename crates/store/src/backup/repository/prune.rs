//! Retention: the oldest backups go, and then what no other one needs.

use super::Repository;
use crate::backup::error::BackupError;
use crate::backup::files::sync_directory;
use std::collections::HashSet;
use std::fs;

/// What was removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Backups.
    pub backups: usize,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Repository {
    /// Removes all backups but the newest `keep`, and what none of these needs.
    ///
    /// # Errors
    /// A manifest that stays is damaged: then nothing is removed. Or the directory cannot be written.
    pub fn prune(&self, keep: usize) -> Result<Pruned, BackupError> {
        let ids = self.ids()?;
        let (old, kept) = ids.split_at(ids.len().saturating_sub(keep));
        let mut needed = HashSet::new();
        for id in kept {
            needed.extend(self.manifest(Some(id))?.files.into_iter().map(|file| file.object));
        }
        for id in old {
            let file = self.manifest_file(id);
            fs::remove_file(&file).map_err(BackupError::not_writable(&file))?;
        }
        // A manifest that comes back after a power failure must find its objects.
        sync_directory(&self.directory.join(super::BACKUPS))?;
        let mut pruned = Pruned { backups: old.len(), ..Pruned::default() };
        let objects = self.objects();
        objects.each(|object, bytes| {
            if !needed.contains(object) {
                let file = objects.file(object);
                fs::remove_file(&file).map_err(BackupError::not_writable(&file))?;
                pruned.objects += 1;
                pruned.bytes += bytes;
            }
            Ok(())
        })?;
        Ok(pruned)
    }
}
