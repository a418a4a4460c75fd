//! Indexes of one collection on the server: list, create, drop.
//!
//! Indexes that are still being built are not shown.
//!
//! # Pitfalls
//! `listIndexes` takes no UUID, so the location of the collection is checked before and after.

use super::command::{Amount, Command};
use super::handle::CollectionHandle;
use super::index_build::{BuildOutcome, IndexBuild, IndexPlan};
use super::index_definition::{compare, explain_denial, read, specification};
use super::location::CollectionLocator;
use super::metadata_document::make_distinct;
use crate::engine_error::{EngineError, EngineResult};
use bson::RawDocument;
use mongodb::bson::{Document, doc};
use std::time::{Duration, Instant};
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::Error;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::InsertOutcome;

/// How long an index build may take.
pub(crate) const BUILD_TIMEOUT: Duration = Duration::from_secs(3600);

/// Between two checks of an index that another caller is building.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// "IndexNotFound".
pub(crate) const INDEX_NOT_FOUND: i32 = 27;

/// How often indexes are listed while the collection moves.
const MAX_ATTEMPTS: u32 = 8;

/// The plain indexes of a collection, in the order of their names.
pub(crate) async fn list(handle: &mut CollectionHandle<'_>) -> EngineResult<Vec<Index>> {
    let mut indexes: Vec<Index> = definitions(handle).await?.iter().filter_map(read).collect();
    indexes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(indexes)
}

/// The definitions of all finished indexes.
async fn definitions(handle: &mut CollectionHandle<'_>) -> EngineResult<Vec<Document>> {
    for _ in 0..MAX_ATTEMPTS {
        // The collection that many organizations share never moves.
        if handle.shared().is_none() {
            update_location(handle).await?;
        }
        let (namespace, listed) = handle.list_index_definitions().await;
        // Listed after the definitions: an index that is finished in between counts as finished, and one that was
        // started in between is not among the definitions.
        let building = list_building(handle).await?;
        if handle.is_at(&namespace) {
            let is_made = |index: &Document| {
                index.get_str("name").is_ok_and(|name| !building.iter().any(|each| each == name))
            };
            return listed.map(|all| all.into_iter().filter(is_made).collect());
        }
    }
    Err(EngineError::Interrupted)
}

/// Updates the location of the collection.
pub(crate) async fn update_location(handle: &mut CollectionHandle<'_>) -> EngineResult<()> {
    let look = Command::new("find", &doc! { "limit": 1, "projection": { "_id": 1 } })?;
    let deadline = handle.connection().deadline();
    handle.read(&look, Amount::ALL, deadline, |_| Ok(())).await.map(|_| ())
}

/// The names of the indexes that are still being built; the server lists them like all others.
async fn list_building(handle: &mut CollectionHandle<'_>) -> EngineResult<Vec<String>> {
    let stages = [
        doc! { "$collStats": { "storageStats": {} } },
        doc! { "$project": { "names": "$storageStats.indexBuilds" } },
    ];
    let stats = Command::new("aggregate", &doc! { "pipeline": &stages[..], "cursor": {} })?;
    let names = |shard: &RawDocument| {
        let names = shard.get_array("names").ok().into_iter().flatten().filter_map(Result::ok);
        Ok(names.filter_map(|name| name.as_str().map(str::to_owned)).collect::<Vec<_>>())
    };
    let deadline = handle.connection().deadline();
    let (shards, _) = handle.read(&stats, Amount::ALL, deadline, names).await?;
    Ok(shards.concat())
}

/// Whether the server is building an index in one of these collections of the organization's own or in the first one,
/// no matter who asked for it.
pub(crate) async fn is_building_any(
    locator: &dyn CollectionLocator,
    organization: &Organization,
    mut names: Vec<CollectionName>,
) -> EngineResult<bool> {
    names.push(CollectionName::default());
    names.sort();
    names.dedup();
    for name in &names {
        let building = match CollectionHandle::resolve(locator, organization, name).await {
            Ok(mut handle) => list_building(&mut handle).await,
            Err(failure) => Err(failure),
        };
        match building {
            Ok(names) if names.is_empty() => {}
            Ok(_) => return Ok(true),
            Err(failure) if failure.is_missing_collection() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(false)
}

/// What a request for an index requires.
pub(crate) async fn plan(handle: &mut CollectionHandle<'_>, index: &Index) -> EngineResult<IndexPlan> {
    let serving = list(handle).await?;
    Ok(match compare(&serving, index)? {
        Some(settled) => IndexPlan::Settled(settled),
        None => IndexPlan::Build { serving },
    })
}

/// Builds an index in a collection of the organization's own.
pub(crate) async fn build(handle: &mut CollectionHandle<'_>, index: &Index) -> IndexBuild {
    let existing = build_unique(handle, index).await;
    let existing = existing.map_err(|failure| Error::from(explain_denial(failure, index)));
    IndexBuild { outcome: BuildOutcome::of(&existing), result: existing.map(Some).map_err(EngineError::from) }
}

async fn build_unique(handle: &mut CollectionHandle<'_>, index: &Index) -> EngineResult<InsertOutcome> {
    if index.unique {
        make_distinct(handle, index).await?;
    }
    create(handle, &specification(index)).await
}

/// Creates an index on the server. If another caller is building the same index, this waits for that build: the
/// server replies at once that the index exists, even if that build fails later.
pub(crate) async fn create(
    handle: &mut CollectionHandle<'_>,
    specification: &Document,
) -> EngineResult<InsertOutcome> {
    let create = handle.connection().server().durably(doc! { "indexes": [specification] });
    let create = Command::new("createIndexes", &create)?;
    let began = Instant::now();
    while began.elapsed() < BUILD_TIMEOUT {
        let answer = handle.run_within(&create, BUILD_TIMEOUT).await?;
        if answer.get("numIndexesBefore") != answer.get("numIndexesAfter") {
            return Ok(InsertOutcome::New);
        }
        let existing = definitions(handle).await?;
        if existing.iter().any(|each| each.get("name") == specification.get("name")) {
            return Ok(InsertOutcome::Exists);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Err(Error::unavailable("another build of the same index does not end").into())
}

/// Drops an index of a collection of the organization's own; returns whether it existed.
pub(crate) async fn delete(handle: &mut CollectionHandle<'_>, name: &IndexName) -> EngineResult<bool> {
    let all = definitions(handle).await?;
    let found = all.iter().find(|each| read(each).is_some_and(|index| index.name == *name));
    let Some(found) = found.and_then(|found| found.get_str("name").ok()) else { return Ok(false) };
    let drop = handle.connection().server().durably(doc! { "index": found });
    match handle.run(&Command::new("dropIndexes", &drop)?).await {
        Ok(_) => Ok(true),
        Err(EngineError::ServerError { code: INDEX_NOT_FOUND, .. }) => Ok(false),
        Err(failure) => Err(failure),
    }
}
