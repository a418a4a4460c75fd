//! The writes of one open container, in groups ([`group`]).
//!
//! There is a thread at work on them only while there are any: it comes from tokio's blocking threads. What a
//! newcomer gets wrong: whoever closes the queue does what is left in it by itself, because all those threads may be
//! waiting for the very file that is being closed.

use crate::sqlite::failure::Attempt;
use crate::sqlite::group::{Answer, BATCH_JOBS, Job};
use crate::sqlite::{connection, group};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tenantry_domain::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Jobs that may wait; who comes after them waits before the queue.
const QUEUE_JOBS: usize = 256;

pub(super) struct Queue {
    file: PathBuf,
    waiting: Mutex<Waiting>,
    places: Arc<Semaphore>,
    /// None after an error that is fatal for a connection, until it could be opened again.
    connection: Mutex<Option<Connection>>,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Queued>,
    /// Whether somebody is about to work on them.
    is_attended: bool,
    is_closed: bool,
}

struct Queued {
    job: Box<dyn Job>,
    /// Given back when the job is taken from the queue.
    _place: OwnedSemaphorePermit,
}

impl Queue {
    /// Writes to `file` by `connection`.
    pub(super) fn new(file: PathBuf, connection: Connection) -> Self {
        Self {
            file,
            waiting: Mutex::default(),
            places: Arc::new(Semaphore::new(QUEUE_JOBS)),
            connection: Mutex::new(Some(connection)),
        }
    }

    /// Waits for a place in the queue.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.map_err(|_| closed())
    }

    /// Queues `work`. Who gets `true` has to see to it that [`Self::work_off`] is called.
    pub(super) fn push<T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        work: impl FnOnce(&Connection) -> Attempt<T> + Send + 'static,
    ) -> Result<(Answer<T>, bool)> {
        let (job, answer) = group::job(work);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_closed {
            return Err(closed());
        }
        waiting.jobs.push_back(Queued { job, _place: place });
        let is_unattended = !std::mem::replace(&mut waiting.is_attended, true);
        Ok((answer, is_unattended))
    }

    /// Does what is in the queue until nothing is left. Blocks.
    pub(super) fn work_off(&self) {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        self.work_off_with(&mut connection);
    }

    fn work_off_with(&self, slot: &mut Option<Connection>) {
        loop {
            let mut jobs = self.take();
            if jobs.is_empty() {
                return;
            }
            let outcome = group::attempt(slot, || self.reopen(), &mut jobs);
            group::answer(jobs, &outcome);
        }
    }

    fn take(&self) -> Vec<Box<dyn Job>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.jobs.len().min(BATCH_JOBS);
        waiting.is_attended = count > 0;
        waiting.jobs.drain(..count).map(|queued| queued.job).collect()
    }

    fn reopen(&self) -> rusqlite::Result<Connection> {
        let connection = connection::open_untouched(&self.file)?;
        connection::configure_container_writer(&connection)?;
        tracing::warn!(file = %self.file.display(), "a container has been opened again after an error");
        Ok(connection)
    }

    /// Refuses what comes later and what is queued, and closes the connection once it is free. Blocks.
    pub(super) fn abandon(&self) {
        let refused = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.is_closed = true;
            std::mem::take(&mut waiting.jobs)
        };
        drop(refused);
        self.close();
    }

    /// Refuses what comes later, does what is queued, and closes the connection. Blocks.
    pub(super) fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        self.work_off_with(&mut connection);
        drop(connection.take());
    }
}

pub(super) fn closed() -> Error {
    Error::unavailable("the container is closed")
}
