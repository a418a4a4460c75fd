//! The writes of one open container, in groups ([`group`]).
//!
//! A thread works on them only while there are any: one of tokio's blocking threads.
//!
//! # Pitfalls
//! The closing thread runs the remaining jobs itself, because all blocking threads may be waiting for the
//! very file that is being closed. A worker that ends before the queue is empty (it panicked, or never
//! started) must not leave jobs behind: [`Worker`] answers them.

use super::source::Source;
use crate::connection::LogSize;
use crate::engine_error::EngineResult;
use crate::group;
use crate::group::{BATCH_JOBS, Job, ReplyReceiver};
use rusqlite::{Connection, InterruptHandle, ffi};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tenantry_domain::failpoints;
use tenantry_domain::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Jobs that may wait; later callers wait for a place in the queue.
const QUEUE_JOBS: usize = 256;

pub(super) struct Queue {
    source: Source,
    state: Mutex<QueueState>,
    places: Arc<Semaphore>,
    writer: Mutex<Writer>,
    /// Ends what runs outside of the queue.
    alone: Mutex<ExclusiveJob>,
}

/// What runs on the connection between two groups of writes.
#[derive(Default)]
struct ExclusiveJob {
    running: Option<InterruptHandle>,
    is_stopped: bool,
}

struct Writer {
    /// `None` after an error that is fatal for a connection, until it can be opened again.
    connection: Option<Connection>,
    /// Of a file.
    log: Option<LogSize>,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<QueuedJob>,
    /// Whether a worker is running or about to start.
    has_worker: bool,
    is_closed: bool,
}

struct QueuedJob {
    job: Box<dyn Job>,
    /// Given back when the job is taken from the queue.
    _place: OwnedSemaphorePermit,
}

impl Queue {
    /// A queue of writes to `source` through `connection`.
    pub(super) fn new(source: Source, connection: Connection) -> Self {
        let log = match &source {
            Source::File(file) => Some(LogSize::of(file)),
            Source::Empty(_) => None,
        };
        Self {
            source,
            state: Mutex::default(),
            places: Arc::new(Semaphore::new(QUEUE_JOBS)),
            writer: Mutex::new(Writer { connection: Some(connection), log }),
            alone: Mutex::default(),
        }
    }

    /// Waits for a place in the queue.
    pub(super) async fn acquire_place(&self) -> Result<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.map_err(|_| closed())
    }

    /// Queues `work`. A caller that gets `true` has to start a [`Worker`].
    pub(super) fn push<T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        work: impl FnOnce(&Connection) -> EngineResult<T> + Send + 'static,
    ) -> Result<(ReplyReceiver<T>, bool)> {
        let (job, answer) = group::job(work);
        let mut state = self.state();
        if state.is_closed {
            return Err(closed());
        }
        state.jobs.push_back(QueuedJob { job, _place: place });
        let needs_worker = !std::mem::replace(&mut state.has_worker, true);
        Ok((answer, needs_worker))
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the queued jobs until none is left. Blocks.
    fn work_off(&self) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.work_off_with(&mut writer);
    }

    /// Truncates a log that has grown, if no write is running. Blocks.
    pub(super) fn bound_log(&self) {
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.bound_log();
        }
    }

    /// Looks at the database through the connection that writes, if no write is running. Blocks.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        let writer = self.writer.try_lock().ok()?;
        look(writer.connection.as_ref()?).ok()
    }

    /// Runs `work` on the connection when no write is running; writes that come meanwhile wait. Blocks.
    pub(super) fn run_alone(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let interrupted = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = writer.connection.as_ref().ok_or_else(interrupted)?;
        {
            let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
            if alone.is_stopped {
                return Err(interrupted());
            }
            alone.running = Some(connection.get_interrupt_handle());
        }
        let done = work(connection);
        self.alone.lock().unwrap_or_else(PoisonError::into_inner).running = None;
        done
    }

    /// Ends [`Self::run_alone`], now and from now on; writes of the queue go on.
    pub(super) fn interrupt(&self) {
        let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        alone.is_stopped = true;
        if let Some(running) = &alone.running {
            running.interrupt();
        }
    }

    fn work_off_with(&self, writer: &mut Writer) {
        loop {
            failpoints::point("worker", "container_writer", "take");
            let jobs = self.take();
            if jobs.is_empty() {
                return;
            }
            // Each job catches its own panic. A panic elsewhere costs this group, whose callers get an error
            // when its jobs are dropped, but not the jobs behind it.
            let slot = &mut writer.connection;
            if catch_unwind(AssertUnwindSafe(|| self.serve(slot, jobs))).is_err() {
                tracing::error!(file = %self.source, "a group of writes has panicked");
            }
            writer.bound_log();
        }
    }

    fn serve(&self, slot: &mut Option<Connection>, mut jobs: Vec<Box<dyn Job>>) {
        let outcome = group::attempt(slot, || self.reopen(), &mut jobs);
        failpoints::point("worker", "container_writer", "answer");
        group::answer(jobs, &outcome);
    }

    /// Fails the waiting jobs when no worker is left.
    fn fail_waiting(&self) {
        let jobs = {
            let mut state = self.state();
            state.has_worker = false;
            std::mem::take(&mut state.jobs)
        };
        tracing::error!(file = %self.source, jobs = jobs.len(), "the worker of a container has ended early");
    }

    fn take(&self) -> Vec<Box<dyn Job>> {
        let mut state = self.state();
        let count = state.jobs.len().min(BATCH_JOBS);
        state.has_worker = count > 0;
        state.jobs.drain(..count).map(|queued| queued.job).collect()
    }

    fn reopen(&self) -> rusqlite::Result<Connection> {
        let connection = self.source.open_writer()?;
        tracing::warn!(file = %self.source, "a container has been opened again after an error");
        Ok(connection)
    }

    /// Refuses new and queued jobs, and closes the connection once it is free. Blocks.
    pub(super) fn abandon(&self) {
        let refused = {
            let mut state = self.state();
            state.is_closed = true;
            std::mem::take(&mut state.jobs)
        };
        drop(refused);
        self.close();
    }

    /// Refuses new jobs, runs the queued ones, and closes the connection. Blocks.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.work_off_with(&mut writer);
        drop(writer.connection.take());
    }
}

impl Writer {
    fn bound_log(&mut self) {
        if let (Some(connection), Some(log)) = (&self.connection, &mut self.log) {
            log.bound(connection);
        }
    }
}

/// Runs the jobs of a queue, once. If it is dropped before that, it fails the waiting jobs, and the next
/// write starts a new worker.
pub(super) struct Worker<Q: AsRef<Queue>> {
    queue: Q,
    is_done: bool,
}

impl<Q: AsRef<Queue>> Worker<Q> {
    pub(super) const fn new(queue: Q) -> Self {
        Self { queue, is_done: false }
    }

    /// Runs the queued jobs until none is left. Blocks.
    pub(super) fn run(mut self) {
        self.queue.as_ref().work_off();
        self.is_done = true;
    }
}

impl<Q: AsRef<Queue>> Drop for Worker<Q> {
    fn drop(&mut self) {
        if !self.is_done {
            self.queue.as_ref().fail_waiting();
        }
    }
}

pub(super) fn closed() -> Error {
    Error::unavailable("the container is closed")
}

/// The error of a job that was dropped without running, or whose outcome is unknown.
pub(super) fn cut_off() -> Error {
    Error::unavailable("a write was cut off")
}
