//! One organization out of a backup: the records, and its container alone.

use super::{BackupReader, RestoredOrganization, check_file, write};
use crate::backup::error::BackupError;
use crate::backup::format::{BackupSummary, CONTROL};
use crate::backup::progress::BackupProgress;
use std::path::Path;
use tenantry_domain::ids::OrganizationId;
use tenantry_store_sqlite::backup::{BackupSource, container_name, finish_restored_control};

/// Writes the records of the backup and the container of `organization` to `scratch`, an empty directory of ours, and
/// checks both. What is there then is a data directory in which all other organizations lack their containers.
///
/// # Errors
/// The backup does not have it, or is damaged.
pub fn unpack_organization(
    reader: &mut dyn BackupReader,
    organization: OrganizationId,
    scratch: &Path,
    tell: &mut dyn FnMut(BackupProgress),
) -> Result<(BackupSummary, RestoredOrganization), BackupError> {
    let container = container_name(organization);
    let mut bytes = 0;
    let manifest = reader.each(&|path| path == CONTROL || path == container, &mut |path, content| {
        bytes += write(scratch, path, content)?;
        tell(BackupProgress { organizations: u64::from(path == container), of: Some(1), bytes });
        Ok(())
    })?;
    let mut restored = None;
    for file in manifest.files.iter().filter(|file| file.path == CONTROL || file.path == container) {
        restored = restored.or(check_file(file, scratch)?);
    }
    finish_restored_control(&scratch.join(CONTROL))?;
    let records = BackupSource::open(scratch)?.organizations()?;
    let restored = match (records.get(&organization), restored) {
        (Some(_), Some(restored)) => restored,
        (Some(state), None) if state.has_container => {
            return Err(BackupError::damaged(format!("the container of {organization} is missing")));
        }
        // It has written nothing yet.
        (Some(_), None) => {
            RestoredOrganization { organization, moment: manifest.summary.records, until: None, bytes: 0 }
        }
        (None, _) => return Err(BackupError::NoSuchOrganization { organization: organization.to_string() }),
    };
    Ok((manifest.summary, restored))
}
