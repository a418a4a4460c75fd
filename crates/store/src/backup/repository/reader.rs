//! Reads a backup of a directory for a restore.

use super::Repository;
use crate::backup::content::HashingReader;
use crate::backup::encryption::Identities;
use crate::backup::error::BackupError;
use crate::backup::format::{BackupFile, BackupManifest, Damage};
use crate::backup::restore::{BackupReader, PathFilter, Visit};
use std::io::Read;

/// A backup of a directory, with what opens it.
pub struct RepositoryReader {
    repository: Repository,
    manifest: BackupManifest,
    identities: Identities,
}

impl Repository {
    /// The backup of that name, or the newest, to be restored.
    ///
    /// # Errors
    /// There is none, or the passphrase is wrong.
    pub fn reader(
        self,
        id: Option<&str>,
        mut identities: Identities,
    ) -> Result<RepositoryReader, BackupError> {
        let manifest = self.manifest(id)?;
        if let Some(protected) = self.protected_key()? {
            identities.unlock(&protected)?;
        }
        Ok(RepositoryReader { repository: self, manifest, identities })
    }
}

impl BackupReader for RepositoryReader {
    fn organizations(&self) -> Option<u64> {
        Some(self.manifest.summary.organizations)
    }

    fn each(&mut self, wanted: PathFilter<'_>, visit: Visit<'_>) -> Result<BackupManifest, BackupError> {
        let mut manifest = self.manifest.clone();
        for file in manifest.files.iter_mut().filter(|file| wanted(&file.path)) {
            match self.read(file, &mut *visit) {
                Ok(()) => {}
                // The others may be good, and the operator wants to know of all that are not.
                Err(BackupError::Damaged { what }) if file.organization.is_some() => {
                    file.damage = Some(Damage { fault: what, is_earlier: false });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(manifest)
    }
}

impl RepositoryReader {
    fn read(&self, file: &BackupFile, visit: Visit<'_>) -> Result<(), BackupError> {
        let damaged = |cause: &str| match file.organization {
            // Its path is named with what else is wrong with containers.
            Some(_) => BackupError::damaged(cause),
            None => BackupError::damaged(format!("{} ({cause})", file.path)),
        };
        let objects = self.repository.objects();
        let object = objects.open(&file.object).map_err(|error| damaged(&error.to_string()))?;
        let mut input = HashingReader::new(object);
        let visited = if self.manifest.summary.recipients.is_empty() {
            visit(&file.path, &mut input)
        } else {
            let decrypted = self.identities.decrypt(&mut input);
            decrypted.and_then(|mut content| visit(&file.path, &mut content as &mut dyn Read))
        };
        // What is damaged is said to be that, no matter what else it has led to.
        let (hash, bytes) = input.finish().map_err(|error| damaged(&error.to_string()))?;
        if hash != file.object || bytes != file.kept {
            return Err(damaged(&format!("its object {} is not what was written", file.object)));
        }
        visited
    }
}
