//! A container that is open: one connection that writes, a few that read, and what is remembered of its catalog.

use super::closing::Closing;
use super::queue::{self, Queue, Worker};
use super::readers::Readers;
use super::tenant_schema;
use crate::collections::catalog::Catalog;
use crate::collections::index_builds::IndexBuilds;
use crate::collections::removal;
use crate::collections::scope::Scope;
use crate::connection;
use crate::engine_error::{self, EngineResult};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::{Error, Result};

/// An open container.
pub(crate) struct Container {
    queue: Queue,
    readers: Readers,
    catalog: Catalog,
    closing: Closing,
}

/// The queue of a container that stays open while somebody works on it.
struct Writing(Arc<Container>);

impl AsRef<Queue> for Writing {
    fn as_ref(&self) -> &Queue {
        &self.0.queue
    }
}

impl Container {
    /// Opens the file, which is that organization's, and brings it to the newest schema; and whether there is anything
    /// for [`Self::clear_remains`].
    pub(super) fn open(file: PathBuf, id: OrganizationId) -> EngineResult<(Self, bool)> {
        let mut writer = connection::open_untouched(&file)?;
        let owner = tenant_schema::owner(&writer)?;
        if owner != Some(id.to_string()) {
            return Err(Error::unavailable(format!("its file says that it belongs to {owner:?}")).into());
        }
        connection::configure_container_writer(&writer)?;
        tenant_schema::upgrade(&mut writer)?;
        removal::abandon_all(&writer)?;
        let has_remains = removal::has_remains(&writer)?;
        let container = Self {
            queue: Queue::new(file.clone(), writer),
            readers: Readers::new(file),
            catalog: Catalog::default(),
            closing: Closing::default(),
        };
        Ok((container, has_remains))
    }

    fn scope<'a>(&'a self, connection: &'a Connection) -> Scope<'a> {
        Scope { connection, catalog: &self.catalog, closing: &self.closing }
    }

    /// The indexes that are being made.
    pub(crate) const fn buildings(&self) -> &IndexBuilds {
        &self.catalog.buildings
    }

    /// Carries out `work` in a transaction; its result, once that is durable. The work happens also when
    /// nobody waits for it any more.
    pub(crate) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(Scope<'_>) -> EngineResult<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.queue.place().await?;
        let container = self.clone();
        let work = move |connection: &Connection| work(container.scope(connection));
        let (answer, is_unattended) = self.queue.push(place, work)?;
        if is_unattended {
            let worker = Worker::new(Writing(self.clone()));
            // Detached: those who wait are answered one by one.
            drop(tokio::task::spawn_blocking(move || worker.run()));
        }
        answer.await.map_err(|_| queue::cut_off())?
    }

    /// Reads little, by an index and with one statement, on this thread.
    pub(crate) async fn point<T>(&self, read: impl FnOnce(&Connection) -> EngineResult<T>) -> Result<T> {
        self.readers.point(read).await
    }

    /// Runs a read that is always short on this thread, in one snapshot.
    pub(crate) async fn glance<T>(&self, read: impl FnOnce(Scope<'_>) -> EngineResult<T>) -> Result<T> {
        self.readers.point(|connection| in_snapshot(connection, || read(self.scope(connection)))).await
    }

    /// Reads what may take longer, on a blocking thread and as one moment left it.
    pub(crate) async fn scan<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(Scope<'_>) -> EngineResult<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.readers.scan_place().await?;
        let container = self.clone();
        let scanning = tokio::task::spawn_blocking(move || {
            let _place = place;
            let read =
                |connection: &Connection| in_snapshot(connection, || read(container.scope(connection)));
            container.readers.with(read)
        });
        scanning.await.map_err(|error| engine_error::cut_off(&error))?
    }

    /// Removes what is left of what was removed, in the background. That several do so at once is no harm.
    pub(crate) fn clear_remains(self: &Arc<Self>) {
        let container = self.clone();
        tokio::spawn(async move {
            loop {
                match container.write(|scope| removal::clear(scope.connection)).await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => {
                        tracing::warn!(%error, "what was removed is cleared up when the container is opened next");
                        return;
                    }
                }
            }
        });
    }

    /// Has queries and index builds stop, without waiting for them.
    pub(super) fn stop(&self) {
        self.closing.begin();
        self.readers.stop();
    }

    /// Cuts a write-ahead log that has grown and that somebody read when it did. Blocks.
    pub(super) fn bound_log(&self) {
        self.queue.bound_log();
    }

    /// Finishes the writes that are queued, stops what else is under way, refuses what comes later and closes the file.
    /// Blocks.
    pub(super) fn close(&self) {
        self.stop();
        // The readers first: the last connection that closes folds the write-ahead log in and removes it.
        self.readers.close();
        self.queue.close();
    }

    /// The same for a file that nobody needs any more: what is queued is refused, too. Blocks.
    pub(super) fn abandon(&self) {
        self.closing.abandon();
        self.readers.close();
        self.queue.abandon();
    }
}

/// Reads in one transaction, so that all statements see the same.
fn in_snapshot<T>(connection: &Connection, read: impl FnOnce() -> EngineResult<T>) -> EngineResult<T> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let result = read();
    connection.prepare_cached("COMMIT")?.execute([])?;
    result
}
