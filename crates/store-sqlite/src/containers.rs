//! Containers: a SQLite file per organization, named by the immutable id.
//!
//! A new container is written in full under a temporary name that carries the fence of its operation, made
//! durable, and only then renamed, never over another file. So a file with the final name is complete.
//!
//! # Pitfalls
//! A container that should exist and does not is `store_unavailable`, never "empty".

pub(super) mod close_signal;
mod files;
mod locks;
mod pool;
mod queue;
mod readers;
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

    /// The id in the file's name tells it from all others.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %container.organization_id))]
    async fn create_container(&self, container: &NewContainer) -> Result<Option<ContainerId>> {
        let container = container.clone();
        let id = container.organization_id;
        self.on_container(id, move |files| files.create(&container)).await.map(|()| None)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn count_documents(&self, organization: &Organization) -> Result<u64> {
        let id = organization.id;
        self.on_container(id, move |files| files.count(id)).await
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
