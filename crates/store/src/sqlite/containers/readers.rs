//! The connections that read one open container.
//!
//! Whoever reads waits for a place without holding a thread: a container that many ask at once takes no threads from
//! the others. A point read, and whatever else is soon done, runs on the calling thread, for the reason that
//! [`crate::sqlite::readers`] gives. What a newcomer gets wrong: scans never have all connections, so that one is left for
//! such reads.

use crate::sqlite::connection;
use crate::sqlite::failure::{Attempt, Failure, is_fatal};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tenantry_domain::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at most, opened as they are needed.
const CONNECTIONS: usize = 4;
/// How many of them may be used for scans.
const SCANS: usize = CONNECTIONS - 1;

pub(super) struct Readers {
    file: PathBuf,
    lending: Mutex<Lending>,
    /// Told whenever a connection comes back.
    returned: Condvar,
    places: Arc<Semaphore>,
    scans: Arc<Semaphore>,
}

#[derive(Default)]
struct Lending {
    free: Vec<Connection>,
    lent: usize,
    is_closed: bool,
}

/// The right to use a connection for a scan.
pub(super) struct ScanPlace {
    _scan: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Readers {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            file,
            lending: Mutex::default(),
            returned: Condvar::new(),
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            scans: Arc::new(Semaphore::new(SCANS)),
        }
    }

    /// Reads little, on this thread, once a connection is free.
    pub(super) async fn point<T>(&self, read: impl FnOnce(&Connection) -> Attempt<T>) -> Result<T> {
        let _place = self.places.acquire().await.map_err(|_| closed())?;
        self.with(read)
    }

    /// Waits until a scan may begin; it goes on with [`Self::with`].
    pub(super) async fn scan_place(&self) -> Result<ScanPlace> {
        let scan = self.scans.clone().acquire_owned().await.map_err(|_| closed())?;
        let place = self.places.clone().acquire_owned().await.map_err(|_| closed())?;
        Ok(ScanPlace { _scan: scan, _place: place })
    }

    /// Reads on a connection of its own. There are as many as there are places.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> Attempt<T>) -> Result<T> {
        let mut lent = self.lend()?;
        let result = read(&lent);
        if let Err(Failure::Engine(error)) = &result
            && is_fatal(error)
        {
            lent.connection = None;
        }
        Ok(result?)
    }

    fn lend(&self) -> Result<Lent<'_>> {
        let mut lending = self.lock();
        if lending.is_closed {
            return Err(closed());
        }
        lending.lent += 1;
        // From now on it comes back, whatever happens.
        let mut lent = Lent { readers: self, connection: lending.free.pop() };
        drop(lending);
        if lent.connection.is_none() {
            lent.connection =
                Some(connection::open_container_reader(&self.file).map_err(Error::unavailable)?);
        }
        Ok(lent)
    }

    /// Refuses what comes later, and closes the connections as they become free. Blocks.
    pub(super) fn close(&self) {
        let mut lending = self.lock();
        lending.is_closed = true;
        lending.free.clear();
        while lending.lent > 0 {
            lending = self.returned.wait(lending).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lending> {
        self.lending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Error {
    Error::unavailable("the container is closed")
}

/// A connection that is in use; the next one is opened in its place if it is not to be used again.
struct Lent<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl std::ops::Deref for Lent<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("it is opened before it is given out")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // A panic may have left a transaction open; such a one is closed.
        let connection = self.connection.take().filter(Connection::is_autocommit);
        let mut lending = self.readers.lock();
        lending.lent -= 1;
        if !lending.is_closed {
            lending.free.extend(connection);
        }
        self.readers.returned.notify_all();
    }
}
