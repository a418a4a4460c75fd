//! A transaction on a container, and the collections that it sees.

use super::catalog::{CachedCatalog, Catalog, Collection, touch};
use super::index_builds::IndexBuild;
use super::stored_index::{SOME_KEY_CUT, StoredIndex, WHOLE_KEYS};
use crate::containers::close_signal::CloseSignal;
use crate::engine_error::EngineResult;
use crate::statement::statements;
use rusqlite::{Connection, Row};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use tenantry_documents::document::KeyFormat;
use tenantry_documents::index::{Index, IndexName, StoredOptions};
use tenantry_documents::schema::SchemaDefinition;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::{Error, ErrorCode, Result};

statements! {
    STAMP = "SELECT stamp FROM catalog WHERE id = 1";
    FIND = "SELECT id, schema FROM collections WHERE name = ?1";
    ADD = "INSERT INTO collections (name) VALUES (?1) RETURNING id";
    ADD_COUNTS = "INSERT INTO collection_counts (collection, documents, bytes) VALUES (?1, 0, 0)";
    INDEXES = "SELECT id, name, keys, is_unique, is_multikey, cut, options FROM indexes WHERE collection = ?1";
}

/// A transaction on a container.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// Its connection.
    pub(crate) connection: &'a Connection,
    /// What is remembered of collections and indexes.
    pub(crate) catalog: &'a Catalog,
    /// Whether it is being closed, which long work must ask.
    pub(crate) close_signal: &'a CloseSignal,
}

impl Scope<'_> {
    /// The collection of that name, as this transaction sees it. `collection_not_found`.
    pub(crate) fn collection(self, name: &CollectionName) -> EngineResult<Arc<Collection>> {
        let stamp = STAMP.first(self.connection, [], |row| row.get(0))?;
        let stamp: i64 = stamp.ok_or_else(|| Error::unavailable("a container has lost its stamp"))?;
        let lock = || self.catalog.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            Some(lock()).filter(|it| it.stamp == stamp).and_then(|it| it.collections.get(name).cloned());
        if let Some(collection) = known {
            return Ok(collection);
        }
        let collection = Arc::new(self.load(name)?);
        let mut remembered = lock();
        if remembered.stamp != stamp {
            *remembered = CachedCatalog { stamp, collections: HashMap::new() };
        }
        remembered.collections.insert(name.clone(), collection.clone());
        Ok(collection)
    }

    /// The indexes of the collection that are being made, which who writes has to keep up, too.
    pub(crate) fn building(self, number: i64, collection: &Collection) -> Vec<Arc<IndexBuild>> {
        self.catalog.builds.of(number, &collection.indexes)
    }

    fn load(self, name: &CollectionName) -> EngineResult<Collection> {
        let found = FIND.first(self.connection, [name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let Some((number, schema)): Option<(i64, Option<String>)> = found else {
            return match name.is_default() {
                true => Ok(Collection { number: None, indexes: Vec::new(), schema: None }),
                false => Err(Error::new(ErrorCode::CollectionNotFound).into()),
            };
        };
        let rows = INDEXES.all(self.connection, [number], |row| Ok(stored_index(row)))?;
        let mut indexes = rows.into_iter().collect::<EngineResult<Vec<_>>>()?;
        indexes.sort_by_key(|index| index.number);
        let schema = schema.map(|json| SchemaDefinition::of_json(&json)).transpose()?.map(Arc::new);
        Ok(Collection { number: Some(number), indexes, schema })
    }

    /// The collection of that name and its number. The one that is always there gets its number now.
    pub(crate) fn numbered(self, name: &CollectionName) -> EngineResult<(i64, Arc<Collection>)> {
        let mut collection = self.collection(name)?;
        if collection.number.is_none() {
            self.add_collection(name)?;
            collection = self.collection(name)?;
        }
        let number = collection.number.ok_or_else(|| Error::internal("a collection without a number"))?;
        Ok((number, collection))
    }

    /// Makes an empty collection of a name that is free.
    pub(crate) fn add_collection(self, name: &CollectionName) -> EngineResult<()> {
        let number: Option<i64> = ADD.first(self.connection, [name.as_str()], |row| row.get(0))?;
        ADD_COUNTS.execute(self.connection, [number])?;
        touch(self.connection)
    }
}

fn stored_index(row: &Row<'_>) -> EngineResult<StoredIndex> {
    let name = readable(IndexName::parse(row.get_ref(1)?.as_str().map_err(Error::internal)?))?;
    let keys = row.get_ref(2)?.as_str().map_err(Error::internal)?;
    let options = options(row.get_ref(6)?.as_str_or_null().map_err(Error::internal)?)?;
    let definition = Index::parse_with(Some(name), keys, options.read(row.get(3)?)?)?;
    let cut: i64 = row.get(5)?;
    Ok(StoredIndex {
        number: row.get(0)?,
        definition,
        is_multikey: row.get(4)?,
        format: if cut == WHOLE_KEYS { KeyFormat::Whole } else { KeyFormat::Cut },
        has_cut: cut == SOME_KEY_CUT,
    })
}

/// The options of an index, which a plain one has none of.
fn options(stored: Option<&str>) -> Result<StoredOptions> {
    stored.map_or_else(|| Ok(StoredOptions::default()), |text| readable(parse_json(text)))
}

fn parse_json(text: &str) -> Result<StoredOptions, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn readable<T>(parsed: Result<T, String>) -> Result<T> {
    parsed.map_err(|sentence| Error::internal(format!("a stored index is unreadable: {sentence}")))
}
