//! Making and removing indexes.
//!
//! What a newcomer gets wrong: the entries of a new index are sorted before they are added, a part of them at a time.
//! Added as the documents come, each would go to another page, and a large index would take many times as long.

use super::catalog::{self, StoredIndex};
use super::removal;
use crate::sqlite::connection;
use crate::sqlite::containers::open::Scope;
use crate::sqlite::documents::{Keys, taken};
use crate::sqlite::failure::Attempt;
use crate::sqlite::statement::{blob, statements};
use bson::RawDocument;
use rusqlite::{Connection, params};
use std::ops::ControlFlow;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::index::{Index, IndexName};
use tenantry_domain::limits::INDEXES_MAX;
use tenantry_domain::store::Inserted;
use tenantry_domain::{Error, ErrorCode};

statements! {
    ADD_INDEX = "INSERT INTO indexes (collection, name, keys, is_unique, is_multikey) \
        VALUES (?1, ?2, ?3, ?4, 0) RETURNING id";
    SET_MULTIKEY = "UPDATE indexes SET is_multikey = 1 WHERE id = ?1";
    DOCUMENTS = "SELECT number, id, body FROM documents WHERE collection = ?1 ORDER BY id";
    ADD_ENTRY = "INSERT INTO index_entries (index_id, key, id, document) VALUES (?1, ?2, ?3, ?4)";
    KEYS = "SELECT key FROM index_entries WHERE index_id = ?1 ORDER BY key, id";
}

/// Bytes of entries that are sorted at a time.
const SORTED_BYTES: usize = 32 << 20;
/// Pages that are kept in memory meanwhile, in KiB.
const BUILD_CACHE_KIB: i64 = 32 << 10;

/// The indexes of a collection in the order of their names.
pub(super) fn list(scope: Scope<'_>, name: &CollectionName) -> Attempt<Vec<Index>> {
    let collection = scope.collection(name)?;
    let mut indexes: Vec<Index> = collection.indexes.iter().map(|index| index.definition.clone()).collect();
    indexes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(indexes)
}

/// Makes an index with its entries.
pub(super) fn insert(scope: Scope<'_>, name: &CollectionName, index: &Index) -> Attempt<Inserted> {
    let (collection, found) = scope.numbered(name)?;
    if let Some(same) = found.index(&index.name).filter(|same| same.definition == *index) {
        tracing::debug!(number = same.number, "the index is there already");
        return Ok(Inserted::Exists);
    }
    let is_in_the_way =
        |other: &StoredIndex| other.definition.name == index.name || other.definition.keys == index.keys;
    if found.indexes.iter().any(is_in_the_way) {
        return Err(Error::new(ErrorCode::IndexExists).into());
    }
    if found.indexes.len() >= INDEXES_MAX as usize {
        return Err(Error::new(ErrorCode::TooManyIndexes).into());
    }
    let row = params![collection, index.name.as_str(), index.keys_text(), index.unique];
    let number = ADD_INDEX.first(scope.connection, row, |row| row.get(0))?;
    let number = number.ok_or_else(|| Error::internal("an index without a number"))?;
    catalog::touch(scope.connection)?;
    connection::set_cache(scope.connection, BUILD_CACHE_KIB)?;
    let built = build(scope.connection, collection, number, index);
    connection::set_cache(scope.connection, connection::CONTAINER_WRITER_CACHE_KIB)?;
    built.map(|()| Inserted::New)
}

fn build(connection: &Connection, collection: i64, number: i64, index: &Index) -> Attempt<()> {
    let mut entries = Entries { number, entries: Vec::new(), bytes: 0 };
    let mut is_multikey = false;
    let _: ControlFlow<()> = DOCUMENTS.each(connection, [collection], |row| {
        let document: i64 = row.get(0)?;
        let id = blob(row, 1)?;
        let body = blob(row, 2)?;
        let body = RawDocument::from_bytes(body).map_err(Error::internal)?;
        let keys = Keys::of(index, body).map_err(|sentence| Error::invalid_field("/keys", sentence))?;
        is_multikey |= keys.is_multikey;
        for key in keys.keys {
            entries.add(connection, Entry { key, id: id.into(), document })?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    entries.flush(connection)?;
    if is_multikey {
        SET_MULTIKEY.execute(connection, [number])?;
    }
    if index.unique { check_unique(connection, number, index) } else { Ok(()) }
}

/// Entries that are not added yet.
struct Entries {
    number: i64,
    entries: Vec<Entry>,
    bytes: usize,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: Vec<u8>,
    id: Box<[u8]>,
    document: i64,
}

impl Entries {
    fn add(&mut self, connection: &Connection, entry: Entry) -> Attempt<()> {
        self.bytes += entry.key.capacity() + entry.id.len() + size_of::<Entry>();
        self.entries.push(entry);
        if self.bytes >= SORTED_BYTES { self.flush(connection) } else { Ok(()) }
    }

    fn flush(&mut self, connection: &Connection) -> Attempt<()> {
        self.entries.sort_unstable();
        for Entry { key, id, document } in self.entries.drain(..) {
            ADD_ENTRY.execute(connection, params![self.number, key, id, document])?;
        }
        self.bytes = 0;
        Ok(())
    }
}

/// Two documents that have a common entry stand side by side.
fn check_unique(connection: &Connection, number: i64, index: &Index) -> Attempt<()> {
    let mut last: Option<Vec<u8>> = None;
    let _: ControlFlow<()> = KEYS.each(connection, [number], |row| {
        let key = blob(row, 0)?;
        match &mut last {
            Some(last) if last.as_slice() == key => return Err(taken(index).into()),
            Some(last) => {
                last.clear();
                last.extend(key);
            }
            None => last = Some(key.to_vec()),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(())
}

/// Removes an index; none if it was not there, else whether entries of it are left for later.
pub(super) fn delete(scope: Scope<'_>, name: &CollectionName, index: &IndexName) -> Attempt<Option<bool>> {
    let collection = scope.collection(name)?;
    let Some(found) = collection.index(index) else { return Ok(None) };
    removal::remove_index(scope.connection, found.number)?;
    removal::clear(scope.connection).map(Some)
}
