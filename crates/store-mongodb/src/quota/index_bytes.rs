//! What the index entries of an organization take: from its quota, or, without a quota, as they were last counted for
//! a reader of usage.
//!
//! # Pitfalls
//! A reader may hang up before its count ends. The count continues, and its result is cached: otherwise impatient
//! readers would make the server count again and again.

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
const COUNT_TIMEOUT: Duration = Duration::from_secs(3);
/// How many organizations are cached.
const CACHED_ORGANIZATIONS: usize = 10_000;
/// A count is cached for this many times as long as it took; so readers make the server count for at most a twentieth
/// of the time. A count of [`COUNT_TIMEOUT`] is cached for a minute, and none is cached longer.
const TTL_FACTOR: u32 = 20;
/// A count that took less is not cached.
const UNCACHED_COUNT_TIME: Duration = Duration::from_millis(50);

/// A lock for each organization, so that concurrent readers wait for one count.
struct CountCache(Cache<OrganizationId, Arc<Mutex<Option<CachedCount>>>>);

impl Default for CountCache {
    fn default() -> Self {
        Self(Cache::new(CACHED_ORGANIZATIONS))
    }
}

impl CountCache {
    fn of(&self, id: OrganizationId) -> Arc<Mutex<Option<CachedCount>>> {
        let new = || Ok::<_, std::convert::Infallible>(Arc::default());
        self.0.get_or_insert_with(&id, new).unwrap_or_default()
    }
}

#[derive(Clone, Copy)]
struct CachedCount {
    /// `None` if the count was given up.
    index_bytes: Option<u64>,
    valid_until: Instant,
}

impl CachedCount {
    /// The result of a count that began at `began`.
    fn now(index_bytes: Option<u64>, began: Instant) -> Self {
        let (now, took) = (Instant::now(), began.elapsed());
        let ttl =
            if took < UNCACHED_COUNT_TIME { Duration::ZERO } else { took.min(COUNT_TIMEOUT) * TTL_FACTOR };
        Self { index_bytes, valid_until: now + ttl }
    }

    fn is_valid(&self) -> bool {
        Instant::now() < self.valid_until
    }
}

/// What the index entries of organizations take. Cheap to clone.
#[derive(Clone)]
pub(crate) struct IndexBytes {
    usage: UsageRecords,
    meter: UsageMeter,
    cache: Arc<CountCache>,
}

impl IndexBytes {
    pub(super) fn new(usage: UsageRecords, meter: UsageMeter) -> Self {
        Self { usage, meter, cache: Arc::default() }
    }

    /// Bytes of all index entries of an organization: from its quota; without one the cached count, or a new one if
    /// that does not take long.
    pub(crate) async fn get(&self, organization: &Organization) -> EngineResult<Option<u64>> {
        if organization.quota.index_bytes.is_none() {
            return self.get_cached(organization).await;
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
        match tokio::time::timeout(COUNT_TIMEOUT, self.meter.measure_entries(organization)).await {
            Ok(measured) => measured.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The cached count, at most a minute old, or a new one; `None` if counting takes too long.
    async fn get_cached(&self, organization: &Organization) -> EngineResult<Option<u64>> {
        let (bytes, organization) = (self.clone(), organization.clone());
        let counting = tokio::spawn(async move {
            let cache = bytes.cache.of(organization.id);
            let mut counted = cache.lock().await;
            if let Some(good) = counted.filter(CachedCount::is_valid) {
                return Ok(good.index_bytes);
            }
            let began = Instant::now();
            let index_bytes = bytes.measure_in_time(&organization).await?;
            *counted = Some(CachedCount::now(index_bytes, began));
            Ok(index_bytes)
        });
        counting.await.map_err(|_| Error::unavailable("the runtime is shutting down"))?
    }

    /// Call after this instance has changed the indexes of an organization, whose caller expects to see that counted.
    /// The result of a running count is discarded.
    pub(crate) fn invalidate(&self, organization: &Organization) {
        self.cache.0.remove(&organization.id);
    }
}
