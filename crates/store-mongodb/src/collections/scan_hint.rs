//! Whether a query has to look at every document: what its caller is told, so that they can make an index.
//!
//! MongoDB plans for itself. This says what follows from the definitions of the indexes, which are remembered for some
//! seconds: a list that is a little old makes a hint wrong, not an answer. Index entries are counted by it as well.

use super::handle::CollectionHandle;
use super::indexes::keys;
use crate::MongoDb;
use crate::documents::EntryCounter;
use crate::engine_error::EngineResult;
use mongodb::bson::{Bson, Document};
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenantry_documents::document::KeyFormat;
use tenantry_documents::filter::Filter;
use tenantry_documents::index::Index;
use tenantry_documents::query::plan::{Candidate, plan};
use tenantry_documents::sort::Sort;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::offload;

/// Collections whose indexes are remembered, and for how long.
const REMEMBERED: usize = 10_000;
pub(crate) const INDEXES_GOOD_FOR: Duration = Duration::from_secs(5);

type Listed = (Instant, Arc<[Index]>);

/// The indexes of collections, as they were a few seconds ago.
pub(crate) struct CachedIndexes(Cache<(OrganizationId, CollectionName), Listed>);

impl Default for CachedIndexes {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl CachedIndexes {
    /// They have changed.
    pub(super) fn forget(&self, at: &CollectionHandle<'_>) {
        self.0.remove(&(at.organization.id, at.name.clone()));
    }
}

impl MongoDb {
    /// Whether a query has to look at every document.
    pub(crate) async fn is_scan(
        &self,
        at: &mut CollectionHandle<'_>,
        filter: &Filter,
        sort: Option<&Sort>,
    ) -> EngineResult<bool> {
        let price = filter.price();
        let asked = (filter.clone(), sort.cloned());
        if !offload::by_price(price, move || needs_all(&[], &asked.0, asked.1.as_ref())).await? {
            return Ok(false);
        }
        let indexes = self.remembered_indexes(at).await?;
        let asked = (filter.clone(), sort.cloned());
        Ok(offload::by_price(price, move || needs_all(&indexes, &asked.0, asked.1.as_ref())).await?)
    }

    /// The indexes of a collection, to count entries by.
    pub(crate) async fn known_indexes(&self, at: &mut CollectionHandle<'_>) -> EngineResult<EntryCounter> {
        Ok(EntryCounter::new(self.remembered_indexes(at).await?))
    }

    async fn remembered_indexes(&self, at: &mut CollectionHandle<'_>) -> EngineResult<Arc<[Index]>> {
        // The list of a share has just been read.
        if let Some(share) = &at.share {
            return Ok(share.serving().cloned().collect());
        }
        let key = (at.organization.id, at.name.clone());
        if let Some((_, indexes)) = self.indexes.0.get(&key).filter(|(at, _)| at.elapsed() < INDEXES_GOOD_FOR)
        {
            return Ok(indexes);
        }
        let indexes: Arc<[Index]> = self.indexes_at(at).await?.into();
        self.indexes.0.insert(key, (Instant::now(), indexes.clone()));
        Ok(indexes)
    }
}

/// Whether neither the `_id` nor one of the indexes spares looking at every document.
fn needs_all(indexes: &[Index], filter: &Filter, sort: Option<&Sort>) -> bool {
    let candidates: Vec<Candidate<'_>> = indexes
        .iter()
        .map(|Index { keys, .. }| Candidate {
            keys,
            is_multikey: false,
            format: KeyFormat::Whole,
            has_cut: false,
        })
        .collect();
    let is_sorted = sort.is_some_and(|sort| !is_ordered(indexes, sort));
    plan(&candidates, filter, sort).is_scan || (filter.is_empty() && is_sorted)
}

/// Whether MongoDB takes the order from an index, forwards or backwards. It does not sort what one has in order but for
/// the `_id`.
fn is_ordered(indexes: &[Index], sort: &Sort) -> bool {
    let asked = sort.to_mongodb("");
    let backwards = |direction: &Bson| Bson::Int32(-direction.as_i32().unwrap_or(0));
    let back: Document = asked.iter().map(|(path, direction)| (path.clone(), backwards(direction))).collect();
    let gives = |index: &Index| {
        let own = keys("", index);
        own.len() >= asked.len()
            && [&asked, &back].iter().any(|order| own.iter().zip(*order).all(|(a, b)| a == b))
    };
    asked.len() == 1 || indexes.iter().any(gives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scan_hint_needs_all_unless_index_narrows_or_sorts() {
        let index = |keys| Index::parse(None, keys, false).unwrap();
        for (indexes, filter, sort, expected) in [
            (vec![], "{}", "_id", false),
            (vec![], "{}", "a", true),
            (vec![index("a,b")], "{}", "a,b", false),
            (vec![index("a,b")], "{}", "-a,-b,-_id", false),
            (vec![index("a,b")], "{}", "-a,-b", true),
            (vec![index("a,b")], "{}", "a", true),
            (vec![index("a,b")], "{}", "b", true),
            (vec![index("a,b")], "{}", "a,-b", true),
            (vec![], r#"{"_id": {"$gt": 5}}"#, "_id", false),
            (vec![], r#"{"a": 5}"#, "_id", true),
            (vec![index("a")], r#"{"a": 5}"#, "b", false),
            (vec![index("a")], r#"{"a": {"$ne": 5}}"#, "a", true),
            (vec![index("b,a")], r#"{"a": 5}"#, "_id", true),
        ] {
            let filter = Filter::parse(filter, "").unwrap();
            let sort = Sort::parse(sort).unwrap();
            assert_eq!(needs_all(&indexes, &filter, Some(&sort)), expected, "{filter:?} {sort:?}");
        }
    }
}
