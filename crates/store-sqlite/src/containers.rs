//! Containers: a SQLite file per organization, named by the immutable id.
//!
//! A container is written whole under a temporary name that carries the fence of its operation, made durable,
//! and only then given its name, never over another file. So whatever has the name is complete. What a
//! newcomer gets wrong: a container that should be there and is not is `store_unavailable`, never "empty".

pub(super) mod closing;
mod locks;
mod pool;
mod queue;
mod readers;
pub(super) mod tenant_db;
mod tenant_schema;

use super::Sqlite;
use super::directory::{Directory, private_file, sync_directory};
use super::engine_error::{self, EngineResult};
use async_trait::async_trait;
use locks::ContainerLocks;
use pool::Pool;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tenant_db::Container;
use tenant_schema::TenantSchema;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Location, Organization, Placement};
use tenantry_domain::store::Tidied;
use tenantry_domain::store::{Containers, NewContainer};
use tenantry_domain::{Error, Result};

/// How long an open waits for a lock that another program holds on a container.
const BUSY: Duration = Duration::from_secs(5);

/// The container files.
pub(super) struct Files {
    directory: Directory,
    template: TenantSchema,
    guards: ContainerLocks,
    pool: Pool,
}

#[async_trait]
impl Containers for Sqlite {
    async fn choose_placement(&self, asked: Option<Placement>) -> Result<Placement> {
        match asked {
            None | Some(Placement::Database) => Ok(Placement::Database),
            Some(_) => Err(Error::invalid_field(
                "/placement",
                "Must be database: the embedded engine keeps each organization in a file of its own.",
            )),
        }
    }

    /// The file, as it is called in the data directory.
    fn locate(&self, organization: &Organization) -> Location {
        Location {
            database: Directory::at(Path::new("")).container(organization.id).display().to_string(),
            collection: organization.naming.namespace.clone(),
        }
    }

    /// The id in the file's name tells it from all others.
    async fn create_container(&self, container: &NewContainer) -> Result<Option<ContainerId>> {
        let container = container.clone();
        let id = container.organization_id;
        self.on_container(id, move |files| files.create(&container)).await.map(|()| None)
    }

    async fn count_documents(&self, organization: &Organization) -> Result<u64> {
        let id = organization.id;
        self.on_container(id, move |files| files.count(id)).await
    }

    async fn drop_container(&self, organization: &Organization) -> Result<()> {
        let id = organization.id;
        self.on_container(id, move |files| files.remove(id)).await
    }
}

impl Sqlite {
    /// Works on files, on a blocking thread; the work goes on when nobody waits for it any more.
    pub(super) async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let files = self.files.clone();
        tokio::task::spawn_blocking(move || work(&files))
            .await
            .map_err(|error| engine_error::cut_off(&error))?
    }

    /// The same with the container of that organization, under its guard.
    async fn on_container<T: Send + 'static>(
        &self,
        id: OrganizationId,
        work: impl FnOnce(&Files) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let guard = self.files.guards.of(id).await;
        self.on_files(move |files| {
            let _guard = guard;
            work(files)
        })
        .await
    }

    /// The container of that organization, open.
    pub(super) async fn container(&self, organization: &Organization) -> Result<Arc<Container>> {
        let id = organization.id;
        if let Some(container) = self.files.pool.get(id) {
            return Ok(container);
        }
        let container = self.on_container(id, move |files| files.open_container(id)).await?;
        if self.files.pool.is_too_full() {
            tokio::spawn(close_surplus(self.files.clone()));
        }
        if self.files.pool.start_sweeping() {
            tokio::spawn(sweep(Arc::downgrade(&self.files)));
        }
        Ok(container)
    }

    /// Removes what a crash has left half made and sets aside files that no organization refers to. One directory of files
    /// after the other, so that it holds nobody up.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn tidy(&self) -> Result<Tidied> {
        let mut tidied = Tidied::default();
        for shard in self.files.directory.shards() {
            let listed = self.on_files(move |files| list(&files.directory, &shard)).await?;
            for file in listed {
                self.tidy_file(file, &mut tidied).await?;
            }
        }
        Ok(tidied)
    }

    async fn tidy_file(&self, file: ListedFile, tidied: &mut Tidied) -> Result<()> {
        if file.is_unfinished {
            if self.on_container(file.id, move |files| files.remove_unfinished(&file)).await? {
                tidied.removed += 1;
            }
        } else if !self.knows(file.id).await? {
            let id = file.id;
            if self.on_container(id, move |files| files.quarantine(&file)).await? {
                tracing::warn!(organization = %id, "set aside a file that no organization refers to");
                tidied.quarantined += 1;
            }
        }
        Ok(())
    }
}

