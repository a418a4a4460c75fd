//! The readers: a few read-only connections, each used by one read at a time.
//!
//! A point read runs on the calling thread: it takes 4 µs with 100 records and 9 µs with 100,000, while
//! handing it to another thread and back takes 20 to 30 µs (measured). Reads that may take longer (lists, and
//! a read that finds every connection in use) run on tokio's blocking threads, so an async thread never waits
//! for a lock or goes through many rows.

use super::connection;
use super::engine_error::{self, EngineResult};
use rusqlite::Connection;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use tenantry_domain::store::StoreCall;
use tenantry_domain::{Error, Result};

/// The connections; closing the store removes them.
#[derive(Clone)]
pub(super) struct Readers(Arc<Pool>);

struct Pool {
    slots: Box<[Mutex<Option<Connection>>]>,
    /// The slot that the next read waits for if none is free.
    queue: AtomicUsize,
}

impl Readers {
    /// Opens `count` connections to `file`, but at least one.
    pub(super) fn open(file: &Path, count: usize) -> rusqlite::Result<Self> {
        let slots = (0..count.max(1))
            .map(|_| Ok(Mutex::new(Some(connection::open_reader(file)?))))
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self(Arc::new(Pool { slots, queue: AtomicUsize::new(0) })))
    }

    /// Runs a short read by an index: at once and on this thread, if a connection is free.
    pub(super) async fn point<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> EngineResult<T> + Send + 'static,
    ) -> Result<T> {
        let reading = async {
            // In a block of its own: the guard of a connection must not live across an await.
            let read = match self.0.free() {
                Some(slot) => return with(&slot, read),
                None => read,
            };
            self.read_elsewhere(read).await
        };
        StoreCall::RecordRead.measure(reading).await
    }

    /// Runs a read that may take longer, on a blocking thread.
    pub(super) async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> EngineResult<T> + Send + 'static,
    ) -> Result<T> {
        StoreCall::RecordScan.measure(self.read_elsewhere(read)).await
    }

    async fn read_elsewhere<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> EngineResult<T> + Send + 'static,
    ) -> Result<T> {
        let pool = self.0.clone();
        tokio::task::spawn_blocking(move || with(&pool.any(), read))
            .await
            .map_err(|error| engine_error::cut_off(&error))?
    }

    /// Closes the connections as they become free. Blocks.
    pub(super) fn close(&self) {
        for slot in &self.0.slots {
            drop(slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

type Slot<'a> = MutexGuard<'a, Option<Connection>>;

impl Pool {
    /// The first free connection: so the most used ones have the most pages in memory, and those that are
    /// never needed have none.
    fn free(&self) -> Option<Slot<'_>> {
        self.slots.iter().find_map(|slot| match slot.try_lock() {
            Ok(slot) => Some(slot),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }

    /// A connection, perhaps after waiting for it.
    fn any(&self) -> Slot<'_> {
        self.free().unwrap_or_else(|| {
            let turn = self.queue.fetch_add(1, Ordering::Relaxed);
            self.slots[turn % self.slots.len()].lock().unwrap_or_else(PoisonError::into_inner)
        })
    }
}

fn with<T>(slot: &Slot<'_>, read: impl FnOnce(&Connection) -> EngineResult<T>) -> Result<T> {
    let connection = slot.as_ref().ok_or_else(|| Error::unavailable("the store is closed"))?;
    Ok(read(connection)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use tempfile::TempDir;
    use tokio::sync::oneshot;

    fn one(connection: &Connection) -> EngineResult<i64> {
        Ok(connection.query_row("SELECT 1", [], |row| row.get(0))?)
    }

    /// Everything runs on one thread: a read that waits on it would block what it waits for.
    #[tokio::test(flavor = "current_thread")]
    async fn read_without_free_connection_waits_on_another_thread() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("test.db");
        std::fs::File::create(&file).unwrap();
        let readers = Readers::open(&file, 1).unwrap();
        let (release, released) = channel::<()>();
        let (started, starting) = oneshot::channel();
        let long = {
            let readers = readers.clone();
            let read = move |connection: &Connection| {
                let _ = started.send(());
                let _ = released.recv();
                one(connection)
            };
            tokio::spawn(async move { readers.scan(read).await })
        };
        starting.await.unwrap();
        let waiting = tokio::spawn(async move { readers.point(one).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(release);
        assert_eq!(long.await.unwrap().unwrap(), 1);
        assert_eq!(waiting.await.unwrap().unwrap(), 1);
    }
}
