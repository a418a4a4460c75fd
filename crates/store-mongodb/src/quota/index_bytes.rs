//! What the index entries of an organization take: as its quota counts them, or as they were last counted for a reader of
//! usage, where no quota keeps count.
//!
//! # Pitfalls
//! A reader may hang up before its count ends. The count goes on, and what it found is remembered: impatient readers that
//! ask again would otherwise make the server count again and again.

use super::measure::UsageMeter;
use super::usage::UsageRecords;
use crate::engine_error::EngineResult;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::Organization;
use tokio::sync::Mutex;

/// How long the entries are counted for a reader of usage.
const ASKED_FOR: Duration = Duration::from_secs(3);
/// Organizations that are remembered.
const REMEMBERED: usize = 10_000;
/// In how many times what it took a count is repeated; so readers make the server count for a twentieth of the time at
/// most. A count of [`ASKED_FOR`] is good for a minute, and no other is for longer.
const TIMES: u32 = 20;
/// A count that took less is repeated at once.
const QUICK: Duration = Duration::from_millis(50);

/// A lock for each organization, so that readers at the same moment wait for one count.
struct CountCache(Cache<OrganizationId, Arc<Mutex<Option<Counted>>>>);

impl Default for CountCache {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl CountCache {
    fn of(&self, id: OrganizationId) -> Arc<Mutex<Option<Counted>>> {
        let new = || Ok::<_, std::convert::Infallible>(Arc::default());
        self.0.get_or_insert_with(&id, new).unwrap_or_default()
    }
}

#[derive(Clone, Copy)]
struct Counted {
    /// `None` if it was given up.
    index_bytes: Option<u64>,
    good_until: Instant,
}

impl Counted {
    /// What a count that began then has found.
    fn now(index_bytes: Option<u64>, began: Instant) -> Self {
        let (now, took) = (Instant::now(), began.elapsed());
        let good_for = if took < QUICK { Duration::ZERO } else { took.min(ASKED_FOR) * TIMES };
        Self { index_bytes, good_until: now + good_for }
    }

    fn is_good(&self) -> bool {
        Instant::now() < self.good_until
    }
}

/// What the index entries of organizations take. Cheap to clone.
#[derive(Clone)]
pub(crate) struct IndexBytes {
    usage: UsageRecords,
    meter: UsageMeter,
    remembered: Arc<CountCache>,
}

impl IndexBytes {
    pub(super) fn new(usage: UsageRecords, meter: UsageMeter) -> Self {
        Self { usage, meter, remembered: Arc::default() }
    }

    /// Bytes of all index entries of an organization: as its quota counts them; without one as they were counted
    /// lately, or counted now if that does not take long.
    pub(crate) async fn get(&self, organization: &Organization) -> EngineResult<Option<u64>> {
        if organization.quota.index_bytes.is_none() {
            return self.get_remembered(organization).await;
        }
        let mut counted = None;
        if let Some(usage) = self.usage.get(organization.id).await?
            && usage.is_counted()
        {
            counted = u64::try_from(usage.number("index_bytes")).ok();
            if !usage.is_too_high(self.usage.claims_last()) {
                return Ok(counted);
            }
        }
        Ok(self.measure_in_time(organization).await?.or(counted))
    }

    /// Counts them now; `None` if that takes too long.
    async fn measure_in_time(&self, organization: &Organization) -> EngineResult<Option<u64>> {
        match tokio::time::timeout(ASKED_FOR, self.meter.measure_entries(organization)).await {
            Ok(measured) => measured.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// As they were a minute ago at most; none where counting takes too long.
    async fn get_remembered(&self, organization: &Organization) -> EngineResult<Option<u64>> {
        let (bytes, organization) = (self.clone(), organization.clone());
        let counting = tokio::spawn(async move {
            let remembered = bytes.remembered.of(organization.id);
            let mut counted = remembered.lock().await;
            if let Some(good) = counted.filter(Counted::is_good) {
                return Ok(good.index_bytes);
            }
            let began = Instant::now();
            let index_bytes = bytes.measure_in_time(&organization).await?;
            *counted = Some(Counted::now(index_bytes, began));
            Ok(index_bytes)
        });
        counting.await.map_err(|_| Error::unavailable("the runtime is shutting down"))?
    }

    /// The indexes of an organization have changed by a call of this instance's, and its caller wants to see that counted.
    /// A count under way is nobody's any more.
    pub(crate) fn invalidate(&self, organization: &Organization) {
        self.remembered.0.remove(&organization.id);
    }
}