/// Comes by and closes what is idle, as long as anything is open.
async fn sweep(files: Weak<Files>) {
    loop {
        tokio::time::sleep(pool::IDLE / 2).await;
        let Some(files) = files.upgrade() else { return };
        close_surplus(files.clone()).await;
        bound_logs(files.clone()).await;
        if files.pool.stop_sweeping() {
            return;
        }
    }
}

/// Cuts the logs of open containers that have grown and that nobody reads any more.
async fn bound_logs(files: Arc<Files>) {
    let bounding = tokio::task::spawn_blocking(move || {
        files.pool.all().iter().for_each(|container| container.bound_log());
    });
    if let Err(error) = bounding.await {
        tracing::error!(%error, "the logs of containers could not be looked at");
    }
}

/// Closes the containers that nobody uses, but for those that were used lately.
async fn close_surplus(files: Arc<Files>) {
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
    pub(super) fn open(directory: Directory) -> EngineResult<Self> {
        Ok(Self {
            directory,
            template: TenantSchema::new()?,
            guards: ContainerLocks::default(),
            pool: Pool::default(),
        })
    }

    /// Opens the container, or finds it open.
    fn open_container(&self, id: OrganizationId) -> Result<Arc<Container>> {
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

    /// Makes sure that nobody has the container open, which is not needed any more.
    fn evict(&self, id: OrganizationId) {
        if let Some(container) = self.pool.remove(id) {
            container.abandon();
        }
    }

    /// Closes all containers; none is opened any more.
    pub(super) fn close(&self) {
        let containers = self.pool.close();
        // All at once first, so that none is waited for in turn.
        containers.iter().for_each(|container| container.stop());
        for container in containers {
            container.close();
        }
    }

    fn create(&self, container: &NewContainer) -> Result<()> {
        let id = container.organization_id;
        let file = self.directory.container(id);
        if file.try_exists().map_err(|e| failed("look for", id, &e))? {
            self.check_identity(id)?;
        } else {
            let unfinished = self.directory.unfinished_container(id, container.fence);
            let content = self.template.fill(id, container.created_at).map_err(Error::unavailable)?;
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
    fn check_identity(&self, id: OrganizationId) -> Result<()> {
        let owner = self.with(id, tenant_schema::owner)?;
        if owner == Some(id.to_string()) {
            return Ok(());
        }
        Err(Error::unavailable(format!(
            "the file of the container of {id} says that it belongs to {owner:?}"
        )))
    }

    fn count(&self, id: OrganizationId) -> Result<u64> {
        let documents = self.with(id, tenant_schema::count)?;
        let documents = documents.and_then(|documents| u64::try_from(documents).ok());
        documents.ok_or_else(|| Error::unavailable(format!("the container of {id} has lost its count")))
    }

    /// Opens the container for one look. For reading and writing, because a reader alone leaves the files of
    /// the write-ahead log behind when it closes.
    pub(super) fn with<T>(
        &self,
        id: OrganizationId,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let looked =
            Connection::open_with_flags(self.directory.container(id), flags).and_then(|connection| {
                connection.busy_timeout(BUSY)?;
                look(&connection)
            });
        looked.map_err(|e| Error::unavailable(format!("the container of {id} cannot be opened: {e}")))
    }

    /// Removes every file of that container: the database, its log, and what was never finished.
    fn remove(&self, id: OrganizationId) -> Result<()> {
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

    fn remove_unfinished(&self, file: &ListedFile) -> Result<bool> {
        remove_if_there(&file.entry.path()).map_err(|e| failed("tidy", file.id, &e))
    }

    fn quarantine(&self, file: &ListedFile) -> Result<bool> {
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
struct ListedFile {
    id: OrganizationId,
    is_unfinished: bool,
    entry: DirEntry,
}

impl ListedFile {
    /// `entry`, if it is named as `<id>.…`; other files are not ours to touch.
    fn of(entry: DirEntry) -> Option<Self> {
        let name = entry.file_name();
        let (id, rest) = name.to_str()?.split_once('.')?;
        let (id, is_unfinished) = (id.parse().ok()?, rest.ends_with(".tmp"));
        Some(Self { id, is_unfinished, entry })
    }
}

/// The files of containers in `shard`. A log comes before its database: it must not stay behind alone when
/// the two are moved one after the other.
fn list(directory: &Directory, shard: &Path) -> Result<Vec<ListedFile>> {
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
