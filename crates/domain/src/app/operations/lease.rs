//! The lease of an operation during a step without a time limit.
//!
//! # Pitfalls
//! A failed renewal proves nothing. The operation is ours until its lease has run out, and so is a save whose
//! response was lost.

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::limits::{OPERATION_LEASE, OPERATION_RENEWAL};
use crate::operation::save_of_progress;
use crate::organization::Organization;
use crate::store::{Organizations, UpdateOutcome};
use std::pin::{Pin, pin};
use tokio::time::Instant;

/// Why a long step stops.
pub(super) enum Interrupted {
    /// Somebody else has the operation.
    Lost,
    /// It cannot go on.
    Failed(Error),
}

impl From<Error> for Interrupted {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// How much longer the lease lasts, and when to renew it.
pub(super) struct LeaseTimer {
    renewed: Instant,
    due: Instant,
    /// Whether the last renewal failed or has an unknown outcome.
    is_doubtful: bool,
}

impl LeaseTimer {
    /// The timer of a lease that has just begun.
    pub(super) fn new() -> Self {
        Self::since(Instant::now())
    }

    fn since(renewed: Instant) -> Self {
        Self { renewed, due: renewed + OPERATION_RENEWAL, is_doubtful: false }
    }

    /// After a renewal that failed: whether there is time for another one.
    fn postpone(&mut self) -> bool {
        self.is_doubtful = true;
        self.due = Instant::now() + OPERATION_RENEWAL;
        self.due < self.renewed + OPERATION_LEASE
    }
}

/// The lease of the operation under way in `organization`, during other work.
pub(super) struct Lease<'a> {
    pub(super) store: &'a dyn Organizations,
    pub(super) clock: &'a dyn Clock,
    pub(super) organization: &'a mut Organization,
    pub(super) term: &'a mut LeaseTimer,
    /// The progress of the step.
    pub(super) documents: Option<u64>,
}

impl Lease<'_> {
    /// Waits for `work` while renewing the lease. If the lease is lost, it still waits for `work`.
    pub(super) async fn hold<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        if self.term.due <= Instant::now() {
            self.renew().await?;
        }
        let mut work = pin!(work);
        match self.renew_during(work.as_mut()).await {
            Err(stop) => {
                work.await;
                Err(stop)
            }
            done => done,
        }
    }

    /// Like [`Self::hold`], but drops `work` if the lease is lost.
    pub(super) async fn hold_or_stop<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        self.renew_during(pin!(work)).await
    }

    async fn renew_during<F: Future>(&mut self, mut work: Pin<&mut F>) -> Result<F::Output, Interrupted> {
        loop {
            match tokio::time::timeout_at(self.term.due, work.as_mut()).await {
                Ok(done) => return Ok(done),
                Err(_) => self.renew().await?,
            }
        }
    }

    /// If the last renewal failed, waits until the record is known again: the next save builds on it.
    pub(super) async fn settle(&mut self) -> Result<(), Interrupted> {
        while self.term.is_doubtful {
            tokio::time::sleep_until(self.term.due).await;
            self.renew().await?;
        }
        Ok(())
    }

    /// Renews the lease, or reschedules the renewal as long as the lease has not run out.
    async fn renew(&mut self) -> Result<(), Interrupted> {
        let began = Instant::now();
        match self.try_renew().await {
            Ok(UpdateOutcome::Done) => *self.term = LeaseTimer::since(began),
            // An earlier renewal was saved, but its response was lost: try again from there.
            Ok(UpdateOutcome::Stale) => self.term.due = began,
            Err(Interrupted::Failed(error)) if self.term.postpone() => {
                tracing::warn!(organization = %self.organization.id, %error, "a lease could not be renewed");
            }
            Err(stop) => return Err(stop),
        }
        Ok(())
    }

    async fn try_renew(&mut self) -> Result<UpdateOutcome, Interrupted> {
        let next =
            save_of_progress(self.organization, self.documents, self.clock.now()).ok_or(Interrupted::Lost)?;
        let written = self.store.update_organization(&next).await?;
        *self.organization = match written {
            UpdateOutcome::Done => next,
            UpdateOutcome::Stale => self.read_again().await?,
        };
        Ok(written)
    }

    /// The record as it is now, if the operation is still ours.
    async fn read_again(&self) -> Result<Organization, Interrupted> {
        let found = self.store.get_organization(self.organization.id).await?;
        let is_ours = |found: &Organization| match (&found.operation, &self.organization.operation) {
            (Some(running), Some(ours)) => (running.id, running.fence) == (ours.id, ours.fence),
            _ => false,
        };
        found.filter(|found| is_ours(found)).map(|found| Organization::clone(&found)).ok_or(Interrupted::Lost)
    }
}

#[cfg(test)]
mod tests;
