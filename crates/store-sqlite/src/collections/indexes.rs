//! The indexes of a collection; [`super::build`] makes their entries.

use super::catalog;
use super::index_builds::IndexBuild;
use super::removal;
use super::stored_index::{NO_KEY_CUT, SOME_KEY_CUT, StoredIndex};
use crate::collections::scope::Scope;
use crate::engine_error::EngineResult;
use crate::statement::statements;
use rusqlite::params;
use tenantry_documents::document::KeyFormat;
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::limits::INDEXES_MAX;
use tenantry_domain::{Error, ErrorCode};

statements! {
    ADD = "INSERT INTO indexes (collection, name, keys, is_unique, is_multikey, cut, options) \
        VALUES (?1, ?2, ?3, ?4, 0, 1, ?5) RETURNING id";
    ADD_SIZE = "INSERT INTO index_sizes (index_id, bytes) VALUES (?1, 0)";
    ADD_NUMBERED = "INSERT INTO indexes (id, collection, name, keys, is_unique, is_multikey, cut, options) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
}

/// The indexes of a collection in the order of their names.
pub(super) fn list(scope: Scope<'_>, name: &CollectionName) -> EngineResult<Vec<Index>> {
    let collection = scope.collection(name)?;
    let mut indexes: Vec<Index> = collection.indexes.iter().map(|index| index.definition.clone()).collect();
    indexes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(indexes)
}

/// The state of a requested index.
pub(super) enum BuildStart {
    /// It exists already.
    Exists,
    /// It is new, and has only its number.
    New(IndexBuild),
}

/// Whether an equal index exists already. Refuses one that cannot be created.
pub(super) fn is_there(scope: Scope<'_>, name: &CollectionName, index: &Index) -> EngineResult<bool> {
    let found = scope.collection(name)?;
    if let Some(same) = found.index(&index.name).filter(|same| same.definition == *index) {
        tracing::debug!(number = same.number, "the index is there already");
        return Ok(true);
    }
    if found.indexes.iter().any(|other| other.definition.is_in_the_way_of(index)) {
        return Err(Error::new(ErrorCode::IndexExists).into());
    }
    if found.indexes.len() >= INDEXES_MAX as usize {
        let most = INDEXES_MAX as usize;
        return Err(Error::limit_reached(ErrorCode::TooManyIndexes, "The collection", most, "indexes").into());
    }
    Ok(false)
}

/// Gives an index its number and registers its build.
pub(super) fn begin(scope: Scope<'_>, name: &CollectionName, index: &Index) -> EngineResult<BuildStart> {
    if is_there(scope, name, index)? {
        return Ok(BuildStart::Exists);
    }
    let (collection, _) = scope.numbered(name)?;
    // Inserting a row draws the number: so no other index ever gets it.
    let row = params![collection, index.name.as_str(), index.keys_text(), index.unique, options_of(index)?];
    let number = ADD.first(scope.connection, row, |row| row.get(0))?;
    let number = number.ok_or_else(|| Error::internal("an index without a number"))?;
    removal::reserve_index(scope.connection, number)?;
    ADD_SIZE.execute(scope.connection, [number])?;
    let definition = index.clone();
    let index =
        StoredIndex { number, definition, is_multikey: false, format: KeyFormat::Cut, has_cut: false };
    Ok(BuildStart::New(IndexBuild::new(collection, index)))
}

/// The column `options` of an index; a plain one has none.
fn options_of(index: &Index) -> Result<Option<String>, Error> {
    let options = index.stored_options();
    if options.is_plain() {
        return Ok(None);
    }
    serde_json::to_string(&options).map(Some).map_err(Error::internal)
}

/// The number of changes noted so far, if the collection is still the same.
pub(super) fn changes(scope: Scope<'_>, name: &CollectionName, building: &IndexBuild) -> EngineResult<u64> {
    building.check()?;
    if scope.collection(name)?.number != Some(building.collection) {
        return Err(Error::new(ErrorCode::CollectionNotFound).into());
    }
    Ok(building.changes())
}

/// Makes an index with all its entries visible to queries.
pub(super) fn finish(scope: Scope<'_>, name: &CollectionName, building: &IndexBuild) -> EngineResult<()> {
    changes(scope, name, building)?;
    let StoredIndex { number, definition, .. } = &building.index;
    removal::release_index(scope.connection, *number)?;
    let (keys, is_multikey) = (definition.keys_text(), building.is_multikey());
    let cut = if building.has_cut() { SOME_KEY_CUT } else { NO_KEY_CUT };
    let name = definition.name.as_str();
    let (unique, options) = (definition.unique, options_of(definition)?);
    let row = params![number, building.collection, name, keys, unique, is_multikey, cut, options];
    ADD_NUMBERED.execute(scope.connection, row)?;
    catalog::touch(scope.connection)
}

/// Leaves an index that cannot be built to the cleanup.
pub(super) fn abandon(scope: Scope<'_>, number: i64) -> EngineResult<()> {
    removal::abandon_index(scope.connection, number)
}

/// Removes an index; `None` if there was none, else whether entries of it remain to be removed.
pub(super) fn delete(
    scope: Scope<'_>,
    name: &CollectionName,
    index: &IndexName,
) -> EngineResult<Option<bool>> {
    let collection = scope.collection(name)?;
    let Some(found) = collection.index(index) else { return Ok(None) };
    scope.catalog.builds.note_end(found.number);
    removal::remove_index(scope.connection, found.number)?;
    removal::clear(scope.connection).map(Some)
}
