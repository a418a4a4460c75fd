//! The one writer of the control database: a thread that owns the only connection that writes, and commits in
//! groups ([`group`]).
//!
//! # Pitfalls
//! Containers have writers of their own ([`super::containers`]), without a thread each. The thread must
//! survive every panic: without it nothing more is written, and the lock on the data directory would be
//! released while the process runs.

use super::connection::LogSize;
use super::engine_error::EngineResult;
use super::group::{BATCH_JOBS, Job};
use super::{connection, group};
use rusqlite::Connection;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tenantry_domain::{Error, Result, failpoints};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Jobs that may wait; later callers wait for a place in the queue.
const QUEUE_JOBS: usize = 4096;
/// How long the writer must be idle before it checkpoints the write-ahead log.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the writer has done since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterCounts {
    /// Jobs taken from the queue.
    pub jobs: u64,
    /// Transactions they were put into.
    pub batches: u64,
    /// Transactions that failed, with every job in them.
    pub failed_batches: u64,
}

#[derive(Default)]
struct Counters {
    jobs: AtomicU64,
    batches: AtomicU64,
    failed_batches: AtomicU64,
}

/// The queue to the writer's thread.
pub(super) struct Writer {
    queue: Mutex<Option<Sender<QueuedJob>>>,
    places: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
}

struct QueuedJob {
    job: Box<dyn Job>,
    /// Given back when the job is taken from the queue.
    place: OwnedSemaphorePermit,
}

impl Writer {
    /// Starts the thread on an opened `connection` to `file`. The thread holds `lock` until its last write.
    pub(super) fn start(file: PathBuf, connection: Connection, lock: File) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let counters = Arc::new(Counters::default());
        let log = LogSize::of(&file);
        let writer_thread =
            WriterThread { file, connection: Some(connection), log, dirty: true, counters: counters.clone() };
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            writer_thread.run(&receiver);
            drop(lock);
        })?;
        Ok(Self {
            queue: Mutex::new(Some(sender)),
            places: Arc::new(Semaphore::new(QUEUE_JOBS)),
            thread: Mutex::new(Some(thread)),
            counters,
        })
    }

    /// Runs `work` in a transaction and returns its result once that is durable. The work is done even if the
    /// caller goes away.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> EngineResult<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| closed())?;
        let (job, answered) = group::job(work);
        self.send(QueuedJob { job, place })?;
        answered.await.map_err(|_| Error::unavailable("a write was cut off"))?
    }

    fn send(&self, queued: QueuedJob) -> Result<()> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = queue.as_ref().ok_or_else(closed)?;
        sender.send(queued).map_err(|_| closed())
    }

    /// Refuses new jobs, waits for those that are queued, checkpoints the log and releases the lock. Blocks.
    pub(super) fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's writer has panicked");
        }
    }

    pub(super) fn counts(&self) -> WriterCounts {
        WriterCounts {
            jobs: self.counters.jobs.load(Ordering::Relaxed),
            batches: self.counters.batches.load(Ordering::Relaxed),
            failed_batches: self.counters.failed_batches.load(Ordering::Relaxed),
        }
    }
}

fn closed() -> Error {
    Error::unavailable("the store is closed")
}

/// What the thread owns.
struct WriterThread {
    file: PathBuf,
    /// `None` after an error that is fatal for a connection, until it can be opened again.
    connection: Option<Connection>,
    log: LogSize,
    /// Whether there may be something in the write-ahead log.
    dirty: bool,
    counters: Arc<Counters>,
}

impl WriterThread {
    fn run(mut self, queue: &Receiver<QueuedJob>) {
        loop {
            // Each job catches its own panic. A panic elsewhere costs this group, whose callers get an error
            // when its jobs are dropped, and the connection, which is opened again.
            match catch_unwind(AssertUnwindSafe(|| self.round(queue))) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => tracing::error!("a group of writes has panicked"),
            }
        }
        self.fold_log();
    }

    /// Takes the waiting jobs and runs them; returns whether there may be more.
    fn round(&mut self, queue: &Receiver<QueuedJob>) -> bool {
        let Some(first) = self.next(queue) else { return false };
        let mut jobs = Vec::with_capacity(16);
        take(first, &mut jobs);
        while jobs.len() < BATCH_JOBS
            && let Ok(queued) = queue.try_recv()
        {
            take(queued, &mut jobs);
        }
        self.serve(jobs);
        true
    }

    /// The next job; `None` once the queue is closed and empty.
    fn next(&mut self, queue: &Receiver<QueuedJob>) -> Option<QueuedJob> {
        if self.dirty {
            match queue.recv_timeout(IDLE_TIMEOUT) {
                Ok(queued) => return Some(queued),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.fold_log(),
            }
        }
        queue.recv().ok()
    }

    fn serve(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        self.counters.jobs.fetch_add(jobs.len() as u64, Ordering::Relaxed);
        self.counters.batches.fetch_add(1, Ordering::Relaxed);
        self.dirty = true;
        let reopen = || connection::reopen_writer(&self.file);
        let outcome = group::attempt(&mut self.connection, reopen, &mut jobs);
        if outcome.is_err() {
            self.counters.failed_batches.fetch_add(1, Ordering::Relaxed);
        }
        failpoints::point("worker", "records_writer", "answer");
        group::answer(jobs, &outcome);
        if let Some(connection) = &self.connection {
            self.log.bound(connection);
        }
    }

    /// Copies the write-ahead log into the database and truncates it, so that an idle service holds no space
    /// for it and a start has nothing to recover. Failing to do so now does no harm.
    fn fold_log(&mut self) {
        self.dirty = false;
        if let Some(connection) = &self.connection
            && let Err(error) = connection::fold_log(connection)
        {
            tracing::warn!(%error, "the write-ahead log could not be folded in");
        }
    }
}

fn take(queued: QueuedJob, jobs: &mut Vec<Box<dyn Job>>) {
    drop(queued.place);
    jobs.push(queued.job);
}

#[cfg(test)]
mod tests;
