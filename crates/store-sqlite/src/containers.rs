//! Containers: a SQLite file per organization, named by the immutable id.
//!
//! A new container is written in full under a temporary name that carries the fence of its operation, made
//! durable, and only then renamed, never over another file. So a file with the final name is complete.
//!
//! An organization that has written nothing has no file: it is made before the first write, and only then the
//! organization's row says that there is one ([`Sqlite::has_file`]).
//!
//! # Pitfalls
//! A container whose row says that it has a file, and that has none, is `store_unavailable`, never "empty".

pub(super) mod close_signal;
mod files;
mod locks;
mod pool;
mod queue;
mod readers;
mod source;
mod space;
pub(super) mod tenant_db;
mod tenant_schema;

pub(super) use files::Files;
pub(super) use tenant_schema::{STEP_TEXTS, rehearse};

use super::Sqlite;
use super::directory::container_path;
use super::engine_error::{self};
use async_trait::async_trait;
use files::{ListedFile, close_surplus, list, sweep};
use locks::ContainerLock;
use std::sync::Arc;
use tenant_db::Container;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Location, Organization, Placement};
use tenantry_domain::store::CleanupReport;
use tenantry_domain::store::{Containers, NewContainer};
use tenantry_domain::{Error, Result};

#[async_trait]
impl Containers for Sqlite {
    #[tracing::instrument(level = "debug", skip_all)]
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
            database: container_path(organization.id),
            collection: organization.naming.namespace.clone(),
        }
    }

    /// The id in the file's name tells it from all others. The file itself is made before the first write, unless a
    /// version before has begun the operation.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %container.organization_id))]
    async fn create_container(&self, container: &NewContainer) -> Result<Option<ContainerId>> {
        let container = container.clone();
        let id = container.organization_id;
        let has_file = self.has_file(id).await?;
        let create = move |files: &Files| {
            if has_file {
                files.create(id, container.fence, container.created_at)
            } else {
                files.check_free(id)
            }
        };
        self.on_container(id, create).await.map(|()| None)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn count_documents(&self, organization: &Organization) -> Result<u64> {
        let id = organization.id;
        let has_file = self.has_file(id).await?;
        let count =
            move |files: &Files| if has_file || files.is_there(id)? { files.count(id) } else { Ok(0) };
        self.on_container(id, count).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn drop_container(&self, organization: &Organization) -> Result<()> {
        let id = organization.id;
        self.on_container(id, move |files| files.remove(id)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn disk_bytes(&self, organization: &Organization) -> Result<Option<u64>> {
        let id = organization.id;
        self.on_files(move |files| Ok(Some(space::disk_bytes(&files.directory.container(id))))).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn compact_container(&self, organization: &Organization) -> Result<()> {
        self.container(organization).await?.compact().await
    }
}

impl Sqlite {
    /// Runs `work` on files, on a blocking thread; it continues even if the caller goes away.
    pub(super) async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let files = self.files.clone();
        tokio::task::spawn_blocking(move || work(&files))
            .await
            .map_err(|error| engine_error::cut_off(&error))?
    }

    /// Runs `work` on the container of that organization, under its lock.
    async fn on_container<T: Send + 'static>(
        &self,
        id: OrganizationId,
        work: impl FnOnce(&Files) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let lock = self.files.guards.of(id).await;
        Ok(self.under(lock, work).await?.1)
    }

    /// Runs `work` under that lock, and gives it back; a lock whose caller has gone away is held until the end.
    async fn under<T: Send + 'static>(
        &self,
        lock: ContainerLock,
        work: impl FnOnce(&Files) -> Result<T> + Send + 'static,
    ) -> Result<(ContainerLock, T)> {
        self.on_files(move |files| work(files).map(|done| (lock, done))).await
    }

    /// The container of that organization, open.
    pub(super) async fn container(&self, organization: &Organization) -> Result<Arc<Container>> {
        if let Some(container) = self.files.pool.get(organization.id) {
            return Ok(container);
        }
        let container = self.open_container(organization, false).await?;
        self.close_some();
        Ok(container)
    }

    /// The same, with a file, for every write.
    pub(super) async fn container_with_file(&self, organization: &Organization) -> Result<Arc<Container>> {
        if let Some(container) = self.files.pool.get(organization.id).filter(|open| open.has_file()) {
            return Ok(container);
        }
        let container = self.open_container(organization, true).await?;
        self.close_some();
        Ok(container)
    }

    /// Opens the container, after making its file if `needs_file`.
    async fn open_container(&self, organization: &Organization, needs_file: bool) -> Result<Arc<Container>> {
        let (id, created_at) = (organization.id, organization.created_at);
        let mut lock = self.files.guards.of(id).await;
        if !self.has_file(id).await? {
            // A file may be there: the crash came before the row said so.
            let make = move |files: &Files| files.make_file(id, created_at, needs_file);
            let is_there;
            (lock, is_there) = self.under(lock, make).await?;
            if is_there && !self.set_has_file(id).await? {
                return Err(self.remove_unknown(id, lock).await);
            }
            if !is_there {
                return Ok(self.under(lock, move |files| files.open_empty(id)).await?.1);
            }
        }
        Ok(self.under(lock, move |files| files.open_container(id)).await?.1)
    }

    /// Removes the file of a container that is being purged.
    async fn remove_unknown(&self, id: OrganizationId, lock: ContainerLock) -> Error {
        match self.under(lock, move |files| files.remove(id)).await {
            Ok(_) => Error::unavailable(format!("the container of {id} is being removed")),
            Err(error) => error,
        }
    }

    /// Keeps the number of open containers small.
    fn close_some(&self) {
        if self.files.pool.is_too_full() {
            tokio::spawn(close_surplus(self.files.clone()));
        }
        if self.files.pool.start_sweeping() {
            tokio::spawn(sweep(Arc::downgrade(&self.files)));
        }
    }

    /// Removes unfinished files that a crash has left and moves files that no organization refers to into
    /// quarantine. It works through one directory after the other, so that it holds nobody up.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn tidy(&self) -> Result<CleanupReport> {
        let mut tidied = CleanupReport::default();
        for shard in self.files.directory.shards() {
            let listed = self.on_files(move |files| list(&files.directory, &shard)).await?;
            for file in listed {
                self.tidy_file(file, &mut tidied).await?;
            }
        }
        Ok(tidied)
    }

    async fn tidy_file(&self, file: ListedFile, tidied: &mut CleanupReport) -> Result<()> {
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
