//! The indexes of collections, as they were a few seconds ago: for hints, and to count entries by.

use super::handle::CollectionHandle;
use crate::documents::index_entries::EntryCounter;
use crate::engine_error::EngineResult;
use crate::placements::Placements;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenantry_documents::index::Index;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;

/// Collections whose indexes are remembered, and for how long.
const REMEMBERED: usize = 10_000;
pub(crate) const INDEXES_GOOD_FOR: Duration = Duration::from_secs(5);

type Listed = (Instant, Arc<[Index]>);

/// See [`self`]. Cheap to clone.
#[derive(Clone)]
pub(crate) struct IndexCache {
    placements: Placements,
    remembered: Arc<Cache<(OrganizationId, CollectionName), Listed>>,
}

impl IndexCache {
    pub(crate) fn new(placements: Placements) -> Self {
        Self { placements, remembered: Arc::new(Cache::new(REMEMBERED)) }
    }

    /// They have changed.
    pub(crate) fn invalidate(&self, handle: &CollectionHandle<'_>) {
        self.remembered.remove(&(handle.organization().id, handle.name().clone()));
    }

    pub(crate) async fn get(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<Arc<[Index]>> {
        let strategy = self.placements.of(handle.organization());
        // What the container lists has just been read.
        if handle.shared().is_some() {
            return Ok(strategy.list_indexes(handle).await?.into());
        }
        let key = (handle.organization().id, handle.name().clone());
        let known = self.remembered.get(&key).filter(|(at, _)| at.elapsed() < INDEXES_GOOD_FOR);
        if let Some((_, indexes)) = known {
            return Ok(indexes);
        }
        let indexes: Arc<[Index]> = strategy.list_indexes(handle).await?.into();
        self.remembered.insert(key, (Instant::now(), indexes.clone()));
        Ok(indexes)
    }

    /// The indexes of a collection, to count entries by.
    pub(crate) async fn counter(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<EntryCounter> {
        Ok(EntryCounter::new(self.get(handle).await?))
    }
}
