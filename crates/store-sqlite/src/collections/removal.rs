//! Removing collections and indexes.
//!
//! The name goes at once; the contents go a part at a time, so that no write waits for minutes. After a crash
//! in between, the rest is invisible, and the next open of the container goes on removing it.

use super::catalog;
use crate::engine_error::EngineResult;
use crate::statement::{integer, statements};
use rusqlite::{Connection, params};

statements! {
    NOTE_INDEX = "INSERT INTO removed_indexes (id) VALUES (?1)";
    NOTE_INDEXES = "INSERT INTO removed_indexes (id) SELECT id FROM indexes WHERE collection = ?1";
    DELETE_INDEX = "DELETE FROM indexes WHERE id = ?1";
    DELETE_INDEXES = "DELETE FROM indexes WHERE collection = ?1";
    DELETE_SIZE = "DELETE FROM index_sizes WHERE index_id = ?1";
    DELETE_SIZES = "DELETE FROM index_sizes WHERE index_id IN (SELECT id FROM indexes WHERE collection = ?1)";
    DELETE_COUNTS = "DELETE FROM collection_counts WHERE collection = ?1";
    HIDE = "UPDATE collections SET name = '/' || id WHERE id = ?1";

    // An index that is being built has a negative entry.
    RESERVE = "INSERT INTO removed_indexes (id) VALUES (-?1)";
    RELEASE = "DELETE FROM removed_indexes WHERE id = -?1";
    ABANDON = "UPDATE removed_indexes SET id = ?1 WHERE id = -?1";
    RESERVED = "SELECT -id FROM removed_indexes WHERE id < 0 ORDER BY id LIMIT 1";

    REMOVED_INDEX = "SELECT id FROM removed_indexes WHERE id > 0 ORDER BY id LIMIT 1";
    LAST_ENTRY = "SELECT key, id FROM index_entries WHERE index_id = ?1 ORDER BY key, id LIMIT 1 OFFSET ?2";
    DELETE_ENTRIES = "DELETE FROM index_entries WHERE index_id = ?1 AND (key, id) <= (?2, ?3)";
    DELETE_ALL_ENTRIES = "DELETE FROM index_entries WHERE index_id = ?1";
    FORGET_INDEX = "DELETE FROM removed_indexes WHERE id = ?1";

    // No name begins with a character below `0`.
    REMOVED_COLLECTION = "SELECT id FROM collections WHERE name < '0' ORDER BY name LIMIT 1";
    DELETE_DOCUMENTS = "DELETE FROM documents WHERE number IN \
        (SELECT number FROM documents WHERE collection = ?1 ORDER BY id LIMIT ?2)";
    TAKE_OFF = "UPDATE document_count SET documents = documents - ?1 WHERE id = 1";
    DELETE_COLLECTION = "DELETE FROM collections WHERE id = ?1";
}

/// Parts that are removed in one transaction.
const BATCH_PARTS: usize = 4;
/// Entries of one part.
const PART_ENTRIES: u32 = 2000;
/// Documents of one part; each may be a mebibyte.
const PART_DOCUMENTS: u32 = 200;

/// Detaches an index from its collection.
pub(super) fn remove_index(connection: &Connection, index: i64) -> EngineResult<()> {
    NOTE_INDEX.execute(connection, [index])?;
    DELETE_INDEX.execute(connection, [index])?;
    DELETE_SIZE.execute(connection, [index])?;
    catalog::touch(connection)
}

/// Detaches an index again that was added to draw its number; the next open of the container removes its
/// entries, unless it is released or abandoned before.
pub(super) fn reserve_index(connection: &Connection, index: i64) -> EngineResult<()> {
    DELETE_INDEX.execute(connection, [index])?;
    RESERVE.execute(connection, [index])?;
    Ok(())
}

/// Takes a finished index off the list of removals.
pub(super) fn release_index(connection: &Connection, index: i64) -> EngineResult<()> {
    RELEASE.execute(connection, [index])?;
    Ok(())
}

/// Leaves the entries of an index that will not be finished to [`clear`].
pub(super) fn abandon_index(connection: &Connection, index: i64) -> EngineResult<()> {
    ABANDON.execute(connection, [index])?;
    DELETE_SIZE.execute(connection, [index])?;
    Ok(())
}

/// Marks all unfinished index builds for removal: the process that ran them has gone.
pub(crate) fn abandon_all(connection: &Connection) -> EngineResult<()> {
    while let Some(index) = RESERVED.first(connection, [], |row| row.get(0))? {
        abandon_index(connection, index)?;
    }
    Ok(())
}

/// Removes the name, the indexes and the counts of a collection.
pub(super) fn remove_collection(connection: &Connection, collection: i64) -> EngineResult<()> {
    for statement in [NOTE_INDEXES, DELETE_SIZES, DELETE_INDEXES, DELETE_COUNTS, HIDE] {
        statement.execute(connection, [collection])?;
    }
    catalog::touch(connection)
}

/// Whether anything remains to be removed.
pub(crate) fn has_remains(connection: &Connection) -> EngineResult<bool> {
    Ok(REMOVED_INDEX.finds(connection, [])? || REMOVED_COLLECTION.finds(connection, [])?)
}

/// Removes some of the remaining data; returns whether there is more.
pub(crate) fn clear(connection: &Connection) -> EngineResult<bool> {
    for _ in 0..BATCH_PARTS {
        if let Some(index) = REMOVED_INDEX.first(connection, [], |row| row.get(0))? {
            clear_index(connection, index)?;
        } else if let Some(collection) = REMOVED_COLLECTION.first(connection, [], |row| row.get(0))? {
            clear_collection(connection, collection)?;
        } else {
            return Ok(false);
        }
    }
    has_remains(connection)
}

fn clear_index(connection: &Connection, index: i64) -> EngineResult<()> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?));
    if let Some((key, id)) = LAST_ENTRY.first(connection, params![index, PART_ENTRIES], read)? {
        DELETE_ENTRIES.execute(connection, params![index, key, id])?;
    } else {
        DELETE_ALL_ENTRIES.execute(connection, [index])?;
        FORGET_INDEX.execute(connection, [index])?;
    }
    Ok(())
}

fn clear_collection(connection: &Connection, collection: i64) -> EngineResult<()> {
    let removed = DELETE_DOCUMENTS.execute(connection, params![collection, PART_DOCUMENTS])?;
    TAKE_OFF.execute(connection, [integer(removed as u64)])?;
    if removed < PART_DOCUMENTS as usize {
        DELETE_COLLECTION.execute(connection, [collection])?;
    }
    Ok(())
}
