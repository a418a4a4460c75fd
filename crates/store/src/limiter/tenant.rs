//! Decides which calls run at once and which wait.
//!
//! Calls that began while their organization was alone hold no permit of its lane. They are not counted when
//! another organization comes, and end soon.

use super::limits::ConcurrencyLimits;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::metrics::ORGANIZATION_TURN_WAITS;
use tenantry_domain::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long an organization counts as active after one of its calls has begun.
const AT_WORK: Duration = Duration::from_secs(1);

/// The calls that organizations have under way.
pub(super) struct TenantLimiter {
    company: ContentionDetector,
    reads: Arc<TenantPermits>,
    writes: Arc<TenantPermits>,
}

/// The right to run a call. A call of an organization that was alone holds no lane.
pub(super) struct Permit {
    _place: Option<Lane>,
}

impl TenantLimiter {
    /// A limiter that gives each organization `share` permits at once.
    pub(super) fn new(share: ConcurrencyLimits) -> Self {
        let [reads, writes] = [share.reads, share.writes].map(|share| Arc::new(TenantPermits::new(share)));
        Self { company: ContentionDetector::default(), reads, writes }
    }

    /// Waits for a permit for a read of that organization. Dropping it releases it.
    pub(super) async fn to_read(&self, id: OrganizationId) -> Result<Permit> {
        self.turn(&self.reads, id, Instant::now()).await
    }

    /// Waits for a permit for a write of that organization.
    pub(super) async fn to_write(&self, id: OrganizationId) -> Result<Permit> {
        self.turn(&self.writes, id, Instant::now()).await
    }

    async fn turn(&self, lanes: &Arc<TenantPermits>, id: OrganizationId, now: Instant) -> Result<Permit> {
        let place = if self.company.meets(id, now) { Some(lanes.place(id).await?) } else { None };
        Ok(Permit { _place: place })
    }
}

/// Calls of one kind.
pub(super) struct TenantPermits {
    /// Permits of one organization while others are active.
    share: usize,
    /// Lanes of the organizations that have limited calls under way or waiting.
    lanes: Mutex<HashMap<OrganizationId, Arc<Semaphore>>>,
}

/// A place in the lane of an organization.
pub(super) struct Lane {
    lanes: Arc<TenantPermits>,
    id: OrganizationId,
    /// `None` before it is acquired, and after it is released.
    permit: Option<OwnedSemaphorePermit>,
}

impl TenantPermits {
    pub(super) fn new(share: usize) -> Self {
        Self { share: share.max(1), lanes: Mutex::default() }
    }

    pub(super) async fn place(self: &Arc<Self>, id: OrganizationId) -> Result<Lane> {
        // From here on, the lane is checked again if the caller stops waiting.
        let mut place = Lane { lanes: self.clone(), id, permit: None };
        let lane = self.lane(id);
        let permit = match lane.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                metrics::counter!(ORGANIZATION_TURN_WAITS).increment(1);
                lane.acquire_owned().await.map_err(|_| Error::internal("a lane was closed"))?
            }
        };
        place.permit = Some(permit);
        Ok(place)
    }

    fn lane(&self, id: OrganizationId) -> Arc<Semaphore> {
        self.lock().entry(id).or_insert_with(|| Arc::new(Semaphore::new(self.share))).clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OrganizationId, Arc<Semaphore>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut lanes = self.lanes.lock();
        // A call that has a permit, or waits for one, holds a reference too.
        if lanes.get(&self.id).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(&self.id);
        }
    }
}

/// Detects whether more than one organization is active.
#[derive(Default)]
struct ContentionDetector(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// The organization of the last call.
    last: Option<OrganizationId>,
    /// When the calling organization last changed.
    changed: Option<Instant>,
}

impl ContentionDetector {
    /// Notes a call of that organization; returns whether others are active.
    fn meets(&self, id: OrganizationId, now: Instant) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.last.replace(id).is_some_and(|last| last != id) {
            seen.changed = Some(now);
        }
        // Another thread may have noted a later moment.
        seen.changed.is_some_and(|changed| now.saturating_duration_since(changed) <= AT_WORK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const SHARE: usize = 3;
    const SHARES: ConcurrencyLimits = ConcurrencyLimits { reads: SHARE, writes: 2 * SHARE };

    fn id(number: u8) -> OrganizationId {
        OrganizationId::from_bytes([number; 12])
    }

    struct Moment {
        turns: TenantLimiter,
        now: Instant,
    }

    impl Moment {
        fn new() -> Self {
            Self { turns: TenantLimiter::new(SHARES), now: Instant::now() }
        }

        /// A limiter at a moment when two organizations are active.
        fn in_company() -> Self {
            let moment = Self::new();
            drop((moment.read(1).now_or_never(), moment.read(2).now_or_never()));
            moment
        }

        fn read(&self, number: u8) -> impl Future<Output = Result<Permit>> {
            self.turns.turn(&self.turns.reads, id(number), self.now)
        }

        fn write(&self, number: u8) -> impl Future<Output = Result<Permit>> {
            self.turns.turn(&self.turns.writes, id(number), self.now)
        }

        /// The permits that are available at once.
        fn reads(&self, number: u8) -> Vec<Permit> {
            (0..10 * SHARE).map_while(|_| self.read(number).now_or_never()).map(Result::unwrap).collect()
        }

        fn is_idle(&self) -> bool {
            self.turns.reads.lock().is_empty() && self.turns.writes.lock().is_empty()
        }
    }

    #[test]
    fn limiter_grants_all_permits_to_lone_tenant() {
        assert_eq!(Moment::new().reads(1).len(), 10 * SHARE);
    }

    #[test]
    fn limiter_caps_each_tenant_under_contention() {
        let moment = Moment::new();
        let alone = moment.reads(1);
        // The other one finds its permits free, however many the first one holds.
        let other = moment.reads(2);
        assert_eq!(other.len(), SHARE);
        let more = moment.reads(1);
        assert_eq!(more.len(), SHARE, "what began alone is not counted");
        let writes: Vec<_> = (0..10 * SHARE).map_while(|_| moment.write(1).now_or_never()).collect();
        assert_eq!(writes.len(), SHARES.writes, "reads leave room for writes");
        drop((alone, other, more, writes));
        assert!(moment.is_idle(), "who has nothing under way takes no memory");
    }

    #[test]
    fn limiter_grants_returned_permit_in_order() {
        let moment = Moment::in_company();
        let mut under_way = moment.reads(1);
        let (mut first, mut second) = (Box::pin(moment.read(1)), Box::pin(moment.read(1)));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        under_way.pop();
        assert!(second.as_mut().now_or_never().is_none());
        assert!(first.as_mut().now_or_never().is_some());
    }

    #[test]
    fn limiter_forgets_canceled_waiter() {
        let moment = Moment::in_company();
        let under_way = moment.reads(1);
        let mut waiting = Box::pin(moment.read(1));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(under_way);
        drop(waiting);
        assert!(moment.is_idle());
        assert_eq!(moment.reads(1).len(), SHARE);
    }

    #[test]
    fn limiter_lifts_cap_when_contention_ends() {
        let mut moment = Moment::in_company();
        moment.now += AT_WORK;
        assert_eq!(moment.reads(2).len(), SHARE);
        moment.now += Duration::from_millis(1);
        assert_eq!(moment.reads(2).len(), 10 * SHARE);
    }
}
