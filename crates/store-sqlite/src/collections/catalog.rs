//! The cached catalog of a container's collections and their indexes.
//!
//! Every change of them gives the container another stamp, so a transaction needs one read to check whether
//! the cache is valid for it.
//!
//! # Pitfalls
//! The cache may be valid for one connection and not for another, which still reads an older state.

use super::index_builds::IndexBuilds;
use super::stored_index::StoredIndex;
use crate::engine_error::EngineResult;
use crate::statement::statements;
use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tenantry_documents::index::IndexName;
use tenantry_documents::schema::SchemaDefinition;
use tenantry_domain::collection::CollectionName;

statements! {
    TOUCH = "UPDATE catalog SET stamp = random() WHERE id = 1";
}

/// The cache.
#[derive(Default)]
pub(crate) struct Catalog {
    pub(super) remembered: Mutex<CachedCatalog>,
    /// Indexes that are not in the file yet.
    pub(crate) builds: IndexBuilds,
}

#[derive(Default)]
pub(super) struct CachedCatalog {
    pub(super) stamp: i64,
    pub(super) collections: HashMap<CollectionName, Arc<Collection>>,
}

/// A collection that exists.
#[derive(Debug)]
pub(crate) struct Collection {
    /// `None` for the default collection as long as nothing was ever inserted into it.
    pub(crate) number: Option<i64>,
    /// In the order of their creation.
    pub(crate) indexes: Vec<StoredIndex>,
    pub(crate) schema: Option<Arc<SchemaDefinition>>,
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
