//! Restores a backup into an empty database of MongoDB: first into a temporary data directory, and from there as a
//! transfer, which compares both sides at the end. No service starts on the database before that.

use super::error::BackupError;
use super::progress::BackupProgress;
use super::restore::{BackupReader, RestoreReport, RestoreStamp, mark, unpack};
use crate::transfer::side::OpenSide;
use crate::transfer::transfer_for_restore;
use crate::{EmbeddedOptions, MongoOptions, Side, TRANSFER_MARK, TransferError, TransferProgress};
use std::collections::BTreeSet;
use std::path::Path;
use tenantry_domain::app::operator;
use tenantry_domain::ids::OrganizationId;

/// Restores the backup; `scratch` is an empty directory of ours, with room for all of it.
///
/// # Errors
/// See [`BackupError`]. What was copied stays, and no service starts on it.
pub async fn restore_mongodb(
    reader: &mut dyn BackupReader,
    mongodb: &MongoOptions,
    scratch: &Path,
    without: &BTreeSet<OrganizationId>,
    marking: &RestoreStamp<'_>,
    tell: &mut (dyn FnMut(BackupProgress) + Send),
) -> Result<RestoreReport, BackupError> {
    ensure_empty(mongodb).await?;
    let report = unpack(reader, scratch, without, tell)?;
    mark(scratch, &report.summary, marking).await?;
    let options = EmbeddedOptions { data_dir: scratch.to_owned(), clock: marking.clock.clone(), readers: 1 };
    let bytes = report.summary.bytes;
    let mut told = |step: TransferProgress| {
        if let TransferProgress::Copied { organizations, of, .. } = step {
            tell(BackupProgress { organizations, of: Some(of), bytes });
        }
    };
    match transfer_for_restore(&Side::Embedded(options), &Side::MongoDb(mongodb.clone()), &mut told).await {
        Ok(_) => Ok(report),
        Err(TransferError::Busy { organization }) => Err(BackupError::Transfer(format!(
            "{organization} was in the middle of a change when the backup was made. Restore the backup into a data \
             directory, start the service on it once, which finishes the change, and run `tenantry transfer`."
        ))),
        Err(TransferError::Occupied { .. }) => Err(occupied(mongodb)),
        Err(error) => Err(BackupError::Transfer(error.to_string())),
    }
}

fn occupied(mongodb: &MongoOptions) -> BackupError {
    BackupError::Occupied { target: format!("The database {}", mongodb.database) }
}

/// Refuses a database in which a service has started, unless an earlier restore has left it unfinished.
async fn ensure_empty(mongodb: &MongoOptions) -> Result<(), BackupError> {
    let target = OpenSide::open(&Side::MongoDb(mongodb.clone())).await?;
    let installation = &target.ports.installation;
    let look = async {
        let is_unfinished = installation.get_value(TRANSFER_MARK).await?.is_some();
        let is_new = installation.get_value(operator::HASH).await?.is_none();
        let has_organizations = !target.scan.organizations(None).await?.is_empty();
        Ok(is_unfinished || (is_new && !has_organizations))
    };
    let found: tenantry_domain::Result<bool> = look.await;
    target.engine.close().await;
    if found? { Ok(()) } else { Err(occupied(mongodb)) }
}
