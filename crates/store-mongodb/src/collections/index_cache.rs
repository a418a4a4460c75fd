//! The indexes of collections, at most some seconds old: for hints, and to count index entries.

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

/// How many collections' indexes are cached, and for how long.
const CACHED_COLLECTIONS: usize = 10_000;
pub(crate) const INDEX_CACHE_TTL: Duration = Duration::from_secs(5);

type CachedIndexes = (Instant, Arc<[Index]>);

/// See [`self`]. Cheap to clone.
#[derive(Clone)]
pub(crate) struct IndexCache {
    placements: Placements,
    cached_lists: Arc<Cache<(OrganizationId, CollectionName), CachedIndexes>>,
}

impl IndexCache {
    pub(crate) fn new(placements: Placements) -> Self {
        Self { placements, cached_lists: Arc::new(Cache::new(CACHED_COLLECTIONS)) }
    }

    /// Call after a change of the indexes.
    pub(crate) fn invalidate(&self, handle: &CollectionHandle<'_>) {
        self.cached_lists.remove(&(handle.organization().id, handle.name().clone()));
    }

    pub(crate) async fn get(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<Arc<[Index]>> {
        let strategy = self.placements.of(handle.organization());
        // The container's list has just been read.
        if handle.shared().is_some() {
            return Ok(strategy.list_indexes(handle).await?.into());
        }
        let key = (handle.organization().id, handle.name().clone());
        let cached = self.cached_lists.get(&key).filter(|(at, _)| at.elapsed() < INDEX_CACHE_TTL);
        if let Some((_, indexes)) = cached {
            return Ok(indexes);
        }
        let indexes: Arc<[Index]> = strategy.list_indexes(handle).await?.into();
        self.cached_lists.insert(key, (Instant::now(), indexes.clone()));
        Ok(indexes)
    }

    /// Counts entries by the indexes of a collection.
    pub(crate) async fn counter(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<EntryCounter> {
        Ok(EntryCounter::new(self.get(handle).await?))
    }
}
