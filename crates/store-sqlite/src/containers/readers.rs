//! The connections that read one open container.
//!
//! A read waits for a connection without holding a thread: a container with many concurrent reads takes no
//! threads from the others. Point reads and other short reads run on the calling thread, for the reason that
//! [`crate::readers`] gives. Scans never get all connections, so that one is left for such reads.

use super::source::Source;
use crate::engine_error::{EngineError, EngineResult, is_fatal};
use rusqlite::{Connection, InterruptHandle};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tenantry_domain::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most connections, opened as they are needed.
const MAX_CONNECTIONS: usize = 4;
/// How many of them may be used for scans.
const MAX_SCANS: usize = MAX_CONNECTIONS - 1;
/// How often a close interrupts the statements that still run.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(20);

pub(super) struct Readers {
    source: Source,
    lending: Mutex<ReaderLending>,
    /// Notified when a connection is returned after [`Self::stop`].
    returned: Condvar,
    places: Arc<Semaphore>,
    scans: Arc<Semaphore>,
}

#[derive(Default)]
struct ReaderLending {
    free: Vec<Reader>,
    lent: usize,
    /// Handles that interrupt the statements of lent connections.
    interrupts: Vec<Arc<InterruptHandle>>,
    is_closed: bool,
}

/// A connection, and the handle that interrupts its statements.
struct Reader {
    connection: Connection,
    interrupt: Arc<InterruptHandle>,
}

/// The right to use a connection for a scan.
pub(super) struct ScanPermit {
    _scan: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Readers {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            lending: Mutex::default(),
            returned: Condvar::new(),
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            scans: Arc::new(Semaphore::new(MAX_SCANS)),
        }
    }

    /// Runs a short read on this thread, once a connection is free.
    pub(super) async fn point<T>(&self, read: impl FnOnce(&Connection) -> EngineResult<T>) -> Result<T> {
        let _place = self.places.acquire().await.map_err(|_| closed())?;
        self.with(read)
    }

    /// Waits until a scan may begin; [`Self::with`] then runs it.
    pub(super) async fn acquire_scan(&self) -> Result<ScanPermit> {
        let scan = self.scans.clone().acquire_owned().await.map_err(|_| closed())?;
        let place = self.places.clone().acquire_owned().await.map_err(|_| closed())?;
        Ok(ScanPermit { _scan: scan, _place: place })
    }

    /// Runs a read on a connection of its own. There are as many connections as places.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> EngineResult<T>) -> Result<T> {
        let mut lent = self.lend()?;
        let result = read(&lent);
        if let Err(EngineError::Engine(error)) = &result
            && is_fatal(error)
        {
            lent.discard();
        }
        Ok(result?)
    }

    fn lend(&self) -> Result<LentReader<'_>> {
        let mut lending = self.lock();
        if lending.is_closed {
            return Err(closed());
        }
        lending.lent += 1;
        let free = lending.free.pop();
        lending.interrupts.extend(free.as_ref().map(|reader| reader.interrupt.clone()));
        // From here on, its drop returns the connection.
        let mut lent = LentReader { readers: self, reader: free };
        drop(lending);
        if lent.reader.is_none() {
            let connection = self.source.open_reader().map_err(Error::unavailable)?;
            let interrupt = Arc::new(connection.get_interrupt_handle());
            self.lock().interrupts.push(interrupt.clone());
            lent.reader = Some(Reader { connection, interrupt });
        }
        Ok(lent)
    }

    /// Refuses new reads, and interrupts the running ones.
    pub(super) fn stop(&self) {
        let mut lending = self.lock();
        lending.is_closed = true;
        lending.free.clear();
        lending.interrupts.iter().for_each(|interrupt| interrupt.interrupt());
    }

    /// Refuses new reads, and closes the connections as they become free. Blocks.
    pub(super) fn close(&self) {
        self.stop();
        let mut lending = self.lock();
        while lending.lent > 0 {
            let waited = self.returned.wait_timeout(lending, INTERRUPT_INTERVAL);
            lending = waited.unwrap_or_else(PoisonError::into_inner).0;
            // A read that was between two statements starts the next one.
            lending.interrupts.iter().for_each(|interrupt| interrupt.interrupt());
        }
    }

    fn lock(&self) -> MutexGuard<'_, ReaderLending> {
        self.lending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Error {
    Error::unavailable("the container is closed")
}

/// A connection in use; if it must not be used again, another is opened in its place.
struct LentReader<'a> {
    readers: &'a Readers,
    reader: Option<Reader>,
}

impl LentReader<'_> {
    /// Closes the connection, which must not be used again.
    fn discard(&mut self) {
        if let Some(Reader { connection, interrupt }) = self.reader.take() {
            drop(connection);
            self.readers.lock().forget(&interrupt);
        }
    }
}

impl ReaderLending {
    fn forget(&mut self, interrupt: &Arc<InterruptHandle>) {
        self.interrupts.retain(|other| !Arc::ptr_eq(other, interrupt));
    }
}

impl std::ops::Deref for LentReader<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.reader.as_ref().expect("it is opened before it is given out").connection
    }
}

impl Drop for LentReader<'_> {
    fn drop(&mut self) {
        // A panic may have left a transaction open; then the connection is closed.
        if self.reader.as_ref().is_some_and(|reader| !reader.connection.is_autocommit()) {
            self.discard();
        }
        let mut lending = self.readers.lock();
        if let Some(reader) = self.reader.take() {
            lending.forget(&reader.interrupt);
            if lending.is_closed {
                // Before it counts as returned: the waiting caller removes the file.
                drop(reader);
            } else {
                lending.free.push(reader);
            }
        }
        lending.lent -= 1;
        // Nobody else waits, and to notify is a system call even if nobody does.
        if lending.is_closed {
            self.readers.returned.notify_all();
        }
    }
}
