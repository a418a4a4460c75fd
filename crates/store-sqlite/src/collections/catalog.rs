//! What is remembered of a container's collections and their indexes.
//!
//! Every change of them gives the container another stamp, so one look tells a transaction whether what is
//! remembered holds in it. What a newcomer gets wrong: it may hold for one connection and not for another, which
//! still reads what was before.

use super::index_builds::{IndexBuild, IndexBuilds};
use crate::containers::tenant_db::Scope;
use crate::engine_error::EngineResult;
use crate::statement::statements;
use rusqlite::{Connection, Row};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tenantry_documents::document::KeyFormat;
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::{Error, ErrorCode, Result};

statements! {
    STAMP = "SELECT stamp FROM catalog WHERE id = 1";
    FIND = "SELECT id FROM collections WHERE name = ?1";
    TOUCH = "UPDATE catalog SET stamp = random() WHERE id = 1";
    ADD = "INSERT INTO collections (name) VALUES (?1) RETURNING id";
    ADD_COUNTS = "INSERT INTO collection_counts (collection, documents, bytes) VALUES (?1, 0, 0)";
    INDEXES = "SELECT id, name, keys, is_unique, is_multikey, cut FROM indexes WHERE collection = ?1";
}

/// What is remembered.
#[derive(Default)]
pub(crate) struct Catalog {
    remembered: Mutex<CachedCatalog>,
    /// Indexes that are not in the file yet.
    pub(crate) buildings: IndexBuilds,
}

#[derive(Default)]
struct CachedCatalog {
    stamp: i64,
    collections: HashMap<CollectionName, Arc<Collection>>,
}

/// A collection that is there.
#[derive(Debug)]
pub(crate) struct Collection {
    /// None for the one that is always there, as long as nothing was ever put into it.
    pub(crate) number: Option<i64>,
    /// In the order in which they were made.
    pub(crate) indexes: Vec<StoredIndex>,
}

/// An index of a collection.
#[derive(Debug)]
pub(crate) struct StoredIndex {
    pub(crate) number: i64,
    pub(crate) definition: Index,
    /// Whether an indexed path has gone through an array in any document.
    pub(crate) is_multikey: bool,
    /// How its keys are stored.
    pub(crate) format: KeyFormat,
    /// Whether a key of any document is cut.
    pub(crate) has_cut: bool,
}

/// `cut` of an index whose keys are whole, whose keys are cut where they are long, and of which one is.
const WHOLE_KEYS: i64 = 0;
pub(super) const NO_KEY_CUT: i64 = 1;
pub(super) const SOME_KEY_CUT: i64 = 2;

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
        self.catalog.buildings.of(number, &collection.indexes)
    }

    fn load(self, name: &CollectionName) -> EngineResult<Collection> {
        let Some(number) = FIND.first(self.connection, [name.as_str()], |row| row.get(0))? else {
            return match name.is_default() {
                true => Ok(Collection { number: None, indexes: Vec::new() }),
                false => Err(Error::new(ErrorCode::CollectionNotFound).into()),
            };
        };
        let rows = INDEXES.all(self.connection, [number], |row| Ok(stored_index(row)))?;
        let mut indexes = rows.into_iter().collect::<EngineResult<Vec<_>>>()?;
        indexes.sort_by_key(|index| index.number);
        Ok(Collection { number: Some(number), indexes })
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

/// Notes that collections or indexes have changed, so that nobody goes by what was remembered of them before.
pub(crate) fn touch(connection: &Connection) -> EngineResult<()> {
    TOUCH.execute(connection, [])?;
    Ok(())
}

impl Collection {
    /// The index of that name.
    pub(crate) fn index(&self, name: &IndexName) -> Option<&StoredIndex> {
        self.indexes.iter().find(|index| index.definition.name == *name)
    }
}

fn stored_index(row: &Row<'_>) -> EngineResult<StoredIndex> {
    let name = readable(IndexName::parse(row.get_ref(1)?.as_str().map_err(Error::internal)?))?;
    let keys = row.get_ref(2)?.as_str().map_err(Error::internal)?;
    let definition = Index::parse(Some(name), keys, row.get(3)?)?;
    let cut: i64 = row.get(5)?;
    Ok(StoredIndex {
        number: row.get(0)?,
        definition,
        is_multikey: row.get(4)?,
        format: if cut == WHOLE_KEYS { KeyFormat::Whole } else { KeyFormat::Cut },
        has_cut: cut == SOME_KEY_CUT,
    })
}

fn readable<T>(parsed: Result<T, String>) -> Result<T> {
    parsed.map_err(|sentence| Error::internal(format!("a stored index is unreadable: {sentence}")))
}
