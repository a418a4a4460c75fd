//! What the index entries took when they were last counted for a reader of usage, where no quota keeps count.
//!
//! # Pitfalls
//! A reader may hang up before its count ends. The count goes on, and what it found is remembered: impatient readers that
//! ask again would otherwise make the server count again and again.

use super::indexes::ASKED_FOR;
use crate::MongoDb;
use crate::engine_error::EngineResult;
use quick_cache::sync::Cache;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::Organization;
use tokio::sync::Mutex;

/// Organizations that are remembered.
const REMEMBERED: usize = 10_000;
/// In how many times what it took a count is repeated; so readers make the server count for a twentieth of the time at
/// most. A count of [`ASKED_FOR`] is good for a minute, and no other is for longer.
const TIMES: u32 = 20;
/// A count that took less is repeated at once.
const QUICK: Duration = Duration::from_millis(50);

/// A lock for each organization, so that readers at the same moment wait for one count.
pub(super) struct CountCache(Cache<OrganizationId, Arc<Mutex<Option<Counted>>>>);

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
    /// None if it was given up.
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

impl MongoDb {
    /// Bytes of all index entries of an organization, as they were a minute ago at most; none where counting takes too
    /// long.
    pub(super) async fn remembered_index_bytes(
        &self,
        organization: &Organization,
    ) -> EngineResult<Option<u64>> {
        let engine = self.this.get().and_then(Weak::upgrade);
        let engine = engine.ok_or_else(|| Error::unavailable("the engine is closed"))?;
        let organization = organization.clone();
        let counting = tokio::spawn(async move {
            let remembered = engine.quotas.remembered.of(organization.id);
            let mut counted = remembered.lock().await;
            if let Some(good) = counted.filter(Counted::is_good) {
                return Ok(good.index_bytes);
            }
            let began = Instant::now();
            let index_bytes = engine.measure_entries_in_time(&organization).await?;
            *counted = Some(Counted::now(index_bytes, began));
            Ok(index_bytes)
        });
        counting.await.map_err(|_| Error::unavailable("the runtime is shutting down"))?
    }

    /// The indexes of an organization have changed by a call of this instance's, and its caller wants to see that counted.
    /// A count under way is nobody's any more.
    pub(crate) fn forget_index_bytes(&self, organization: &Organization) {
        self.quotas.remembered.0.remove(&organization.id);
    }
}
