//! The files of containers, compared with the rows of organizations.

use super::files::entries;
use crate::directory::Directory;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirEntry;
use std::io;
use std::path::PathBuf;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::Status;

/// The files of containers, compared with the records.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ContainerFiles {
    /// How many containers there are.
    pub found: u64,
    /// Organizations that have written nothing, so that there is no file yet.
    pub without_file: u64,
    /// Organizations whose container should be there and is not.
    pub missing: Vec<OrganizationId>,
    /// Containers of organizations that no record knows.
    pub orphans: Vec<PathBuf>,
    /// Unfinished containers.
    pub unfinished: u64,
    /// Files that were set aside.
    pub quarantined: u64,
}

/// What the row of an organization says of it.
pub(crate) struct RowState {
    pub(crate) status: String,
    pub(crate) has_file: bool,
}

impl RowState {
    /// Whether it has a file for its container: not before its first write, and not while it is being created or purged.
    pub(crate) fn has_container(&self) -> bool {
        self.has_file && self.is_settled()
    }

    /// Whether it is neither being created nor being purged.
    pub(crate) fn is_settled(&self) -> bool {
        let settled = [Status::Active, Status::Suspended, Status::Deleted];
        settled.iter().any(|status| status.as_str() == self.status)
    }
}

pub(super) fn rows(connection: &Connection) -> rusqlite::Result<BTreeMap<OrganizationId, RowState>> {
    let mut statement = connection.prepare("SELECT id, status, has_file FROM organizations")?;
    let rows = statement.query_map([], |row| {
        let state = RowState { status: row.get(1)?, has_file: row.get(2)? };
        Ok((OrganizationId::from_bytes(row.get(0)?), state))
    })?;
    rows.collect()
}

fn row(connection: &Connection, id: OrganizationId) -> rusqlite::Result<Option<RowState>> {
    let mut statement = connection.prepare("SELECT status, has_file FROM organizations WHERE id = ?1")?;
    let mut rows = statement.query([id.as_bytes()])?;
    let state = rows.next()?.map(|row| Ok(RowState { status: row.get(0)?, has_file: row.get(1)? }));
    state.transpose()
}

/// The files of containers.
#[derive(Default)]
pub(super) struct ContainerListing {
    containers: BTreeSet<OrganizationId>,
    unfinished: u64,
    quarantined: u64,
}

impl ContainerListing {
    pub(super) fn below(directory: &Directory) -> io::Result<Self> {
        let mut found = Self::default();
        for shard in directory.shards() {
            for entry in entries(&shard)? {
                found.note(&entry);
            }
        }
        found.quarantined = entries(&directory.quarantine())?.len() as u64;
        Ok(found)
    }

    fn note(&mut self, entry: &DirEntry) {
        let name = entry.file_name();
        let Some((id, ending)) = name.to_str().and_then(|name| name.split_once('.')) else { return };
        match (id.parse(), ending) {
            (Ok(id), "db") => _ = self.containers.insert(id),
            (Ok(_), ending) if ending.ends_with(".tmp") => self.unfinished += 1,
            _ => {}
        }
    }

    /// Checks each mismatch a second time: a running service creates and removes containers meanwhile.
    pub(super) fn compare(
        self,
        directory: &Directory,
        rows: &BTreeMap<OrganizationId, RowState>,
        connection: &Connection,
    ) -> rusqlite::Result<ContainerFiles> {
        let is_there = |id| directory.container(id).exists();
        let mut missing = Vec::new();
        for (id, _) in rows.iter().filter(|(id, row)| row.has_container() && !self.containers.contains(id)) {
            if !is_there(*id) && row(connection, *id)?.is_some_and(|row| row.has_container()) {
                missing.push(*id);
            }
        }
        let unknown = self.containers.iter().filter(|id| !rows.contains_key(id) && is_there(**id));
        Ok(ContainerFiles {
            found: self.containers.len() as u64,
            without_file: rows.values().filter(|row| !row.has_file).count() as u64,
            missing,
            orphans: unknown.map(|id| directory.container(*id)).collect(),
            unfinished: self.unfinished,
            quarantined: self.quarantined,
        })
    }
}
