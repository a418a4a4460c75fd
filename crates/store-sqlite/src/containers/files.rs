//! The files of all containers: making, opening, closing, removing and setting them aside.

use super::locks::ContainerLocks;
use super::pool::{self, Pool};
use super::tenant_db::Container;
use super::tenant_schema::{self, TenantSchema};
use crate::directory::{Directory, private_file, sync_directory};
use crate::engine_error::EngineResult;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::{Error, Result};
use tokio::sync::Mutex;

/// How long an open waits for a lock that another program holds on a container.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// In place of the fence of an operation, where the first write makes the file.
const FIRST_WRITE: u32 = 0;

/// The container files.
pub(crate) struct Files {
    pub(super) directory: Directory,
    template: TenantSchema,
    pub(super) guards: ContainerLocks,
    pub(super) pool: Pool,
    /// Held while free space is being given back.
    giving_back: Arc<Mutex<()>>,
}

/// Comes by and closes what is idle, as long as anything is open.
pub(super) async fn sweep(files: Weak<Files>) {
    loop {
        tokio::time::sleep(pool::IDLE_TIMEOUT / 2).await;
        let Some(files) = files.upgrade() else { return };
        close_surplus(files.clone()).await;
        bound_logs(files.clone()).await;
        give_back(files.clone());
        if files.pool.stop_sweeping() {
            return;
        }
    }
}

/// Gives free space of open containers back, one after the other, in a task of its own; one such task at a time.
pub(super) fn give_back(files: Arc<Files>) {
    let Ok(turn) = files.giving_back.clone().try_lock_owned() else { return };
    tokio::spawn(async move {
        let _turn = turn;
        let open = files.pool.all().into_iter();
        for container in open.filter(|container| container.has_surplus()) {
            if let Err(error) = container.give_back().await {
                tracing::warn!(%error, "the free space of a container stays in its file for now");
            }
        }
    });
}

/// Cuts the logs of open containers that have grown and that nobody reads any more.
pub(super) async fn bound_logs(files: Arc<Files>) {
    let bounding = tokio::task::spawn_blocking(move || {
        files.pool.all().iter().for_each(|container| container.bound_log());
    });
    if let Err(error) = bounding.await {
        tracing::error!(%error, "the logs of containers could not be looked at");
    }
}

/// Closes the containers that nobody uses, but for those that were used lately.
pub(super) async fn close_surplus(files: Arc<Files>) {
    for id in files.pool.surplus() {
        let (guard, files) = (files.guards.of(id).await, files.clone());
        let closing = tokio::task::spawn_blocking(move || {
            let _guard = guard;
            if let Some(container) = files.pool.remove_unused(id) {
                container.close();
            }
        });
        if let Err(error) = closing.await {
            tracing::error!(%error, "a container could not be closed");
        }
    }
}

impl Files {
    pub(crate) fn open(directory: Directory) -> EngineResult<Self> {
        Ok(Self {
            directory,
            template: TenantSchema::new()?,
            guards: ContainerLocks::default(),
            pool: Pool::default(),
            giving_back: Arc::default(),
        })
    }

    /// Opens the container, or finds it open.
    pub(super) fn open_container(&self, id: OrganizationId) -> Result<Arc<Container>> {
        if let Some(container) = self.pool.get(id) {
            return Ok(container);
        }
        let (opened, has_remains) = Container::open(self.directory.container(id), id).map_err(|failure| {
            let cause = Error::from(failure);
            Error::unavailable(format!("the container of {id} cannot be opened: {cause}"))
        })?;
        let container = Arc::new(opened);
        if !self.pool.add(id, &container) {
            return Err(Error::unavailable("the store is closed"));
        }
        if has_remains {
            container.clear_remains();
        }
        Ok(container)
    }

    /// Opens the container of an organization that has no file, or finds it open.
    pub(super) fn open_empty(&self, id: OrganizationId) -> Result<Arc<Container>> {
        if let Some(container) = self.pool.get(id) {
            return Ok(container);
        }
        let container = Arc::new(Container::empty(self.template.empty())?);
        if self.pool.add(id, &container) {
            Ok(container)
        } else {
            Err(Error::unavailable("the store is closed"))
        }
    }

    /// Whether the container has a file; makes it if `is_needed`, in place of the empty container that is open.
    pub(crate) fn make_file(
        &self,
        id: OrganizationId,
        created_at: Timestamp,
        is_needed: bool,
    ) -> Result<bool> {
        if !is_needed && !self.is_there(id)? {
            return Ok(false);
        }
        self.create(id, FIRST_WRITE, created_at)?;
        // Reads that have begun go on: they see what was there before the write.
        drop(self.pool.remove(id));
        Ok(true)
    }

    pub(crate) fn is_there(&self, id: OrganizationId) -> Result<bool> {
        self.directory.container(id).try_exists().map_err(|e| failed("look for", id, &e))
    }

    /// Refuses a file of another installation in the place of this container.
    pub(super) fn check_free(&self, id: OrganizationId) -> Result<()> {
        if self.is_there(id)? { self.check_identity(id) } else { Ok(()) }
    }

    /// Makes sure that nobody has the container open, which is not needed any more.
    pub(super) fn evict(&self, id: OrganizationId) {
        if let Some(container) = self.pool.remove(id) {
            container.abandon();
        }
    }

