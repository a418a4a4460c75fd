//! Indexes of the server's on one collection: listed, made and dropped.
//!
//! Those that are still being made are not shown. What a newcomer gets wrong: `listIndexes` knows no UUID, so the
//! collection is looked at before and after.

use super::command::{Amount, Command};
use super::handle::CollectionHandle;
use super::index_build::{BuildOutcome, IndexBuild, IndexPlan};
use super::index_definition::{compare, explain_denial, keys, physical_name, read, specification};
use super::location::CollectionLocator;
use super::metadata_document::set_apart;
use crate::engine_error::{EngineError, EngineResult};
use bson::RawDocument;
use mongodb::bson::{Document, doc};
use std::time::{Duration, Instant};
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::Error;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::InsertOutcome;

/// How long an index may take to be made.
pub(crate) const BUILDING: Duration = Duration::from_secs(3600);

/// Between two looks at an index that another one is making.
const PAUSE: Duration = Duration::from_millis(100);

/// "IndexNotFound".
pub(crate) const INDEX_NOT_FOUND: i32 = 27;

/// How often indexes are listed while the collection moves.
const ROUNDS: u32 = 8;

/// The plain indexes of a collection, in the order of their names.
pub(crate) async fn list(handle: &mut CollectionHandle<'_>) -> EngineResult<Vec<Index>> {
    let mut indexes: Vec<Index> = definitions(handle).await?.iter().filter_map(read).collect();
    indexes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(indexes)
}

/// The definitions of all indexes that are made.
async fn definitions(handle: &mut CollectionHandle<'_>) -> EngineResult<Vec<Document>> {
    for _ in 0..ROUNDS {
        // The collection that many organizations share never moves.
        if handle.shared().is_none() {
            look_at(handle).await?;
        }
        let (namespace, listed) = handle.list_index_definitions().await;
        // Afterwards: what is done by then serves, and what was not even begun is not in the list.
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

/// Finds out where the collection is now.
async fn look_at(handle: &mut CollectionHandle<'_>) -> EngineResult<()> {
    let look = Command::new("find", &doc! { "limit": 1, "projection": { "_id": 1 } })?;
    let deadline = handle.connection().deadline();
    handle.read(&look, Amount::ALL, deadline, |_| Ok(())).await.map(|_| ())
}

/// The names of the indexes that are still being made, which the server lists like all others.
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

/// Whether the server is making an index in one of these collections of the organization's own or in the first one, no
/// matter who asked for it.
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

/// What is to be done for an index that is asked for.
pub(crate) async fn plan(handle: &mut CollectionHandle<'_>, index: &Index) -> EngineResult<IndexPlan> {
    let serving = list(handle).await?;
    Ok(match compare(&serving, index)? {
        Some(settled) => IndexPlan::Settled(settled),
        None => IndexPlan::Build { serving },
    })
}

/// Makes an index in a collection of the organization's own.
pub(crate) async fn build(handle: &mut CollectionHandle<'_>, index: &Index) -> IndexBuild {
    let made = build_unique(handle, index).await;
    let made = made.map_err(|failure| Error::from(explain_denial(failure, index)));
    IndexBuild { outcome: BuildOutcome::of(&made), result: made.map(Some).map_err(EngineError::from) }
}

async fn build_unique(handle: &mut CollectionHandle<'_>, index: &Index) -> EngineResult<InsertOutcome> {
    if index.unique {
        set_apart(handle, index).await?;
    }
    let specification = specification(&physical_name(index), keys("", index), index.unique);
    create(handle, &specification).await
}

/// Makes an index of the server's. Where another one is making the same, it is waited for: the server answers that
/// it is there, and not what becomes of it.
pub(crate) async fn create(
    handle: &mut CollectionHandle<'_>,
    specification: &Document,
) -> EngineResult<InsertOutcome> {
    let create = handle.connection().server().durably(doc! { "indexes": [specification] });
    let create = Command::new("createIndexes", &create)?;
    let began = Instant::now();
    while began.elapsed() < BUILDING {
        let answer = handle.run_within(&create, BUILDING).await?;
        if answer.get("numIndexesBefore") != answer.get("numIndexesAfter") {
            return Ok(InsertOutcome::New);
        }
        let made = definitions(handle).await?;
        if made.iter().any(|each| each.get("name") == specification.get("name")) {
            return Ok(InsertOutcome::Exists);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Error::unavailable("another one does not come to an end with the same index").into())
}

/// Drops an index of a collection of the organization's own; whether it was there.
pub(crate) async fn delete(handle: &mut CollectionHandle<'_>, name: &IndexName) -> EngineResult<bool> {
    let all = definitions(handle).await?;
    let found = all.iter().find(|each| read(each).is_some_and(|index| index.name == *name));
    let Some(found) = found.and_then(|found| found.get_str("name").ok()) else { return Ok(false) };
    let drop = handle.connection().server().durably(doc! { "index": found });
    match handle.run(&Command::new("dropIndexes", &drop)?).await {
        Ok(_) => Ok(true),
        Err(EngineError::Answered { code: INDEX_NOT_FOUND, .. }) => Ok(false),
        Err(failure) => Err(failure),
    }
}
