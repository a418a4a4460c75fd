//! Runs each permitted write in a task of its own: it finishes, and keeps its permit until then, even if the
//! caller stops waiting.
//!
//! On MongoDB a write first claims room in the quota, and returns the unused rest at its end. If it were
//! dropped in between, the claim would count against the organization for a minute.
//!
//! # Pitfalls
//! Waiting for a permit is still part of the request: if the client hangs up before the permit comes, nothing
//! is written.

use super::tenant::Permit;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::{Error, Result, failpoints};
use tokio::sync::watch;
use tokio::task::JoinError;
use tracing::Instrument;

/// The running writes.
#[derive(Clone)]
pub(crate) struct Writes(Arc<watch::Sender<usize>>);

impl Default for Writes {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Writes {
    /// Runs `write` to its end, even if the caller stops waiting. If it panics, the caller gets an error at
    /// once.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        permit: Permit,
        write: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let guard = WriteGuard::new(self.clone());
        let task = tokio::spawn(
            async move {
                let _guards = (permit, guard);
                failpoints::point("worker", "write", "begun");
                write.await
            }
            .in_current_span(),
        );
        task.await.map_err(|error| cut_off(&error))?
    }

    /// Waits until no write is running, for at most `time`.
    pub(crate) async fn finish(&self, time: Duration) {
        let mut count = self.0.subscribe();
        if tokio::time::timeout(time, count.wait_for(|count| *count == 0)).await.is_err() {
            tracing::warn!("some writes whose callers have gone did not end in time and are canceled");
        }
    }
}

fn cut_off(error: &JoinError) -> Error {
    if error.is_panic() {
        return Error::internal("a write has panicked");
    }
    Error::unavailable("the runtime is shutting down")
}

/// Counts a write as running until this is dropped.
struct WriteGuard(Writes);

impl WriteGuard {
    fn new(writes: Writes) -> Self {
        writes.0.send_modify(|count| *count += 1);
        Self(writes)
    }
}

impl Drop for WriteGuard {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tenant::TenantLimiter;
    use super::*;
    use crate::ConcurrencyLimits;
    use futures_util::FutureExt;
    use tenantry_domain::ErrorCode;
    use tenantry_domain::ids::OrganizationId;
    use tokio::sync::oneshot;

    async fn permit(limiter: &TenantLimiter) -> Permit {
        limiter.acquire_write(OrganizationId::from_bytes([1; 12])).await.unwrap()
    }

    #[tokio::test]
    async fn write_runs_to_its_end_without_its_caller() {
        let (limiter, writes) = (TenantLimiter::new(ConcurrencyLimits::default()), Writes::default());
        let (begin, begun) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let write = async move {
            let _ = begun.await;
            let _ = end.send(());
            Ok(())
        };
        let mut request = Box::pin(writes.run(permit(&limiter).await, write));
        assert!(request.as_mut().now_or_never().is_none());
        drop(request);
        begin.send(()).unwrap();
        ended.await.expect("the write was dropped with its caller");
        writes.finish(Duration::from_secs(60)).await;
        assert_eq!(*writes.0.borrow(), 0);
    }

    #[tokio::test]
    async fn write_that_panics_fails_and_returns_its_permit() {
        let share = ConcurrencyLimits { reads: 1, writes: 1 };
        let (limiter, writes) = (TenantLimiter::new(share), Writes::default());
        for _ in 0..3 {
            let panicking = async { panic!("a defect") };
            let answer: Result<()> = writes.run(permit(&limiter).await, panicking).await;
            assert_eq!(answer.unwrap_err().code(), ErrorCode::Internal);
        }
        assert_eq!(*writes.0.borrow(), 0);
    }
}
