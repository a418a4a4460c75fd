//! Decides which calls run at once and which wait.
//!
//! A call that begins while no other organization is active takes no permit. It is not counted when another
//! organization becomes active, and ends soon.

use super::concurrency::ConcurrencyLimits;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::metrics::ORGANIZATION_TURN_WAITS;
use tenantry_domain::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long two organizations count as active at once after one made a call after the other.
const CONTENTION_WINDOW: Duration = Duration::from_secs(1);

/// Limits the concurrent calls of each organization.
pub(super) struct TenantLimiter {
    contention: ContentionDetector,
    reads: Arc<TenantPermits>,
    writes: Arc<TenantPermits>,
}

/// The right to run a call, until it is dropped. `None` for a call without contention.
pub(super) struct Permit {
    _permit: Option<TenantPermit>,
}

impl TenantLimiter {
    /// A limiter that gives each organization as many permits at once as `limits` says.
    pub(super) fn new(limits: ConcurrencyLimits) -> Self {
        let [reads, writes] = [limits.reads, limits.writes].map(|limit| Arc::new(TenantPermits::new(limit)));
        Self { contention: ContentionDetector::default(), reads, writes }
    }

    /// Waits for a permit for a read of that organization.
    pub(super) async fn acquire_read(&self, id: OrganizationId) -> Result<Permit> {
        self.acquire(&self.reads, id, Instant::now()).await
    }

    /// Waits for a permit for a write of that organization.
    pub(super) async fn acquire_write(&self, id: OrganizationId) -> Result<Permit> {
        self.acquire(&self.writes, id, Instant::now()).await
    }

    async fn acquire(
        &self,
        permits: &Arc<TenantPermits>,
        id: OrganizationId,
        now: Instant,
    ) -> Result<Permit> {
        let permit = if self.contention.observe(id, now) { Some(permits.acquire(id).await?) } else { None };
        Ok(Permit { _permit: permit })
    }
}

/// The permits of all organizations, for calls of one kind.
pub(super) struct TenantPermits {
    /// Permits of each organization.
    limit: usize,
    /// The semaphores of the organizations whose calls hold a permit or wait for one.
    semaphores: Mutex<HashMap<OrganizationId, Arc<Semaphore>>>,
}

/// A permit of an organization.
pub(super) struct TenantPermit {
    permits: Arc<TenantPermits>,
    id: OrganizationId,
    /// `None` before it is acquired, and after it is released.
    permit: Option<OwnedSemaphorePermit>,
}

impl TenantPermits {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), semaphores: Mutex::default() }
    }

    /// Waits for a permit of that organization.
    pub(super) async fn acquire(self: &Arc<Self>, id: OrganizationId) -> Result<TenantPermit> {
        // From here on, its drop removes an unused semaphore, also if the caller stops waiting.
        let mut tenant_permit = TenantPermit { permits: self.clone(), id, permit: None };
        let semaphore = self.semaphore(id);
        let permit = match semaphore.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                metrics::counter!(ORGANIZATION_TURN_WAITS).increment(1);
                semaphore.acquire_owned().await.map_err(|_| Error::internal("a semaphore was closed"))?
            }
        };
        tenant_permit.permit = Some(permit);
        Ok(tenant_permit)
    }

    fn semaphore(&self, id: OrganizationId) -> Arc<Semaphore> {
        self.lock().entry(id).or_insert_with(|| Arc::new(Semaphore::new(self.limit))).clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OrganizationId, Arc<Semaphore>>> {
        self.semaphores.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TenantPermit {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut semaphores = self.permits.lock();
        // A call that has a permit, or waits for one, holds a reference too.
        if semaphores.get(&self.id).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            semaphores.remove(&self.id);
        }
    }
}

/// Detects whether more than one organization is active.
#[derive(Default)]
struct ContentionDetector(Mutex<CallHistory>);

#[derive(Default)]
struct CallHistory {
    /// The organization of the last call.
    last_caller: Option<OrganizationId>,
    /// When the calling organization last changed.
    changed_at: Option<Instant>,
}