    /// Closes all containers; none is opened any more.
    pub(crate) fn close(&self) {
        let containers = self.pool.close();
        // All at once first, so that none is waited for in turn.
        containers.iter().for_each(|container| container.stop());
        for container in containers {
            container.close();
        }
    }

    pub(super) fn create(&self, id: OrganizationId, fence: u32, created_at: Timestamp) -> Result<()> {
        let file = self.directory.container(id);
        if self.is_there(id)? {
            self.check_identity(id)?;
        } else {
            let unfinished = self.directory.unfinished_container(id, fence);
            let content = self.template.fill(id, created_at).map_err(Error::unavailable)?;
            let made = (self.directory.make_shard_of(id))
                .and_then(|()| write_durably(&unfinished, &content))
                .and_then(|()| name_once(&unfinished, &file));
            if let Err(error) = made {
                // The disk may be full: what is of no use must not take room until the next start.
                let _ = remove_if_there(&unfinished);
                return Err(failed("make", id, &error));
            }
        }
        // Also when it was there: the crash may have come before the name was durable.
        sync_directory(&self.directory.shard_of(id)).map_err(|e| failed("make", id, &e))
    }

    /// Refuses a file that has the name of this organization's container and is not that.
    pub(super) fn check_identity(&self, id: OrganizationId) -> Result<()> {
        let owner = self.with(id, tenant_schema::owner)?;
        if owner == Some(id.to_string()) {
            return Ok(());
        }
        Err(Error::unavailable(format!(
            "the file of the container of {id} says that it belongs to {owner:?}"
        )))
    }

    pub(super) fn count(&self, id: OrganizationId) -> Result<u64> {
        let documents = self.with(id, tenant_schema::count)?;
        let documents = documents.and_then(|documents| u64::try_from(documents).ok());
        documents.ok_or_else(|| Error::unavailable(format!("the container of {id} has lost its count")))
    }

    /// Opens the container for one look. For reading and writing, because a reader alone leaves the files of
    /// the write-ahead log behind when it closes.
    pub(crate) fn with<T>(
        &self,
        id: OrganizationId,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let looked =
            Connection::open_with_flags(self.directory.container(id), flags).and_then(|connection| {
                connection.busy_timeout(BUSY_TIMEOUT)?;
                look(&connection)
            });
        looked.map_err(|e| Error::unavailable(format!("the container of {id} cannot be opened: {e}")))
    }

    /// Removes every file of that container: the database, its log, and what was never finished.
    pub(super) fn remove(&self, id: OrganizationId) -> Result<()> {
        let shard = self.directory.shard_of(id);
        self.evict(id);
        let files = list(&self.directory, &shard)?;
        for file in files.iter().filter(|file| file.id == id) {
            remove_if_there(&file.entry.path()).map_err(|e| failed("remove", id, &e))?;
        }
        match sync_directory(&shard) {
            // No container was ever made in it.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map_err(|e| failed("remove", id, &e)),
        }
    }

    pub(super) fn remove_unfinished(&self, file: &ListedFile) -> Result<bool> {
        remove_if_there(&file.entry.path()).map_err(|e| failed("tidy", file.id, &e))
    }

    pub(super) fn quarantine(&self, file: &ListedFile) -> Result<bool> {
        let target = self.directory.quarantine().join(file.entry.file_name());
        self.evict(file.id);
        match name_once(&file.entry.path(), &target) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                tracing::warn!(file = %target.display(), "is there already: its namesake stays where it is");
                Ok(false)
            }
            Err(error) => Err(failed("set aside", file.id, &error)),
        }
    }
}

/// A file of a container.
pub(super) struct ListedFile {
    pub(super) id: OrganizationId,
    pub(super) is_unfinished: bool,
    pub(super) entry: DirEntry,
}

impl ListedFile {
    /// `entry`, if it is named as `<id>.…`; other files are not ours to touch.
    pub(super) fn of(entry: DirEntry) -> Option<Self> {
        let name = entry.file_name();
        let (id, rest) = name.to_str()?.split_once('.')?;
        let (id, is_unfinished) = (id.parse().ok()?, rest.ends_with(".tmp"));
        Some(Self { id, is_unfinished, entry })
    }
}

/// The files of containers in `shard`. A log comes before its database: it must not stay behind alone when
/// the two are moved one after the other.
pub(super) fn list(directory: &Directory, shard: &Path) -> Result<Vec<ListedFile>> {
    let entries = directory.list(shard);
    let entries = entries.map_err(|e| Error::unavailable(format!("{}: {e}", shard.display())))?;
    let mut files: Vec<ListedFile> = entries.into_iter().filter_map(ListedFile::of).collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.entry.file_name()));
    Ok(files)
}

fn write_durably(file: &Path, content: &[u8]) -> io::Result<()> {
    // Truncated: what an attempt under the same fence has left is of no use.
    let mut file = private_file().create(true).truncate(true).open(file)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Gives a file another name, unless that is taken. A link, because a rename would replace what is there.
fn name_once(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

fn remove_if_there(file: &Path) -> io::Result<bool> {
    match fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn failed(what: &str, id: OrganizationId, error: &io::Error) -> Error {
    Error::unavailable(format!("could not {what} the container of {id}: {error}"))
}
