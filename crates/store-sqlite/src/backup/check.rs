//! Checks every page of a container, while others may write to it.

use super::snapshot::SnapshotError;
use super::state::FileState;
use crate::connection;
use crate::directory::Directory;
use crate::inspect::{QuickCheck, open, quick_check};
use rusqlite::ErrorCode;
use std::io;
use std::path::Path;
use tenantry_domain::ids::OrganizationId;

/// How often to check a file that others change meanwhile.
const ATTEMPTS: u32 = 5;

/// What is wrong with the container `file`; `None` if it is sound, or not there.
///
/// # Errors
/// It cannot be read.
pub fn check_container(file: &Path) -> Result<Option<String>, SnapshotError> {
    let mut found = None;
    for _ in 0..ATTEMPTS {
        let Some(before) = FileState::of(file)? else { return Ok(None) };
        let checked = check(file, before.is_open());
        if matches!(checked, Ok(None)) {
            return Ok(None);
        }
        // A reader of a file that is open sees one state of it. Without one, others may have written meanwhile.
        let is_conclusive =
            before.is_open() || FileState::of(file)?.is_some_and(|after| after == before && !after.is_open());
        if is_conclusive {
            return Ok(checked?);
        }
        found = Some(checked);
    }
    Ok(found.transpose()?.flatten())
}

fn check(file: &Path, is_open: bool) -> rusqlite::Result<Option<String>> {
    let checked = if is_open { connection::open_reader(file) } else { open(file, false) }
        .and_then(|connection| quick_check(&connection));
    match checked {
        Ok(QuickCheck::Damaged(faults)) => Ok(Some(faults.join("; ").replace('\n', "; "))),
        Ok(_) => Ok(None),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Ok(Some(error.to_string())),
            _ => Err(error),
        },
    }
}

/// Checks every page of every container of that data directory; returns how many there are, and what is wrong with which.
///
/// # Errors
/// A directory or a file cannot be read.
pub fn check_containers(data_dir: &Path) -> Result<(u64, Vec<(OrganizationId, String)>), SnapshotError> {
    let directory = Directory::at(data_dir);
    let (mut checked, mut damaged) = (0, Vec::new());
    for id in super::containers(&directory).map_err(|error: io::Error| SnapshotError::Io(error))? {
        damaged.extend(check_container(&directory.container(id))?.map(|fault| (id, fault)));
        checked += 1;
    }
    Ok((checked, damaged))
}
