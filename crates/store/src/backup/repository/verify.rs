//! Reads everything that backups need, and compares it with its hash. No key is needed for that.

use super::Repository;
use crate::backup::content::HashingReader;
use crate::backup::error::BackupError;
use crate::backup::format::BackupFile;
use crate::backup::progress::BackupProgress;
use std::collections::HashMap;

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Backups that were looked at.
    pub backups: usize,
    /// Objects that they have.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong: a sentence each, which names the backup and the file.
    pub failures: Vec<String>,
}

impl Repository {
    /// Verifies the backup of that name, or all.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn verify(
        &self,
        id: Option<&str>,
        tell: &mut dyn FnMut(BackupProgress),
    ) -> Result<Verified, BackupError> {
        let ids = match id {
            Some(id) => vec![id.to_owned()],
            None => self.ids()?,
        };
        let mut verified = Verified::default();
        // What each object was found to be.
        let mut seen: HashMap<String, Option<String>> = HashMap::new();
        for id in &ids {
            let manifest = match self.manifest(Some(id)) {
                Ok(manifest) => manifest,
                Err(error @ BackupError::Damaged { .. }) => {
                    verified.failures.push(format!("{id}: {error}"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            verified.backups += 1;
            let of = Some(manifest.summary.organizations);
            for (organizations, file) in (0..).zip(&manifest.files) {
                let found = seen.entry(file.object.clone()).or_insert_with(|| {
                    verified.objects += 1;
                    verified.bytes += file.kept;
                    self.verify_object(file).err()
                });
                if let Some(cause) = found {
                    verified.failures.push(format!("{id}: {} is damaged: {cause}.", file.path));
                }
                tell(BackupProgress { organizations, of, bytes: verified.bytes });
            }
        }
        Ok(verified)
    }

    /// What is wrong with the object of that file.
    fn verify_object(&self, file: &BackupFile) -> Result<(), String> {
        let object = self.objects().open(&file.object);
        let object =
            object.map_err(|error| format!("its object {} cannot be read ({error})", file.object))?;
        let (hash, bytes) = HashingReader::new(object).finish().map_err(|error| error.to_string())?;
        if hash == file.object && bytes == file.kept {
            return Ok(());
        }
        Err(format!("its object {} is not what was written", file.object))
    }
}
