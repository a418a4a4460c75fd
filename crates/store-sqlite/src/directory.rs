//! The data directory: its layout, its permissions, and the lock that lets one process use it at a time.

use crate::error::OpenError;
use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tenantry_domain::ids::OrganizationId;

/// Where a restore puts files before all of them are there.
pub const RESTORING: &str = "restoring";

/// Paths inside a data directory.
#[derive(Debug, Clone)]
pub(super) struct Directory(PathBuf);

impl Directory {
    /// The paths below `path`, which need not exist.
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_path_buf())
    }

    /// Creates the directory and its subdirectories if they are missing, readable by its owner alone, and
    /// locks it for this process for as long as the returned file is open.
    pub(super) fn take(path: &Path) -> Result<(Self, File), OpenError> {
        let directory = Self::at(path);
        make_directory(path).map_err(|error| directory.not_writable(&error))?;
        let lock = directory.lock()?;
        directory.refuse_unfinished_restore()?;
        directory.refuse_orphans()?;
        directory.fill().map_err(|error| directory.not_writable(&error))?;
        Ok((directory, lock))
    }

    fn lock(&self) -> Result<File, OpenError> {
        let file = private_file()
            .create(true)
            .truncate(false)
            .open(self.lock_file())
            .map_err(|error| self.not_writable(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { directory: self.0.clone() }),
            Err(TryLockError::Error(error)) => Err(self.not_writable(&error)),
        }
    }

    /// Writes into the file of the lock that there is a control database now, so that its loss is seen later also where
    /// no organization has a file.
    pub(super) fn record_control(lock: &mut File) -> io::Result<()> {
        if lock.metadata()?.len() == 0 {
            lock.write_all(b"The records of this directory are in control.db.\n")?;
            lock.sync_all()?;
        }
        Ok(())
    }

    /// Refuses a directory whose control database is gone: a fresh one would know no organization, and all containers
    /// would be set aside.
    pub(super) fn refuse_orphans(&self) -> Result<(), OpenError> {
        let file = self.control_database();
        let is_empty = match fs::metadata(&file) {
            Ok(metadata) => metadata.len() == 0,
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(self.not_writable(&error)),
        };
        let was_there = || fs::metadata(self.lock_file()).is_ok_and(|lock| lock.len() > 0);
        if is_empty && (was_there() || self.has_containers()) {
            Err(OpenError::ControlMissing { file })
        } else {
            Ok(())
        }
    }

    /// Refuses a directory without records, and makes nothing.
    pub(super) fn ensure_has_data(&self) -> Result<(), OpenError> {
        self.refuse_unfinished_restore()?;
        self.refuse_orphans()?;
        if fs::metadata(self.control_database()).map_or(0, |metadata| metadata.len()) == 0 {
            return Err(OpenError::NoData { directory: self.0.clone() });
        }
        Ok(())
    }

    /// Refuses a directory that a restore is filling: what is there is not complete.
    fn refuse_unfinished_restore(&self) -> Result<(), OpenError> {
        if self.0.join(RESTORING).exists() {
            return Err(OpenError::RestoreUnfinished { directory: self.0.clone() });
        }
        Ok(())
    }

    fn has_containers(&self) -> bool {
        let files = self.shards().filter_map(|shard| fs::read_dir(shard).ok()).flatten().flatten();
        files.into_iter().any(|entry| entry.path().extension().is_some_and(|extension| extension == "db"))
    }

    fn fill(&self) -> io::Result<()> {
        make_directory(&self.quarantine())?;
        // An empty file is an empty database. Its log and shared memory get the mode that it has.
        private_file().create(true).truncate(false).open(self.control_database())?;
        // An earlier start may have been killed before its files were durable.
        sync_directory(&self.containers())?;
        sync_directory(&self.0)
    }

    /// The file that is locked by the process that has the directory.
    pub(super) fn lock_file(&self) -> PathBuf {
        self.0.join("tenantry.lock")
    }

    /// Where the control database is.
    pub(super) fn control_database(&self) -> PathBuf {
        self.0.join("control.db")
    }

    fn containers(&self) -> PathBuf {
        self.0.join("containers")
    }

    /// Where files go that belong to no organization.
    pub(super) fn quarantine(&self) -> PathBuf {
        self.containers().join("quarantine")
    }

    /// The 256 directories that containers are spread over. Each is created with its first container:
    /// creating all of them durably would take longer than the rest of a first start.
    pub(super) fn shards(&self) -> impl Iterator<Item = PathBuf> {
        let containers = self.containers();
        (0..=u8::MAX).map(move |last| containers.join(format!("{last:02x}")))
    }

    /// The directory of that organization's container. The last byte of an id is random, so they fill evenly.
    pub(super) fn shard_of(&self, id: OrganizationId) -> PathBuf {
        self.containers().join(&id.to_string()[22..])
    }

    /// The entries of `shard`, one of [`Self::shards`]; none if it was never created.
    pub(super) fn list(&self, shard: &Path) -> io::Result<Vec<DirEntry>> {
        match fs::read_dir(shard) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.check_place().map(|()| Vec::new()),
            listed => listed?.collect(),
        }
    }

    /// Creates the directory of that organization's container, if it is missing. Its files are durable only
    /// once its own name is, so a directory whose name cannot be made durable is removed again.
    pub(super) fn make_shard_of(&self, id: OrganizationId) -> io::Result<()> {
        let shard = self.shard_of(id);
        if shard.try_exists()? {
            return Ok(());
        }
        self.check_place()?;
        if make_one(&shard)? {
            sync_directory(&self.containers()).inspect_err(|_| _ = fs::remove_dir(&shard))?;
        }
        Ok(())
    }

    /// Refuses a directory that is not the one of the containers: for instance an empty mount point whose
    /// disk is missing. Every start creates the quarantine, so the right one has it.
    fn check_place(&self) -> io::Result<()> {
        fs::metadata(self.quarantine()).map(|_| ())
    }

    /// The container of that organization.
    pub(super) fn container(&self, id: OrganizationId) -> PathBuf {
        self.0.join(container_path(id))
    }

    /// The container of that organization while it is created under `fence`.
    pub(super) fn unfinished_container(&self, id: OrganizationId, fence: u32) -> PathBuf {
        self.shard_of(id).join(format!("{id}.{fence}.tmp"))
    }

    pub(super) fn not_writable(&self, error: &io::Error) -> OpenError {
        OpenError::NotWritable { directory: self.0.clone(), cause: error.to_string() }
    }
}

