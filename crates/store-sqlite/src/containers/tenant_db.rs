//! An open container: one connection that writes, a few that read, and the cached catalog.

use super::close_signal::CloseSignal;
use super::queue::{self, Queue, Worker};
use super::readers::Readers;
use super::source::Source;
use super::space;
use super::tenant_schema;
use crate::collections::catalog::Catalog;
use crate::collections::index_builds::IndexBuilds;
use crate::collections::recent_schemas::RecentSchemas;
use crate::collections::removal;
use crate::collections::scope::Scope;
use crate::connection;
use crate::engine_error::{self, EngineResult};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::store::StoreCall;
use tenantry_domain::{Error, Result};

/// An open container.
pub(crate) struct Container {
    has_file: bool,
    queue: Queue,
    readers: Readers,
    catalog: Catalog,
    schemas: RecentSchemas,
    close_signal: CloseSignal,
}

/// The queue of a container, which keeps the container open while a worker runs.
struct OpenQueue(Arc<Container>);

impl AsRef<Queue> for OpenQueue {
    fn as_ref(&self) -> &Queue {
        &self.0.queue
    }
}

impl Container {
    /// Opens the file of that organization and brings it to the newest schema; also returns whether there is
    /// anything for [`Self::clear_remains`].
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
        Ok((Self::of(Source::File(file), writer), has_remains))
    }

    /// The container of an organization that has written nothing.
    pub(super) fn empty(content: &'static [u8]) -> EngineResult<Self> {
        let source = Source::Empty(content);
        let writer = source.open_writer()?;
        Ok(Self::of(source, writer))
    }

    fn of(source: Source, writer: Connection) -> Self {
        Self {
            has_file: source.is_file(),
            queue: Queue::new(source.clone(), writer),
            readers: Readers::new(source),
            catalog: Catalog::default(),
            schemas: RecentSchemas::default(),
            close_signal: CloseSignal::default(),
        }
    }

    /// Whether there is a file, which a write needs.
    pub(super) const fn has_file(&self) -> bool {
        self.has_file
    }

    fn scope<'a>(&'a self, connection: &'a Connection) -> Scope<'a> {
        Scope { connection, catalog: &self.catalog, close_signal: &self.close_signal }
    }

    /// The indexes that are being built.
    pub(crate) const fn builds(&self) -> &IndexBuilds {
        &self.catalog.builds
    }

    /// The schemas of its collections, as far as they are in memory.
    pub(crate) const fn schemas(&self) -> &RecentSchemas {
        &self.schemas
    }

    /// Runs `work` in a transaction and returns its result once that is durable. The work is done even if the
    /// caller goes away.
    pub(crate) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(Scope<'_>) -> EngineResult<T> + Send + 'static,
    ) -> Result<T> {
        let writing = async {
            let place = self.queue.acquire_place().await?;
            let container = self.clone();
            let work = move |connection: &Connection| work(container.scope(connection));
            let (answer, needs_worker) = self.queue.push(place, work)?;
            if needs_worker {
                let worker = Worker::new(OpenQueue(self.clone()));
                // Detached: each job answers its own caller.
                drop(tokio::task::spawn_blocking(move || worker.run()));
            }
            answer.await.map_err(|_| queue::cut_off())?
        };
        StoreCall::ContainerWrite.measure(writing).await
    }

    /// Runs a short read by an index, with one statement, on this thread.
    pub(crate) async fn point<T>(&self, read: impl FnOnce(&Connection) -> EngineResult<T>) -> Result<T> {
        StoreCall::ContainerRead.measure(self.readers.point(read)).await
    }

    /// Runs a read that is always short on this thread, in one snapshot.
    pub(crate) async fn glance<T>(&self, read: impl FnOnce(Scope<'_>) -> EngineResult<T>) -> Result<T> {
        let read = |connection: &Connection| in_snapshot(connection, || read(self.scope(connection)));
        StoreCall::ContainerRead.measure(self.readers.point(read)).await
    }

    /// Runs a read that may take longer, on a blocking thread and in one snapshot.
    pub(crate) async fn scan<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(Scope<'_>) -> EngineResult<T> + Send + 'static,
    ) -> Result<T> {
        let scanning = async {
            let place = self.readers.acquire_scan().await?;
            let container = self.clone();
            let scan = tokio::task::spawn_blocking(move || {
                let _permit = place;
                let read =
                    |connection: &Connection| in_snapshot(connection, || read(container.scope(connection)));
                container.readers.with(read)
            });
            scan.await.map_err(|error| engine_error::cut_off(&error))?
        };
        StoreCall::ContainerScan.measure(scanning).await
    }

    /// Removes the leftovers of removed collections and indexes, in the background. Several such tasks at
    /// once do no harm.
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

    /// Stops queries and index builds, without waiting for them.
    pub(super) fn stop(&self) {
        self.close_signal.begin();
        self.readers.stop();
        self.queue.interrupt();
    }

    /// Whether there is so much free space in the file that it is given back; false while a write is running.
    pub(super) fn has_surplus(&self) -> bool {
        self.queue.look(space::has_surplus).unwrap_or(false)
    }

    /// Gives back to the file system what deletes have left free, if that is much. Its slices take turns with the writes
    /// of the container.
    pub(super) async fn give_back(self: &Arc<Self>) -> Result<()> {
        if !self.has_surplus() {
            return Ok(());
        }
        while self.write(|scope| space::give_back_slice(scope.connection)).await? {}
        // Only then the file shrinks. A log that is being read is folded later.
        self.on_writer(|connection| connection::fold_unread_log(connection).map(drop)).await
    }

    /// Gives back all free space.
    pub(crate) async fn compact(self: &Arc<Self>) -> Result<()> {
        if self.has_file { self.on_writer(space::compact).await } else { Ok(()) }
    }

    /// Runs `work` between two groups of writes, outside of a transaction.
    async fn on_writer(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<()> {
        let container = self.clone();
        let working = tokio::task::spawn_blocking(move || container.queue.run_alone(work));
        let done = working.await.map_err(|error| engine_error::cut_off(&error))?;
        done.map_err(|error| Error::unavailable(format!("a container cannot be compacted: {error}")))
    }

    /// Truncates a write-ahead log that grew while it was being read. Blocks.
    pub(super) fn bound_log(&self) {
        self.queue.bound_log();
    }

    /// Finishes the queued writes, stops all other work, refuses new work and closes the file. Blocks.
    pub(super) fn close(&self) {
        self.stop();
        // The readers first: the last connection to close checkpoints the write-ahead log and removes it.
        self.readers.close();
        self.queue.close();
    }

    /// Closes a file that is no longer needed: queued writes are refused too. Blocks.
    pub(super) fn abandon(&self) {
        self.close_signal.abandon();
        self.queue.interrupt();
        self.readers.close();
        self.queue.abandon();
    }
}

/// Reads in one transaction, so that all statements see the same state.
fn in_snapshot<T>(connection: &Connection, read: impl FnOnce() -> EngineResult<T>) -> EngineResult<T> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let result = read();
    connection.prepare_cached("COMMIT")?.execute([])?;
    result
}
