//! The one writer: a thread that owns the only connection that writes, and commits in groups.
//!
//! Jobs that wait are taken together into one transaction, each in a savepoint of its own, and are answered
//! after its commit. So a commit, which costs an fsync, is shared by all who write at the same time, and no
//! answer is given for what could still be lost.
//!
//! What a newcomer gets wrong: a job's own result means nothing until the commit. If that fails, every job of
//! the batch fails, also one that was refused: what it was refused for may be gone.

use super::connection;
use super::failure::{Attempt, Failure, is_fatal, is_of_statement};
use rusqlite::Connection;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tenantry_domain::measure::STORE_WRITE_BATCH_SIZE;
use tenantry_domain::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Jobs that may wait; who comes after them waits before the queue.
const QUEUE_JOBS: usize = 4096;
/// Jobs of one transaction at most, so that the first of them does not wait for long.
const BATCH_JOBS: usize = 256;
/// How long nothing must happen before the write-ahead log is folded into the database.
const IDLE: Duration = Duration::from_secs(2);

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
    queue: Mutex<Option<Sender<Queued>>>,
    places: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
}

struct Queued {
    job: Box<dyn Job>,
    /// Given back when the job is taken from the queue.
    place: OwnedSemaphorePermit,
}

impl Writer {
    /// Starts the thread on an opened `connection` to `file`. The thread holds `lock` until its last write.
    pub(super) fn start(file: PathBuf, connection: Connection, lock: File) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let counters = Arc::new(Counters::default());
        let body = Body { file, connection: Some(connection), dirty: true, counters: counters.clone() };
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            body.run(&receiver);
            drop(lock);
        })?;
        Ok(Self {
            queue: Mutex::new(Some(sender)),
            places: Arc::new(Semaphore::new(QUEUE_JOBS)),
            thread: Mutex::new(Some(thread)),
            counters,
        })
    }

    /// Carries out `work` in a transaction; its result, once that is durable. The work happens also when
    /// nobody waits for it any more.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Attempt<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        self.send(Queued { job: Box::new(Task { work: Some(work), result: None, answer }), place })?;
        answered.await.map_err(|_| closed())?
    }

    fn send(&self, queued: Queued) -> Result<()> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = queue.as_ref().ok_or_else(closed)?;
        sender.send(queued).map_err(|_| closed())
    }

    /// Refuses new jobs, waits for those that are queued, folds the log into the database and lets the lock
    /// go. Blocks.
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

/// Work in the queue, whatever its result is.
trait Job: Send {
    /// Does the work and keeps its result. `Err` is what SQLite said, for the transaction around it.
    fn run(&mut self, connection: &Connection) -> Result<(), Undo>;
    /// Tells whoever waits: the result that was kept or, in its place, why the batch failed.
    fn answer(self: Box<Self>, failure: Option<&rusqlite::Error>);
}

/// What a failed job asks of the batch.
enum Undo {
    /// Roll back this job alone.
    Job,
    /// Roll back everything.
    Batch(rusqlite::Error),
}

struct Task<T, W> {
    work: Option<W>,
    result: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T: Send, W: FnOnce(&Connection) -> Attempt<T> + Send> Job for Task<T, W> {
    fn run(&mut self, connection: &Connection) -> Result<(), Undo> {
        let Some(work) = self.work.take() else { return Ok(()) };
        // A defect in one job must not take the writer, and with it every later write, along.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(connection)));
        let (result, undo) = match outcome {
            Ok(Ok(value)) => (Ok(value), None),
            Ok(Err(Failure::Engine(error))) if !is_of_statement(&error) => return Err(Undo::Batch(error)),
            Ok(Err(failure)) => (Err(failure.into()), Some(Undo::Job)),
            Err(_) => (Err(Error::internal("a write has panicked")), Some(Undo::Job)),
        };
        self.result = Some(result);
        undo.map_or(Ok(()), Err)
    }

    fn answer(self: Box<Self>, failure: Option<&rusqlite::Error>) {
        let Self { result, answer, .. } = *self;
        let result = match failure {
            Some(error) => Err(Error::unavailable(error)),
            None => result.unwrap_or_else(|| Err(closed())),
        };
        // It is no error that nobody waits any more: the write is done all the same.
        let _ = answer.send(result);
    }
}

/// What the thread owns.
struct Body {
    file: PathBuf,
    /// None after an error that is fatal for a connection, until it could be opened again.
    connection: Option<Connection>,
    /// Whether there may be something in the write-ahead log.
    dirty: bool,
    counters: Arc<Counters>,
}

impl Body {
    fn run(mut self, queue: &Receiver<Queued>) {
        while let Some(first) = self.next(queue) {
            let mut jobs = Vec::with_capacity(16);
            take(first, &mut jobs);
            while jobs.len() < BATCH_JOBS
                && let Ok(queued) = queue.try_recv()
            {
                take(queued, &mut jobs);
            }
            self.serve(jobs);
        }
        self.fold_log();
    }

    /// The next job, or none once the queue is closed and empty.
    fn next(&mut self, queue: &Receiver<Queued>) -> Option<Queued> {
        if self.dirty {
            match queue.recv_timeout(IDLE) {
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
        #[expect(clippy::cast_precision_loss, reason = "a batch is far smaller than 2^52")]
        metrics::histogram!(STORE_WRITE_BATCH_SIZE).record(jobs.len() as f64);
        self.dirty = true;
        let outcome = self.attempt(&mut jobs);
        if let Err(error) = &outcome {
            self.counters.failed_batches.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, jobs = jobs.len(), "a group of writes has failed");
        }
        for job in jobs {
            job.answer(outcome.as_ref().err());
        }
    }

    fn attempt(&mut self, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connection::reopen_writer(&self.file)?,
        };
        let outcome = transact(&connection, jobs);
        if !outcome.as_ref().is_err_and(is_fatal) && connection.is_autocommit() {
            self.connection = Some(connection);
        }
        outcome
    }

    /// Copies the write-ahead log into the database and cuts it to nothing, so that an idle service holds no
    /// space for it and a start has nothing to recover. It is no loss when that is not possible now.
    fn fold_log(&mut self) {
        self.dirty = false;
        if let Some(connection) = &self.connection
            && let Err(error) = connection::fold_log(connection)
        {
            tracing::warn!(%error, "the write-ahead log could not be folded in");
        }
    }
}

fn take(queued: Queued, jobs: &mut Vec<Box<dyn Job>>) {
    drop(queued.place);
    jobs.push(queued.job);
}

/// Runs `jobs` in one transaction. After an error none of them has happened, as far as can be known.
fn transact(connection: &Connection, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    run(connection, "BEGIN IMMEDIATE")?;
    let outcome = jobs.iter_mut().try_for_each(|job| in_savepoint(connection, job.as_mut()));
    let outcome = outcome.and_then(|()| run(connection, "COMMIT"));
    // SQLite has rolled back by itself after most errors, but not after all.
    if outcome.is_err() && !connection.is_autocommit() {
        run(connection, "ROLLBACK")?;
    }
    outcome
}

fn in_savepoint(connection: &Connection, job: &mut dyn Job) -> rusqlite::Result<()> {
    run(connection, "SAVEPOINT job")?;
    match job.run(connection) {
        Ok(()) => {}
        Err(Undo::Job) => run(connection, "ROLLBACK TO job")?,
        Err(Undo::Batch(error)) => return Err(error),
    }
    run(connection, "RELEASE job")
}

fn run(connection: &Connection, sql: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

#[cfg(test)]
mod tests;
