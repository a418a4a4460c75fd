//! The schema of a container, as the list of steps that lead to it, and the bytes of an empty one.
//!
//! # Pitfalls
//! Never edit a step that has been released: a change is a new step, which existing containers take when they
//! are opened.

use super::space::INCREMENTAL;
#[cfg(doc)]
use crate::connection;
use crate::engine_error::EngineResult;
use crate::statement::statements;
use jiff::Timestamp;
use rusqlite::{Connection, MAIN_DB, TransactionBehavior};
use std::sync::{Mutex, OnceLock, PoisonError};
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;

/// The version of the metadata, which is the same on every engine. The version of the tables is
/// `user_version`.
const METADATA_VERSION: &str = "1.0";

/// "TNTC" in the file's header identifies a container.
const APPLICATION_ID: i64 = 0x544e_5443;

/// Step n leads from version n to n + 1. Containers of the first version say 0.
const STEPS: &[&str] = &[STEP_1, STEP_2, STEP_3, STEP_4, STEP_5];

/// The newest version this program knows.
const NEWEST_VERSION: i64 = STEPS.len() as i64;

/// A document is BSON, as an application's driver writes it, with its `_id` in it; `id` is the key of that
/// (`domain::document::key`), which sorts as the value does. `number` is what indexes refer to.
///
/// The triggers keep the number of documents exact in every transaction, so that counting a million takes as
/// long as counting none. `INSERT OR REPLACE` would get past them (it deletes without a trigger unless
/// `recursive_triggers` is on): documents are written with `ON CONFLICT`.
const STEP_1: &str = "
CREATE TABLE metadata (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE documents (
    number INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (id),
    id BLOB NOT NULL,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (collection, id)
) STRICT;

CREATE TABLE document_count (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    documents INTEGER NOT NULL
) STRICT;
INSERT INTO document_count (id, documents) VALUES (1, 0);

CREATE TRIGGER document_added AFTER INSERT ON documents BEGIN
    UPDATE document_count SET documents = documents + 1 WHERE id = 1;
END;
CREATE TRIGGER document_removed AFTER DELETE ON documents BEGIN
    UPDATE document_count SET documents = documents - 1 WHERE id = 1;
END;
";

/// What each collection has, its indexes, and their entries.
///
/// A collection that is being removed is called `/` and its number, and has no counts any more: what is left in it
/// belongs to nobody. An index that is being removed is only a number in `removed_indexes`; `AUTOINCREMENT` sees to it
/// that no other index gets that number meanwhile.
///
/// `key` of an entry is the key of its values, each in the direction that it has in the index; `id` is that of the
/// document, so that entries of one key are in its order. Entries have no foreign keys: a look for each would cost as
/// much as the entry.
///
/// The triggers are for those who write to a container with a connection of their own. The writer of an open container
/// has none ([`connection::configure_container_writer`]) and does the same at the end of its transaction.
///
/// `catalog` has another stamp after every change of collections and indexes, so that a connection sees with one
/// look whether what it remembers of them still holds in its transaction. It is random: a number that counts would
/// come again after a rollback, with another meaning.
const STEP_2: &str = "
CREATE TABLE collection_counts (
    collection INTEGER PRIMARY KEY,
    documents INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
INSERT INTO collection_counts (collection, documents, bytes)
    SELECT id, 0, 0 FROM collections;
UPDATE collection_counts SET (documents, bytes) =
    (SELECT count(*), coalesce(sum(length(body)), 0) FROM documents
     WHERE documents.collection = collection_counts.collection);

CREATE TABLE catalog (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    stamp INTEGER NOT NULL
) STRICT;
INSERT INTO catalog (id, stamp) VALUES (1, random());

CREATE TABLE indexes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (id),
    name TEXT NOT NULL,
    keys TEXT NOT NULL,
    is_unique INTEGER NOT NULL,
    is_multikey INTEGER NOT NULL,
    UNIQUE (collection, name)
) STRICT;

CREATE TABLE removed_indexes (
    id INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE index_entries (
    index_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    id BLOB NOT NULL,
    document INTEGER NOT NULL,
    PRIMARY KEY (index_id, key, id)
) STRICT, WITHOUT ROWID;

DROP TRIGGER document_added;
DROP TRIGGER document_removed;
CREATE TRIGGER document_added AFTER INSERT ON documents BEGIN
    UPDATE document_count SET documents = documents + 1 WHERE id = 1;
    UPDATE collection_counts SET documents = documents + 1, bytes = bytes + length(new.body)
        WHERE collection = new.collection;
END;
CREATE TRIGGER document_changed AFTER UPDATE OF body ON documents BEGIN
    UPDATE collection_counts SET bytes = bytes + length(new.body) - length(old.body)
        WHERE collection = new.collection;
END;
CREATE TRIGGER document_removed AFTER DELETE ON documents BEGIN
    UPDATE document_count SET documents = documents - 1 WHERE id = 1;
    UPDATE collection_counts SET documents = documents - 1, bytes = bytes - length(old.body)
        WHERE collection = old.collection;
END;

CREATE TRIGGER collection_added AFTER INSERT ON collections BEGIN
    INSERT INTO collection_counts (collection, documents, bytes) VALUES (new.id, 0, 0);
    UPDATE catalog SET stamp = random() WHERE id = 1;
END;
CREATE TRIGGER collection_changed AFTER UPDATE ON collections BEGIN
    UPDATE catalog SET stamp = random() WHERE id = 1;
END;
CREATE TRIGGER collection_removed AFTER DELETE ON collections BEGIN
    DELETE FROM collection_counts WHERE collection = old.id;
    UPDATE catalog SET stamp = random() WHERE id = 1;
END;
CREATE TRIGGER index_added AFTER INSERT ON indexes BEGIN
    UPDATE catalog SET stamp = random() WHERE id = 1;
END;
CREATE TRIGGER index_changed AFTER UPDATE ON indexes BEGIN
    UPDATE catalog SET stamp = random() WHERE id = 1;
END;
CREATE TRIGGER index_removed AFTER DELETE ON indexes BEGIN
    UPDATE catalog SET stamp = random() WHERE id = 1;
END;
";

/// How the keys of each index are stored, and what its entries take.
///
/// `cut` is 0 for an index whose keys have every value whole, as those of the versions before; 1 for one whose long values
/// are cut, and 2 once there is one. `bytes` counts every value whole, with the key of the `_id` of each entry; an index
/// that is being made has a row, too.
const STEP_3: &str = "
ALTER TABLE indexes ADD COLUMN cut INTEGER NOT NULL DEFAULT 0;

CREATE TABLE index_sizes (
    index_id INTEGER PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT;
INSERT INTO index_sizes (index_id, bytes)
    SELECT id, (SELECT coalesce(sum(length(e.key) + length(e.id)), 0) FROM index_entries AS e
                WHERE e.index_id = indexes.id)
    FROM indexes;
";

/// What not every index has, as JSON: whether it is sparse, the filter of a partial one, after how many seconds documents
/// expire. A version that does not know of it would add the entries of documents that the index must not have.
const STEP_4: &str = "
ALTER TABLE indexes ADD COLUMN options TEXT;
";

/// The schema of a collection with its level and action, as JSON. A version that does not know of it would write without
/// checks.
const STEP_5: &str = "
ALTER TABLE collections ADD COLUMN schema TEXT;
";

statements! {
    SET_METADATA = "INSERT INTO metadata (name, value) VALUES (?1, ?2) \
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    OWNER = "SELECT value FROM metadata WHERE name = 'organization_id'";
    COUNT = "SELECT documents FROM document_count WHERE id = 1";
}

/// Where the file's header says how it is written, and the value for a write-ahead log (SQLite's file format,
/// 1.3.3). A database in memory cannot have one, so the bytes are set afterwards.
const JOURNAL_VERSIONS: std::ops::Range<usize> = 18..20;
const WRITE_AHEAD_LOG: u8 = 2;

/// An empty container in memory. Copying its bytes is some fifty times as fast as running the schema.
pub(super) struct TenantSchema {
    connection: Mutex<Connection>,
    /// Its bytes. They are kept for as long as the process runs, so that connections need no copies of them.
    empty: &'static [u8],
}

impl TenantSchema {
    pub(super) fn new() -> EngineResult<Self> {
        let mut connection = Connection::open_in_memory()?;
        // Before anything is written, even to the header: later it takes a compaction.
        connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        upgrade(&mut connection)?;
        SET_METADATA.execute(&connection, ["schema_version", METADATA_VERSION])?;
        static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
        let bytes = connection.serialize(MAIN_DB)?.to_vec();
        let empty = EMPTY.get_or_init(|| bytes);
        Ok(Self { connection: Mutex::new(connection), empty })
    }

    /// The bytes of an empty container of nobody, without a write-ahead log.
    pub(super) const fn empty(&self) -> &'static [u8] {
        self.empty
    }

    /// The bytes of an empty container of that organization.
    pub(super) fn fill(&self, id: OrganizationId, created_at: Timestamp) -> rusqlite::Result<Vec<u8>> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        SET_METADATA.execute(&connection, ["organization_id", &id.to_string()])?;
        SET_METADATA.execute(&connection, ["created_at", &created_at.to_string()])?;
        let mut bytes = connection.serialize(MAIN_DB)?.to_vec();
        bytes[JOURNAL_VERSIONS].fill(WRITE_AHEAD_LOG);
        Ok(bytes)
    }
}

/// What each step changes, for the page of schema steps.
pub(crate) const STEP_TEXTS: [&str; STEPS.len()] = [
    "metadata, collections, documents and their number",
    "counts of each collection; indexes and their entries",
    "the size of each index",
    "options of an index: sparse, partial, expiry",
    "schemas of collections",
];

/// Upgrades the container of that organization as opening it does; the versions before and after.
pub(crate) fn rehearse(connection: &mut Connection, id: OrganizationId) -> EngineResult<(i64, i64)> {
    let owner = owner(connection)?;
    if owner != Some(id.to_string()) {
        return Err(Error::unavailable(format!("its file says that it belongs to {owner:?}")).into());
    }
    let from = version(connection)?;
    upgrade(connection)?;
    Ok((from, NEWEST_VERSION))
}

/// Brings a container to the newest version, in one transaction.
///
/// # Errors
/// Also for a container from a newer version of the program; it is left unchanged.
pub(super) fn upgrade(connection: &mut Connection) -> EngineResult<()> {
    let found = version(connection)?;
    if found == NEWEST_VERSION {
        return Ok(());
    }
    if found > NEWEST_VERSION {
        let newer =
            format!("a newer program has written it (schema {found}; this one knows up to {NEWEST_VERSION})");
        return Err(Error::unavailable(newer).into());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", NEWEST_VERSION)?;
    Ok(transaction.commit()?)
}

/// The version of the tables; 0 where there are none.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let is_first = version == 0 && connection.table_exists(None, "documents")?;
    Ok(if is_first { 1 } else { version })
}

/// The organization that the container names as its owner, if any.
pub(super) fn owner(container: &Connection) -> rusqlite::Result<Option<String>> {
    OWNER.first(container, [], |row| row.get(0))
}

/// The number of documents in it, if it is a container.
pub(super) fn count(container: &Connection) -> rusqlite::Result<Option<i64>> {
    COUNT.first(container, [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::tests as collections;
    use crate::documents::tests as documents;
    use crate::statement::tests::check_plans;

    fn container() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        upgrade(&mut connection).unwrap();
        connection.execute_batch("INSERT INTO collections (id, name) VALUES (1, 'notes')").unwrap();
        connection
    }

    #[test]
    fn container_statements_use_an_index() {
        let container = container();
        let lists = [&[STATEMENTS][..], &collections::STATEMENTS, &documents::STATEMENTS].concat();
        lists.iter().for_each(|list| check_plans(&container, list));

        let folders = ["collections", "documents", "containers"];
        let sources = folders.iter().flat_map(|folder| {
            let path = format!("{}/src/{folder}", env!("CARGO_MANIFEST_DIR"));
            std::fs::read_dir(path).unwrap().map(|source| source.unwrap().path())
        });
        let declaring = sources
            .filter_map(|source| std::fs::read_to_string(source).ok())
            .filter(|source| source.contains("\nstatements! {"));
        assert_eq!(declaring.count(), lists.len(), "a file declares statements and is not in the list");
    }

    #[test]
    fn document_count_stays_exact_through_every_change() {
        let container = container();
        let values =
            "(1, x'61', 1, x'0500000000'), (1, x'62', 1, x'0500000000'), (1, x'63', 1, x'0500000000')";
        let insert = format!("INSERT INTO documents (collection, id, revision, body) VALUES {values}");
        let again = format!("{insert} ON CONFLICT DO UPDATE SET revision = 2");
        let steps = [
            (insert.as_str(), 3),
            (again.as_str(), 3),
            ("UPDATE documents SET body = x'0500000000'", 3),
            ("BEGIN; DELETE FROM documents WHERE id = x'61'; ROLLBACK", 3),
            ("DELETE FROM documents WHERE id = x'61'", 2),
            ("DELETE FROM documents WHERE id = x'61'", 2),
            ("DELETE FROM documents", 0),
        ];
        for (sql, documents) in steps {
            container.execute_batch(sql).unwrap();
            assert_eq!(count(&container).unwrap(), Some(documents), "{sql}");
        }
        assert_eq!(owner(&container).unwrap(), None, "metadata is not a document, and there is none");
    }
}