/// Where the embedded engine keeps the container of an organization, under the data directory.
#[must_use]
pub fn container_file(data_dir: &Path, id: OrganizationId) -> PathBuf {
    Directory::at(data_dir).container(id)
}

/// The path of that container within a data directory. Every response that shows an organization has it, so it is made as
/// text at once.
pub(super) fn container_path(id: OrganizationId) -> String {
    let digits = id.digits();
    let id = digits.as_str();
    ["containers/", &id[22..], "/", id, ".db"].concat()
}

/// How to open a file for writing that its owner alone may read.
pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// Makes changes of the directory survive power loss.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Creates `path` and its missing parents; durably, because a directory's contents are lost with its name.
fn make_directory(path: &Path) -> io::Result<()> {
    // The parent of a relative path of one name is the current directory.
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let made = match make_one(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_directory(parent)?;
            make_one(path)
        }
        other => other,
    };
    if made? { sync_directory(parent) } else { Ok(()) }
}

/// Creates the directory `path` for its owner alone; returns whether it was missing.
fn make_one(path: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The lock of a data directory, for a process that fills it without opening the engine.
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Creates the directory, if it is missing, and locks it until this value is dropped.
    ///
    /// # Errors
    /// Another process uses it, or it cannot be written.
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        let directory = Directory::at(path);
        make_directory(path).map_err(|error| directory.not_writable(&error))?;
        Ok(Self { _file: directory.lock()? })
    }
}
