//! Reads a data directory for a backup, file by file, while the service may run on it.
//!
//! Each file is read as its last committed transaction left it, straight from the database and its log: no copy is made
//! on this disk, and nothing is written.
//!
//! # Pitfalls
//! Only for a process that has no other connection to these files: see [`Snapshot`].

mod check;
mod pages;
mod restored;
mod snapshot;
mod state;

pub use check::{check_container, check_containers};
pub use restored::{check_restored_container, empty_organizations, finish_restored_control, newest_record};
pub use snapshot::{Snapshot, SnapshotError};
pub use state::FileState;

use crate::directory::{Directory, container_path};
use crate::error::OpenError;
use crate::inspect::{RowState, entries, in_use, open};
use crate::schema;
use jiff::Timestamp;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use tenantry_domain::ids::OrganizationId;

/// What the control database says of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrganizationState {
    /// The version of its record.
    pub version: u64,
    /// Whether it must have a container.
    pub has_container: bool,
    /// Whether clients may see it: not while it is being created or purged.
    pub is_settled: bool,
}

/// The organizations of a control database.
pub type Organizations = BTreeMap<OrganizationId, OrganizationState>;

/// A data directory that is read for a backup.
pub struct BackupSource {
    directory: Directory,
    root: PathBuf,
}

impl BackupSource {
    /// The data directory at `path`, which must have a control database of this version.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let directory = Directory::at(path);
        directory.ensure_has_data()?;
        let source = Self { directory, root: path.to_owned() };
        source.organizations()?;
        Ok(source)
    }

    /// Every organization, as its record is now.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn organizations(&self) -> Result<Organizations, OpenError> {
        let file = self.directory.control_database();
        let refused = |error: rusqlite::Error| schema::refused(&file, &error);
        let is_used = in_use(&self.directory).map_err(|error| self.directory.not_writable(&error))?;
        let connection = open(&file, is_used).map_err(refused)?;
        let found = schema::inspect(&connection, &file)?;
        if found != schema::NEWEST_VERSION {
            return Err(OpenError::OlderSchema { file, found, known: schema::NEWEST_VERSION });
        }
        organizations(&connection).map_err(refused)
    }

    /// One state of the control database, with the organizations in exactly that state.
    ///
    /// # Errors
    /// It cannot be read; `Interrupted` if it changed meanwhile: try again.
    pub fn control_snapshot(&self, now: Timestamp) -> Result<(Snapshot, Organizations), SnapshotError> {
        let file = self.directory.control_database();
        let is_open = crate::inspect::beside(&file, "-shm").exists();
        if is_open || in_use(&self.directory)? {
            return Snapshot::open_with(&file, organizations);
        }
        // A change would show at the end.
        let snapshot =
            Snapshot::open(&file, now, false)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok((snapshot, organizations(&open(&file, false)?)?))
    }

    /// The containers whose files exist.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn containers(&self) -> io::Result<Vec<OrganizationId>> {
        containers(&self.directory)
    }

    /// The control database.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.directory.control_database()
    }

    /// The file of a container.
    #[must_use]
    pub fn container(&self, id: OrganizationId) -> PathBuf {
        self.directory.container(id)
    }

    /// Another file of the data directory.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

/// The containers whose files exist.
fn containers(directory: &Directory) -> io::Result<Vec<OrganizationId>> {
    let mut found = Vec::new();
    for shard in directory.shards() {
        let names = entries(&shard)?.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
        found.extend(names.filter_map(|name| name.strip_suffix(".db")?.parse::<OrganizationId>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

fn organizations(connection: &Connection) -> rusqlite::Result<Organizations> {
    let mut statement = connection.prepare("SELECT id, version, status, has_file FROM organizations")?;
    let rows = statement.query_map([], |row| {
        let row_state = RowState { status: row.get(2)?, has_file: row.get(3)? };
        let version = u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
        let state = OrganizationState {
            version,
            has_container: row_state.has_container(),
            is_settled: row_state.is_settled(),
        };
        Ok((OrganizationId::from_bytes(row.get(0)?), state))
    })?;
    rows.collect()
}

/// The path of a container within a data directory.
#[must_use]
pub fn container_name(id: OrganizationId) -> String {
    container_path(id)
}

/// Whether another process uses that data directory.
///
/// # Errors
/// Its lock cannot be read.
pub fn is_in_use(data_dir: &Path) -> io::Result<bool> {
    in_use(&Directory::at(data_dir))
}
