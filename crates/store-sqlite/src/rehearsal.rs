//! Rehearses the upgrade of a data directory on a copy, for `tenantry doctor --rehearse-upgrade`. The directory is only read.
//!
//! One file at a time is copied, upgraded, checked and removed, so that the copy needs room for the largest file alone.
//!
//! # Pitfalls
//! A service that runs may open a container at any moment: a copy that was made without its log counts only if there is
//! still none afterwards.

use crate::connection;
use crate::containers::rehearse as rehearse_container;
use crate::directory::Directory;
use crate::engine_error::EngineError;
use crate::error::OpenError;
use crate::inspect::{beside, entries, in_use, open, quick_check, size};
use crate::{QuickCheck, schema};
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tenantry_domain::ids::OrganizationId;

/// How often to copy a container that the service opens meanwhile.
const COPY_ATTEMPTS: u32 = 5;

/// What the upgrade of a data directory will do.
#[derive(Debug)]
pub struct Rehearsal {
    /// The control database; `None` if there is none yet.
    pub control: Option<RehearsedFile>,
    /// How many containers were upgraded and checked, and found good.
    pub containers: u64,
    /// How many of these are of an earlier schema.
    pub outdated: u64,
    /// How long the containers took, without copying them. The service upgrades each when it opens it.
    pub containers_took: Duration,
    /// Containers that cannot be upgraded, or that are damaged, and why.
    pub failures: Vec<(PathBuf, String)>,
}

/// What the upgrade of a file has done to its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RehearsedFile {
    /// The schema version that it has.
    pub from: i64,
    /// The version that it was upgraded to.
    pub to: i64,
    /// How long that took, without copying and checking.
    pub took: Duration,
}

/// Rehearses in `scratch`, an empty directory of ours. Blocks; reads and writes everything once.
///
/// # Errors
/// The control database cannot be upgraded: a sentence for the operator.
pub fn rehearse(data_dir: &Path, scratch: &Path) -> Result<Rehearsal, OpenError> {
    let directory = Directory::at(data_dir);
    let is_used = in_use(&directory).map_err(|error| directory.not_writable(&error))?;
    let mut rehearsal = Rehearsal {
        control: control(&directory, scratch, is_used)?,
        containers: 0,
        outdated: 0,
        containers_took: Duration::ZERO,
        failures: Vec::new(),
    };
    for shard in directory.shards() {
        let listed = entries(&shard).map_err(|error| directory.not_writable(&error))?;
        for file in listed.into_iter().map(|entry| entry.path()) {
            if let Some(id) = container_id(&file) {
                rehearsal.add(&file, id, scratch, is_used);
            }
        }
    }
    Ok(rehearsal)
}

fn container_id(file: &Path) -> Option<OrganizationId> {
    file.file_name()?.to_str()?.strip_suffix(".db")?.parse().ok()
}

fn control(directory: &Directory, scratch: &Path, is_used: bool) -> Result<Option<RehearsedFile>, OpenError> {
    let file = directory.control_database();
    if size(&file) == 0 {
        return directory.refuse_orphans().map(|()| None);
    }
    let refused = |error: rusqlite::Error| schema::refused(&file, &error);
    let copy = scratch.join("control.db");
    let source = open(&file, is_used).map_err(refused)?;
    let from = schema::inspect(&source, &file)?;
    copy_into(&source, &copy).map_err(refused)?;
    drop(source);
    let mut connection = connection::open_untouched(&copy).map_err(refused)?;
    let start = Instant::now();
    schema::upgrade(&mut connection, &copy)?;
    let took = start.elapsed();
    if let QuickCheck::Damaged(faults) = quick_check(&connection).map_err(refused)? {
        return Err(OpenError::Corrupt { file, cause: faults.join("; ") });
    }
    drop(connection);
    remove(&copy);
    Ok(Some(RehearsedFile { from, to: schema::NEWEST_VERSION, took }))
}

impl Rehearsal {
    fn add(&mut self, file: &Path, id: OrganizationId, scratch: &Path, is_used: bool) {
        let copy = scratch.join("container.db");
        match container(file, id, &copy, is_used) {
            // It was purged meanwhile.
            Ok(None) => {}
            Ok(Some(done)) => {
                self.containers += 1;
                self.outdated += u64::from(done.from < done.to);
                self.containers_took += done.took;
            }
            Err(cause) => self.failures.push((file.to_owned(), cause)),
        }
        remove(&copy);
    }
}

/// Upgrades and checks the copy of a container; `None` if it is gone.
fn container(
    file: &Path,
    id: OrganizationId,
    copy: &Path,
    is_used: bool,
) -> Result<Option<RehearsedFile>, String> {
    // What a crash has left beside the file is nobody's: only a service that runs has it open.
    let is_open = || is_used && beside(file, "-shm").exists();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let was_open = is_open();
        remove(copy);
        let copied = open(file, was_open).and_then(|source| copy_into(&source, copy));
        if !file.exists() {
            return Ok(None);
        }
        match copied {
            _ if was_open != is_open() && attempts < COPY_ATTEMPTS => {}
            Ok(()) => break,
            Err(error) => return Err(error.to_string()),
        }
    }
    let mut connection = connection::open_untouched(copy).map_err(|error| error.to_string())?;
    let start = Instant::now();
    let (from, to) = rehearse_container(&mut connection, id).map_err(|failure| match failure {
        EngineError::Engine(error) => error.to_string(),
        EngineError::Refused(error) => error.cause().unwrap_or("a record is unreadable").to_owned(),
    })?;
    let took = start.elapsed();
    match quick_check(&connection).map_err(|error| error.to_string())? {
        QuickCheck::Damaged(faults) => Err(faults.join("; ")),
        _ => Ok(Some(RehearsedFile { from, to, took })),
    }
}

/// A copy of what a transaction sees, while others write.
fn copy_into(source: &Connection, copy: &Path) -> rusqlite::Result<()> {
    source.execute("VACUUM INTO ?1", [copy.to_string_lossy()]).map(|_| ())
}

/// Removes a copy with its log. The directory is removed with everything in it at the end, so nothing depends on this.
fn remove(copy: &Path) {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(beside(copy, ending));
    }
}
