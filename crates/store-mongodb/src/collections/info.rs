//! Statistics of collections that are the organization's own, as the server reports them.

use super::command::{Amount, Command};
use super::handle::CollectionHandle;
use super::location::CollectionLocator;
use super::metadata_document;
use crate::documents::layout::count_in;
use crate::engine_error::EngineResult;
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::bson::doc;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::CollectionInfo;

/// Collections that are queried at the same time.
const MAX_CONCURRENT_STATS: usize = 8;

/// Statistics of these collections, without those that are gone.
pub(crate) async fn describe_all(
    locator: &dyn CollectionLocator,
    organization: &Organization,
    names: &[CollectionName],
) -> EngineResult<Vec<CollectionInfo>> {
    let mut infos = Vec::with_capacity(names.len());
    for name in names {
        infos.push(find(locator, organization, name));
    }
    let infos = stream::iter(infos).buffered(MAX_CONCURRENT_STATS).try_collect::<Vec<_>>().await?;
    Ok(infos.into_iter().flatten().collect())
}

async fn find(
    locator: &dyn CollectionLocator,
    organization: &Organization,
    name: &CollectionName,
) -> EngineResult<Option<CollectionInfo>> {
    match CollectionHandle::resolve(locator, organization, name).await {
        Ok(mut handle) => describe(&mut handle).await,
        Err(failure) if failure.is_missing_collection() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Statistics of the collection; `None` if it is gone.
pub(crate) async fn describe(handle: &mut CollectionHandle<'_>) -> EngineResult<Option<CollectionInfo>> {
    match measure(handle).await {
        Ok(info) => Ok(Some(info)),
        Err(failure) if failure.is_missing_collection() => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn measure(handle: &mut CollectionHandle<'_>) -> EngineResult<CollectionInfo> {
    let stages = [
        doc! { "$collStats": { "storageStats": {} } },
        // Indexes that are still being built do not count.
        doc! { "$project": {
            "documents": "$storageStats.count", "bytes": "$storageStats.size",
            "indexes": { "$subtract": [
                "$storageStats.nindexes", { "$size": { "$ifNull": ["$storageStats.indexBuilds", []] } },
            ] },
        } },
    ];
    // Statistics are no documents, so there is no read concern for them.
    let stats = Command::new("aggregate", &doc! { "pipeline": &stages[..], "cursor": {} })?;
    let deadline = handle.connection().deadline();
    let (shards, _) = handle.read(&stats, Amount::ALL, deadline, |shard| Ok(shard.to_owned())).await?;
    let sum = |field| shards.iter().map(|shard| count_in(shard, field)).sum::<u64>();
    let most = |field| shards.iter().map(|shard| count_in(shard, field)).max().unwrap_or(0);
    let (first_documents, first_bytes) = metadata_document::measure(handle).await?;
    Ok(CollectionInfo {
        name: handle.name().clone(),
        documents: sum("documents").saturating_sub(first_documents),
        bytes: sum("bytes").saturating_sub(first_bytes),
        indexes: u32::try_from(most("indexes").saturating_sub(1)).unwrap_or(u32::MAX),
    })
}
