//! What the collections of an organization take on the server's disk, and giving back what of it is free.

use super::command::{Amount, Command};
use super::handle::CollectionHandle;
use super::location::CollectionLocator;
use crate::documents::layout::count_in;
use crate::engine_error::EngineResult;
use mongodb::bson::doc;
use std::time::Duration;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::Organization;

/// How long the compaction of one collection may take.
const COMPACTION_TIMEOUT: Duration = Duration::from_secs(3600);

/// Bytes of these collections on disk, with their indexes, without those that are gone.
pub(crate) async fn disk_bytes(
    locator: &dyn CollectionLocator,
    organization: &Organization,
    names: &[CollectionName],
) -> EngineResult<u64> {
    let mut sum = 0;
    for name in names {
        match measure(locator, organization, name).await {
            Ok(bytes) => sum += bytes,
            Err(failure) if failure.is_missing_collection() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(sum)
}

async fn measure(
    locator: &dyn CollectionLocator,
    organization: &Organization,
    name: &CollectionName,
) -> EngineResult<u64> {
    let mut handle = CollectionHandle::resolve(locator, organization, name).await?;
    let stages = [
        doc! { "$collStats": { "storageStats": {} } },
        doc! { "$project": {
            "bytes": { "$add": ["$storageStats.storageSize", "$storageStats.totalIndexSize"] },
        } },
    ];
    let stats = Command::new("aggregate", &doc! { "pipeline": &stages[..], "cursor": {} })?;
    let deadline = handle.connection().deadline();
    let (shards, _) = handle.read(&stats, Amount::ALL, deadline, |shard| Ok(shard.to_owned())).await?;
    Ok(shards.iter().map(|shard| count_in(shard, "bytes")).sum())
}

/// Gives the free space of these collections back.
pub(crate) async fn compact(
    locator: &dyn CollectionLocator,
    organization: &Organization,
    names: &[CollectionName],
) -> EngineResult<()> {
    for name in names {
        let compacted = match CollectionHandle::resolve(locator, organization, name).await {
            Ok(handle) => handle.compact(COMPACTION_TIMEOUT).await,
            Err(failure) => Err(failure),
        };
        match compacted {
            Err(failure) if !failure.is_missing_collection() => return Err(failure),
            _ => {}
        }
    }
    Ok(())
}