impl ContentionDetector {
    /// Records a call of that organization; returns whether others are active.
    fn observe(&self, id: OrganizationId, now: Instant) -> bool {
        let mut history = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if history.last_caller.replace(id).is_some_and(|last| last != id) {
            history.changed_at = Some(now);
        }
        // Another thread may have recorded a later time.
        history.changed_at.is_some_and(|changed| now.saturating_duration_since(changed) <= CONTENTION_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const READS: usize = 3;
    const LIMITS: ConcurrencyLimits = ConcurrencyLimits { reads: READS, writes: 2 * READS };

    fn id(number: u8) -> OrganizationId {
        OrganizationId::from_bytes([number; 12])
    }

    struct TestLimiter {
        limiter: TenantLimiter,
        now: Instant,
    }

    impl TestLimiter {
        fn new() -> Self {
            Self { limiter: TenantLimiter::new(LIMITS), now: Instant::now() }
        }

        /// A limiter while two organizations are active.
        fn contended() -> Self {
            let limiter = Self::new();
            drop((limiter.read(1).now_or_never(), limiter.read(2).now_or_never()));
            limiter
        }

        fn read(&self, number: u8) -> impl Future<Output = Result<Permit>> {
            self.limiter.acquire(&self.limiter.reads, id(number), self.now)
        }

        fn write(&self, number: u8) -> impl Future<Output = Result<Permit>> {
            self.limiter.acquire(&self.limiter.writes, id(number), self.now)
        }

        /// The permits that are available at once.
        fn reads(&self, number: u8) -> Vec<Permit> {
            (0..10 * READS).map_while(|_| self.read(number).now_or_never()).map(Result::unwrap).collect()
        }

        fn is_idle(&self) -> bool {
            self.limiter.reads.lock().is_empty() && self.limiter.writes.lock().is_empty()
        }
    }

    #[test]
    fn limiter_grants_all_permits_to_lone_tenant() {
        assert_eq!(TestLimiter::new().reads(1).len(), 10 * READS);
    }

    #[test]
    fn limiter_caps_each_tenant_under_contention() {
        let limiter = TestLimiter::new();
        let alone = limiter.reads(1);
        // The other organization has all of its permits, however many calls of the first are running.
        let other = limiter.reads(2);
        assert_eq!(other.len(), READS);
        let more = limiter.reads(1);
        assert_eq!(more.len(), READS, "calls from before the contention are not counted");
        let writes: Vec<_> = (0..10 * READS).map_while(|_| limiter.write(1).now_or_never()).collect();
        assert_eq!(writes.len(), LIMITS.writes, "reads leave room for writes");
        drop((alone, other, more, writes));
        assert!(limiter.is_idle(), "an organization without running calls takes no memory");
    }

    #[test]
    fn limiter_grants_returned_permit_in_order() {
        let limiter = TestLimiter::contended();
        let mut permits = limiter.reads(1);
        let (mut first, mut second) = (Box::pin(limiter.read(1)), Box::pin(limiter.read(1)));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        permits.pop();
        assert!(second.as_mut().now_or_never().is_none());
        assert!(first.as_mut().now_or_never().is_some());
    }

    #[test]
    fn limiter_forgets_canceled_waiter() {
        let limiter = TestLimiter::contended();
        let permits = limiter.reads(1);
        let mut waiting = Box::pin(limiter.read(1));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(permits);
        drop(waiting);
        assert!(limiter.is_idle());
        assert_eq!(limiter.reads(1).len(), READS);
    }

    #[test]
    fn limiter_lifts_cap_when_contention_ends() {
        let mut limiter = TestLimiter::contended();
        limiter.now += CONTENTION_WINDOW;
        assert_eq!(limiter.reads(2).len(), READS);
        limiter.now += Duration::from_millis(1);
        assert_eq!(limiter.reads(2).len(), 10 * READS);
    }
}
