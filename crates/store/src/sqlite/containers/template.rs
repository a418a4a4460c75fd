//! What is in a container: its schema, and the bytes of an empty one.

use crate::sqlite::statement::statements;
use jiff::Timestamp;
use rusqlite::{Connection, MAIN_DB};
use std::sync::{Mutex, PoisonError};
use tenantry_domain::ids::OrganizationId;

/// The version of the schema below, in each container's metadata.
const SCHEMA_VERSION: &str = "1.0";

/// "TNTC" in the file's header says what it is.
const APPLICATION_ID: i64 = 0x544e_5443;

/// A document is BSON, as an application's driver writes it, with its `_id` in it; `id` is the key of that
/// (`domain::document::key`), which sorts as the value does. `number` is what indexes refer to.
///
/// The triggers keep the number of documents exact in every transaction, so that counting a million takes as
/// long as counting none. `INSERT OR REPLACE` would get past them (it deletes without a trigger unless
/// `recursive_triggers` is on): documents are written with `ON CONFLICT .. DO UPDATE`.
const SCHEMA: &str = "
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

/// An empty container in memory. Copying its bytes is some fifty times quicker than running the schema.
pub(super) struct Template(Mutex<Connection>);

impl Template {
    pub(super) fn new() -> rusqlite::Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.execute_batch(SCHEMA)?;
        SET_METADATA.execute(&connection, ["schema_version", SCHEMA_VERSION])?;
        Ok(Self(Mutex::new(connection)))
    }

    /// The bytes of an empty container of that organization.
    pub(super) fn fill(&self, id: OrganizationId, created_at: Timestamp) -> rusqlite::Result<Vec<u8>> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        SET_METADATA.execute(&connection, ["organization_id", &id.to_string()])?;
        SET_METADATA.execute(&connection, ["created_at", &created_at.to_string()])?;
        let mut bytes = connection.serialize(MAIN_DB)?.to_vec();
        bytes[JOURNAL_VERSIONS].fill(WRITE_AHEAD_LOG);
        Ok(bytes)
    }
}

/// Whose container it says it is, if it says.
pub(super) fn owner(container: &Connection) -> rusqlite::Result<Option<String>> {
    OWNER.first(container, [], |row| row.get(0))
}

/// How many documents are in it, if it is a container at all.
pub(super) fn count(container: &Connection) -> rusqlite::Result<Option<i64>> {
    COUNT.first(container, [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::statement::tests::check_plans;

    fn container() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection.execute_batch("INSERT INTO collections (id, name) VALUES (1, 'notes')").unwrap();
        connection
    }

    #[test]
    fn counting_reads_one_row_whatever_the_size() {
        check_plans(&container(), STATEMENTS);
    }

    #[test]
    fn the_count_is_exact_through_every_kind_of_change() {
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
