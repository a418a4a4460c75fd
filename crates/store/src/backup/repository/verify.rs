//! Reads everything that backups need, and compares it with its hash. No key is needed for that.

use super::{BACKUPS, DAMAGED, Repository};
use crate::backup::content::HashingReader;
use crate::backup::error::BackupError;
use crate::backup::files::{make_directory, sync_directory};
use crate::backup::format::BackupFile;
use crate::backup::progress::BackupProgress;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Backups that were looked at.
    pub backups: usize,
    /// Objects that they have.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong: a sentence each, which names the backup and the file.
    pub failures: Vec<String>,
    /// The objects that are damaged.
    objects_damaged: BTreeSet<String>,
    /// The backups whose manifests are damaged.
    manifests_damaged: BTreeSet<String>,
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
    ) -> Result<VerifyReport, BackupError> {
        let ids = match id {
            Some(id) => vec![id.to_owned()],
            None => self.ids()?,
        };
        let mut verified = VerifyReport::default();
        // What each object was found to be.
        let mut seen: HashMap<String, Option<String>> = HashMap::new();
        for id in &ids {
            let manifest = match self.manifest(Some(id)) {
                Ok(manifest) => manifest,
                Err(error @ BackupError::Damaged { .. }) => {
                    verified.failures.push(format!("{id}: {error}"));
                    verified.manifests_damaged.insert(id.clone());
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
                    verified.objects_damaged.insert(file.object.clone());
                    verified.failures.push(format!("{id}: {} is damaged: {cause}.", file.path));
                }
                tell(BackupProgress { organizations, of, bytes: verified.bytes });
            }
        }
        Ok(verified)
    }

    /// Sets aside what [`Self::verify`] has found to be damaged, so that the next backup does not refer to it, and copies
    /// again what the installation still has. Returns how many files that were.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn set_aside(&self, verified: &VerifyReport) -> Result<usize, BackupError> {
        let place = self.directory.join(DAMAGED);
        make_directory(&place)?;
        let objects = self.objects();
        let damaged_objects = verified.objects_damaged.iter().map(|object| objects.file(object));
        let damaged_manifests = verified.manifests_damaged.iter().map(|id| self.manifest_file(id));
        let mut moved = 0;
        for file in damaged_objects.chain(damaged_manifests) {
            moved += usize::from(set_aside(&file, &place)?);
        }
        sync_directory(&place)?;
        sync_directory(&self.directory.join(BACKUPS))?;
        Ok(moved)
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

/// Moves a file to `place`; false if it is not there.
fn set_aside(file: &Path, place: &Path) -> Result<bool, BackupError> {
    let Some(name) = file.file_name() else { return Ok(false) };
    match fs::rename(file, place.join(name)) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(BackupError::not_writable(file)(error)),
    }
    file.parent().map_or(Ok(()), sync_directory)?;
    Ok(true)
}
