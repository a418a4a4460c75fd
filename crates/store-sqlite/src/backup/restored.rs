//! The files of a data directory that is being restored.

use crate::connection;
use crate::containers::rehearse as upgrade_container;
use crate::engine_error::EngineError;
use crate::error::OpenError;
use crate::inspect::{QuickCheck, open, quick_check, records};
use crate::schema;
use jiff::Timestamp;
use rusqlite::Connection;
use std::path::Path;
use tenantry_domain::ids::OrganizationId;

/// Checks every page of a restored container, and that it is that organization's; upgrades it.
///
/// # Errors
/// What is wrong with it.
pub fn check_restored_container(file: &Path, id: OrganizationId) -> Result<(), String> {
    let mut connection = connection::open_untouched(file).map_err(|error| error.to_string())?;
    check_pages(&connection)?;
    upgrade_container(&mut connection, id).map_err(|failure| match failure {
        EngineError::Engine(error) => error.to_string(),
        EngineError::Refused(error) => error.cause().unwrap_or("a record is unreadable").to_owned(),
    })?;
    connection.close().map_err(|(_, error)| error.to_string())
}

/// Checks every page of a restored control database, upgrades it, and removes the mails that waited: most of them were
/// sent since, and their links are dead. Returns how many these were.
///
/// # Errors
/// A sentence for the operator.
pub fn finish_restored_control(file: &Path) -> Result<usize, OpenError> {
    let refused = |error: rusqlite::Error| schema::refused(file, &error);
    let mut connection = connection::open_untouched(file).map_err(refused)?;
    check_pages(&connection).map_err(|cause| OpenError::Corrupt { file: file.to_owned(), cause })?;
    schema::upgrade(&mut connection, file)?;
    let mails = connection.execute("DELETE FROM mails", []).map_err(refused)?;
    connection.close().map_err(|(_, error)| refused(error))?;
    Ok(mails)
}

/// Makes those organizations of a restored control database ones that have written nothing: their containers are left out.
/// Returns the first that is unknown, if one is.
///
/// # Errors
/// A sentence for the operator.
pub fn empty_organizations(
    file: &Path,
    organizations: impl IntoIterator<Item = OrganizationId>,
) -> Result<Option<OrganizationId>, OpenError> {
    let refused = |error: rusqlite::Error| schema::refused(file, &error);
    let connection = connection::open_untouched(file).map_err(refused)?;
    let mut unknown = None;
    for id in organizations {
        let set = "UPDATE organizations SET has_file = 0 WHERE id = ?1";
        let changed = connection.execute(set, [id.as_bytes()]).map_err(refused)?;
        unknown = unknown.or((changed == 0).then_some(id));
    }
    connection.close().map_err(|(_, error)| refused(error))?;
    Ok(unknown)
}

/// When the newest record of a control database that nobody uses was made, to the second; `None` if that is unknown.
#[must_use]
pub fn newest_record(control: &Path) -> Option<Timestamp> {
    records::newest_record(&open(control, false).ok()?).ok()?
}

fn check_pages(connection: &Connection) -> Result<(), String> {
    match quick_check(connection) {
        Ok(QuickCheck::Damaged(faults)) => Err(faults.join("; ")),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
