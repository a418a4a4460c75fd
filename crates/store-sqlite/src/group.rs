//! Group commit: waiting jobs run together in one transaction, each in a savepoint of its own, and get their
//! results after its commit. So concurrent writes share a commit, which costs an fsync, and no write is
//! acknowledged that could still be lost.
//!
//! # Pitfalls
//! A job's own result means nothing until the commit. If that fails, every job of the batch fails, even a
//! refused one: the row that it was refused for may be gone.

use super::engine_error::{EngineError, EngineResult, is_fatal, is_of_statement};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tenantry_domain::metrics::STORE_WRITE_BATCH_SIZE;
use tenantry_domain::{Error, Result};
use tokio::sync::oneshot;

/// Jobs of one transaction at most, so that the first of them does not wait for long.
pub(super) const BATCH_JOBS: usize = 256;

/// Work in a queue, with any type of result.
pub(super) trait Job: Send {
    /// Does the work and keeps its result. `Err` is the error of SQLite, for the transaction around it.
    fn run(&mut self, connection: &Connection) -> Result<(), Undo>;
    /// Sends the caller the kept result or, if the batch failed, the reason.
    fn answer(self: Box<Self>, failure: Option<&rusqlite::Error>);
}

/// What a failed job asks of the batch.
pub(super) enum Undo {
    /// Roll back this job alone.
    Job,
    /// Roll back everything.
    Batch(rusqlite::Error),
}

/// The receiver of a job's result; it gets none if the job is dropped without running.
pub(super) type ReplyReceiver<T> = oneshot::Receiver<Result<T>>;

/// A job that does `work`.
pub(super) fn job<T: Send + 'static>(
    work: impl FnOnce(&Connection) -> EngineResult<T> + Send + 'static,
) -> (Box<dyn Job>, ReplyReceiver<T>) {
    let (answer, receiver) = oneshot::channel();
    (Box::new(CallbackJob { work: Some(work), result: None, answer }), receiver)
}

struct CallbackJob<T, W> {
    work: Option<W>,
    result: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T: Send, W: FnOnce(&Connection) -> EngineResult<T> + Send> Job for CallbackJob<T, W> {
    fn run(&mut self, connection: &Connection) -> Result<(), Undo> {
        let Some(work) = self.work.take() else { return Ok(()) };
        // A panic in one job must not take down the writer, and with it every later write.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(connection)));
        let (result, undo) = match outcome {
            Ok(Ok(value)) => (Ok(value), None),
            Ok(Err(EngineError::Engine(error))) if !is_of_statement(&error) => {
                return Err(Undo::Batch(error));
            }
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
            None => result.unwrap_or_else(|| Err(Error::internal("a write that was never begun"))),
        };
        // A missing receiver is no error: the write is done anyway.
        let _ = answer.send(result);
    }
}

/// Runs `jobs` in one transaction on the connection of `slot`, which `open` opens if there is none. After an
/// error none of them has happened, as far as can be known; an unusable connection is closed.
pub(super) fn attempt(
    slot: &mut Option<Connection>,
    open: impl FnOnce() -> rusqlite::Result<Connection>,
    jobs: &mut [Box<dyn Job>],
) -> rusqlite::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "a batch is far smaller than 2^52")]
    metrics::histogram!(STORE_WRITE_BATCH_SIZE).record(jobs.len() as f64);
    let connection = match slot.take() {
        Some(connection) => connection,
        None => open()?,
    };
    let outcome = transact(&connection, jobs);
    if !outcome.as_ref().is_err_and(is_fatal) && connection.is_autocommit() {
        *slot = Some(connection);
    }
    outcome
}

/// Sends the callers of `jobs` their results.
pub(super) fn answer(jobs: Vec<Box<dyn Job>>, outcome: &rusqlite::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, jobs = jobs.len(), "a group of writes has failed");
    }
    for job in jobs {
        job.answer(outcome.as_ref().err());
    }
}

fn transact(connection: &Connection, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    run(connection, "BEGIN IMMEDIATE")?;
    let outcome = match jobs {
        // It needs no savepoint, which would copy every page that it changes.
        [job] => alone(connection, job.as_mut()),
        jobs => {
            let all = jobs.iter_mut().try_for_each(|job| in_savepoint(connection, job.as_mut()));
            all.map(|()| "COMMIT")
        }
    };
    let outcome = outcome.and_then(|end| run(connection, end));
    // SQLite has rolled back by itself after most errors, but not after all.
    if outcome.is_err() && !connection.is_autocommit() {
        run(connection, "ROLLBACK")?;
    }
    outcome
}

/// Runs a transaction of this job alone.
fn alone(connection: &Connection, job: &mut dyn Job) -> rusqlite::Result<&'static str> {
    match job.run(connection) {
        Ok(()) => Ok("COMMIT"),
        Err(Undo::Job) => Ok("ROLLBACK"),
        Err(Undo::Batch(error)) => Err(error),
    }
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
