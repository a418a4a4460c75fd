//! The collections of a container and what they hold.

use super::removal;
use crate::collections::scope::Scope;
use crate::documents::used;
use crate::engine_error::{EngineError, EngineResult};
use crate::statement::statements;
use rusqlite::{Connection, Row, params};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::limits::COLLECTIONS_MAX;
use tenantry_domain::organization::{Quota, Usage};
use tenantry_domain::store::{CollectionInfo, InsertOutcome};
use tenantry_domain::{Error, ErrorCode};

statements! {
    NAMES = "SELECT name FROM collections WHERE name > ?1 ORDER BY name";
    LIST = "SELECT name, documents, bytes, (SELECT count(*) FROM indexes WHERE collection = collections.id) \
        FROM collections JOIN collection_counts ON collection_counts.collection = collections.id \
        WHERE name > ?1 ORDER BY name LIMIT ?2";
    GET = "SELECT name, documents, bytes, (SELECT count(*) FROM indexes WHERE collection = collections.id) \
        FROM collections JOIN collection_counts ON collection_counts.collection = collections.id \
        WHERE name = ?1";
    // Names of collections that are being removed sort below `0`. There are at most 1,000 others.
    HOW_MANY = "SELECT count(*) FROM collections WHERE name >= '0'";
    HAS_DEFAULT = "SELECT 1 FROM collections WHERE name = ?1";
}

/// Sorts before every name, and after those of collections that are being removed.
const BEFORE_NAMES: &str = "/~";

/// Up to `limit` collections after `after`.
pub(super) fn list(
    connection: &Connection,
    after: Option<&CollectionName>,
    limit: u32,
) -> EngineResult<Vec<CollectionInfo>> {
    let from = after.map_or(BEFORE_NAMES, CollectionName::as_str);
    let rows = LIST.all(connection, params![from, limit], |row| Ok(info(row)))?;
    let mut infos = rows.into_iter().collect::<EngineResult<Vec<_>>>()?;
    // The default collection always exists, even if nothing was ever inserted into it.
    let default = CollectionName::default();
    if after.is_none_or(|after| *after < default)
        && let Err(place) = infos.binary_search_by(|info| info.name.cmp(&default))
    {
        infos.insert(place, empty_default());
        infos.truncate(limit as usize);
    }
    Ok(infos)
}

/// Collections whose names no caller can use.
pub(super) fn list_unnamed(connection: &Connection) -> EngineResult<Vec<String>> {
    let mut names: Vec<String> = NAMES.all(connection, [BEFORE_NAMES], |row| row.get(0))?;
    names.retain(|name| CollectionName::parse(name).is_err());
    Ok(names)
}

/// The collection of that name.
pub(super) fn get(connection: &Connection, name: &CollectionName) -> EngineResult<Option<CollectionInfo>> {
    match GET.first(connection, [name.as_str()], |row| Ok(info(row)))? {
        Some(found) => found.map(Some),
        None => Ok(name.is_default().then(empty_default)),
    }
}

fn info(row: &Row<'_>) -> EngineResult<CollectionInfo> {
    let name = row.get_ref(0)?.as_str().map_err(Error::internal)?;
    let name = CollectionName::parse(name)
        .map_err(|sentence| Error::internal(format!("a stored name is unreadable: {sentence}")))?;
    let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(CollectionInfo { name, documents: number(1)?, bytes: number(2)?, indexes: row.get(3)? })
}

fn empty_default() -> CollectionInfo {
    CollectionInfo { name: CollectionName::default(), documents: 0, bytes: 0, indexes: 0 }
}

/// Creates an empty collection.
pub(super) fn insert(scope: Scope<'_>, name: &CollectionName, quota: Quota) -> EngineResult<InsertOutcome> {
    if get(scope.connection, name)?.is_some() {
        return Ok(InsertOutcome::Exists);
    }
    let collections = how_many(scope.connection)? + 1;
    quota.check_collections(collections)?;
    if collections > COLLECTIONS_MAX.into() {
        let detail = format!("The organization may have at most {COLLECTIONS_MAX} collections. Delete one.");
        return Err(Error::new(ErrorCode::QuotaExceeded).detail(detail).into());
    }
    scope.add_collection(name)?;
    Ok(InsertOutcome::New)
}

/// Removes a collection; `None` if there was none, else whether some of its data remains to be removed.
pub(super) fn delete(scope: Scope<'_>, name: &CollectionName) -> EngineResult<Option<bool>> {
    let number = match scope.collection(name) {
        Err(EngineError::Refused(error)) if error.code() == ErrorCode::CollectionNotFound => return Ok(None),
        found => found?.number,
    };
    let Some(number) = number else { return Ok(None) };
    scope.catalog.builds.note_removal(number);
    removal::remove_collection(scope.connection, number)?;
    removal::clear(scope.connection).map(Some)
}

/// The usage of the organization.
pub(super) fn usage(connection: &Connection) -> EngineResult<Usage> {
    Ok(Usage { collections: how_many(connection)?, ..used(connection)? })
}

/// The number of collections, including the default one.
fn how_many(connection: &Connection) -> EngineResult<u64> {
    let stored: Option<i64> = HOW_MANY.first(connection, [], |row| row.get(0))?;
    let has_default = HAS_DEFAULT.finds(connection, [CollectionName::DEFAULT])?;
    Ok(stored.unwrap_or_default().unsigned_abs() + u64::from(!has_default))
}
