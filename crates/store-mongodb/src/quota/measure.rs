//! Reads every document of an organization: counts them, and what they and their index entries take.

use super::size::Size;
use crate::collections::command::Command;
use crate::collections::handle::CollectionHandle;
use crate::collections::sums::{SCAN_TIMEOUT, size_in, sums};
use crate::documents::index_entries::{EntryCounter, EntrySum};
use crate::engine_error::EngineResult;
use crate::placements::Placements;
use mongodb::bson::{Bson, Document, doc};
use tenantry_documents::document::EntryBudget;
use tenantry_documents::index::Index;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::Organization;

/// A document of fewer bytes cannot have too many entries: each value of an array takes at least 3 bytes, and each of
/// its entries at most as much as the whole document for each key.
const SMALL_DOCUMENT_BYTES: i32 = 512;

/// See [`self`]. Cheap to clone.
#[derive(Clone)]
pub(crate) struct UsageMeter {
    placements: Placements,
}

impl UsageMeter {
    pub(crate) const fn new(placements: Placements) -> Self {
        Self { placements }
    }

    /// Documents and bytes of an organization.
    pub(crate) async fn measure_documents(&self, organization: &Organization) -> EngineResult<Size> {
        let mut all = Size::default();
        for name in self.placements.list_collections(organization).await? {
            all = all.plus(self.measure_collection(organization, &name).await?);
        }
        Ok(all)
    }

    /// Documents and bytes, and the bytes of index entries if there is a quota for them.
    pub(super) async fn measure(&self, organization: &Organization) -> EngineResult<Size> {
        let all = self.measure_documents(organization).await?;
        match organization.quota.index_bytes {
            Some(_) => Ok(all.with_entries(self.measure_entries(organization).await?)),
            None => Ok(all),
        }
    }

    async fn measure_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<Size> {
        let mut handle = match self.placements.resolve(organization, name).await {
            Err(failure) if failure.is_missing_collection() => return Ok(Size::default()),
            handle => handle?,
        };
        let layout = handle.layout();
        let sum = doc! { "_id": null, "documents": { "$sum": 1 }, "bytes": { "$sum": layout.bytes() } };
        let stages = [doc! { "$match": layout.scoped(Document::new()) }, doc! { "$group": sum }];
        let sums = match sums(&mut handle, &stages).await {
            Err(failure) if failure.is_missing_collection() => return Ok(Size::default()),
            sums => sums?,
        };
        Ok(sums.first().map(|sum| size_in(sum)).unwrap_or_default())
    }

    /// Bytes of the index entries of an organization.
    pub(super) async fn measure_entries(&self, organization: &Organization) -> EngineResult<u64> {
        let mut sum = 0;
        for name in self.placements.list_collections(organization).await? {
            let mut handle = match self.placements.resolve(organization, &name).await {
                Err(failure) if failure.is_missing_collection() => continue,
                handle => handle?,
            };
            let indexes = self.placements.of(organization).list_indexes(&mut handle).await?;
            let counter = EntryCounter::new(indexes.into());
            if counter.is_empty() {
                continue;
            }
            match sum_entries(&mut handle, counter, Document::new(), None).await {
                Err(failure) if failure.is_missing_collection() => {}
                counted => sum += counted?,
            }
        }
        Ok(sum)
    }
}

/// Bytes of the entries that a new index will have. Refuses it if a document would have more entries in all indexes
/// together than `budget` allows.
pub(super) async fn measure_new_index(
    handle: &mut CollectionHandle<'_>,
    serving: &[Index],
    index: &Index,
    budget: EntryBudget,
) -> EngineResult<u64> {
    if budget != EntryBudget::unbounded() {
        let all: Vec<Index> = serving.iter().chain([index]).cloned().collect();
        let all = EntryCounter::new(all.into());
        let root = handle.layout().root();
        let large = doc! { "$expr": { "$gte": [{ "$bsonSize": root }, SMALL_DOCUMENT_BYTES] } };
        sum_entries(handle, all, large, Some("/keys")).await?;
    }
    if handle.organization().quota.index_bytes.is_none() {
        return Ok(0);
    }
    sum_entries(handle, EntryCounter::new([index.clone()].into()), Document::new(), None).await
}

/// Bytes of the entries of the documents that `filter` matches.
async fn sum_entries(
    handle: &mut CollectionHandle<'_>,
    counter: EntryCounter,
    filter: Document,
    refused_at: Option<&'static str>,
) -> EngineResult<u64> {
    let layout = handle.layout();
    let list = counter.projection(layout.root());
    let stages = [
        doc! { "$match": layout.scoped(filter) },
        doc! { "$project": { "_id": 0, "list": Bson::from(list) } },
    ];
    let command = Command::pipeline(&stages)?;
    handle.sum_entries(&command, SCAN_TIMEOUT, &EntrySum { counter, refused_at }).await
}
