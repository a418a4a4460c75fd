//! See [`super`]: in the files of the embedded engine.

use crate::support::app::App;
use bson::{Bson, Document, doc};
use rusqlite::{Connection, params};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tenantry_documents::document::DocumentId;

/// The container of the organization of that id.
pub fn container_file(app: &App, id: &str) -> PathBuf {
    tenantry_store::container_file(&app.data_dir(), id.parse().unwrap())
}

fn container(app: &App, id: &str) -> Connection {
    let file = container_file(app, id);
    tenantry_store::make_container_file(&app.data_dir(), id.parse().unwrap());
    assert!(file.exists(), "the container of {id} is gone");
    open(&file)
}

/// Whether it has a container, be it one without a file.
pub fn has_container(app: &App, id: &str) -> bool {
    let control = open(&app.data_dir().join("control.db"));
    let without_file = "SELECT 1 FROM organizations WHERE lower(hex(id)) = ?1 AND has_file = 0";
    container_file(app, id).exists() || control.prepare(without_file).unwrap().exists([id]).unwrap()
}

/// The files of all containers.
pub fn containers(app: &App) -> Vec<String> {
    let mut found = Vec::new();
    for directory in std::fs::read_dir(app.data_dir().join("containers")).unwrap() {
        for file in std::fs::read_dir(directory.unwrap().path()).unwrap() {
            found.push(file.unwrap().file_name().into_string().unwrap());
        }
    }
    found.retain(|name| !["db-wal", "db-shm"].iter().any(|end| name.ends_with(end)));
    found
}

/// An application that has the container open.
pub struct Writer(Connection);

impl Writer {
    pub fn of(app: &App, id: &str) -> Self {
        let container = container(app, id);
        container.execute("INSERT OR IGNORE INTO collections (id, name) VALUES (1, 'notes')", []).unwrap();
        Self(container)
    }

    pub fn put(&mut self, number: u32) {
        put_document(&self.0, number);
    }
}

fn put_document(container: &Connection, number: u32) {
    let document = doc! { "_id": format!("note-{number}"), "number": i64::from(number) };
    insert(container, &document).unwrap();
}

/// Writes a document as the service does.
fn insert(container: &Connection, document: &Document) -> rusqlite::Result<usize> {
    let key = DocumentId::new(document.get("_id").unwrap()).unwrap().key();
    let sql = "INSERT INTO documents (collection, id, revision, body) VALUES (1, ?1, 1, ?2)";
    container.execute(sql, params![key, document.to_vec().unwrap()])
}

/// Everything in the container of an organization: metadata, then `collection/id: body` in their order.
pub fn contents(app: &App, id: &str) -> Vec<String> {
    let container = container(app, id);
    let mut lines = texts(&container, "SELECT name || ' = ' || value FROM metadata ORDER BY name");
    let mut documents = container.prepare("SELECT body FROM documents ORDER BY collection, id").unwrap();
    let bodies = documents.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    lines.extend(bodies.map(|body| line(Document::from_reader(&*body.unwrap()).unwrap())));
    lines
}

fn line(mut document: Document) -> String {
    let Some(Bson::String(id)) = document.remove("_id") else { panic!("a note's id is text") };
    format!("notes/{id}: {}", Bson::Document(document).into_relaxed_extjson())
}

pub fn make_unique(app: &App, id: &str) {
    let index = "CREATE UNIQUE INDEX one_of_each ON documents (body)";
    container(app, id).execute_batch(index).unwrap();
}

pub fn refuses_twins(app: &App, id: &str) -> bool {
    let container = container(app, id);
    let copy = "INSERT INTO documents (collection, id, revision, body) SELECT 1, x'00', 1, body FROM documents LIMIT 1";
    let same_id = doc! { "_id": "note-7", "number": 1_000_000_i64 };
    container.execute(copy, []).is_err() && insert(&container, &same_id).is_err()
}

/// The tables of the control database that contain `text`.
pub fn tables_with(app: &App, text: &str) -> Vec<String> {
    let control = open(&app.data_dir().join("control.db"));
    let hex = text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
    let tables = texts(&control, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    tables.into_iter().filter(|table| holds(&control, table, text, &hex)).collect()
}

/// Whether any column of any row holds the text, as it is or (an id) as the bytes it spells.
fn holds(control: &Connection, table: &str, text: &str, hex: &str) -> bool {
    let columns = texts(control, &format!("SELECT name FROM pragma_table_info('{table}')"));
    columns.iter().any(|column| {
        let found: bool = control
            .query_row(
                &format!(
                    "SELECT EXISTS (SELECT 1 FROM {table} WHERE instr(hex({column}), ?1) > 0 \
                     OR instr(lower(hex({column})), ?2) > 0)"
                ),
                [hex, text],
                |row| row.get(0),
            )
            .unwrap();
        found
    })
}

/// Changes the record of the account with that address. Only while the service is stopped: it keeps records
/// in memory.
pub fn edit_account(data_dir: &Path, email: &str, edit: impl FnOnce(&mut Value)) {
    let control = open(&data_dir.join("control.db"));
    let mut record = account(&control, email);
    edit(&mut record);
    let changed = control
        .execute(
            "UPDATE accounts SET record = ?1, email_key = ?1 ->> 'email_key' WHERE email_key = ?2",
            params![record.to_string(), email],
        )
        .unwrap();
    assert_eq!(changed, 1);
}

/// Notes in the organization that the account is one of its members.
pub fn note_member(data_dir: &Path, email: &str, organization: &str, is_owner: bool) {
    let control = open(&data_dir.join("control.db"));
    let account = account(&control, email)["id"].as_str().unwrap().to_owned();
    let join = "INSERT INTO memberships (organization_id, account_id) VALUES (unhex(?1), unhex(?2))";
    assert_eq!(control.execute(join, [organization, &account]).unwrap(), 1);
    let count = "UPDATE organizations SET record = json_set(record, '$.members', (record ->> 'members') + 1) \
        WHERE id = unhex(?1)";
    assert_eq!(control.execute(count, [organization]).unwrap(), 1);
    let own = "UPDATE organizations SET record = json_insert(record, '$.owners[#]', ?2) WHERE id = unhex(?1)";
    if is_owner {
        assert_eq!(control.execute(own, [organization, &account]).unwrap(), 1);
    }
}

/// A row of the table of sessions.
pub type SessionRow = (Vec<u8>, i64, Vec<u8>, Vec<u8>, i64, String);

pub fn sessions(data_dir: &Path) -> Vec<SessionRow> {
    let control = open(&data_dir.join("control.db"));
    let mut statement = control
        .prepare("SELECT id, version, account_id, organization_id, ends_at, record FROM sessions")
        .unwrap();
    let rows = statement
        .query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        })
        .unwrap();
    rows.map(Result::unwrap).collect()
}

pub fn put_back_sessions(data_dir: &Path, rows: &[SessionRow]) {
    let control = open(&data_dir.join("control.db"));
    let sql = "INSERT INTO sessions (id, version, account_id, organization_id, ends_at, record) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    for (id, version, account, organization, ends_at, record) in rows {
        control.execute(sql, params![id, version, account, organization, ends_at, record]).unwrap();
    }
}

/// Takes back what later steps of the schema have made, but for keys of accounts.
pub fn take_back_schema(data_dir: &Path) {
    let control = open(&data_dir.join("control.db"));
    // Then every organization had a file.
    let ids: Vec<String> = control
        .prepare("SELECT lower(hex(id)) FROM organizations")
        .and_then(|mut ids| ids.query_map([], |row| row.get(0))?.collect())
        .unwrap();
    for id in ids {
        tenantry_store::make_container_file(data_dir, id.parse().unwrap());
    }
    control
        .execute_batch(
            "DROP TRIGGER request_added; DROP TRIGGER request_removed; DROP TABLE request_holders; \
             DROP INDEX requests_held; ALTER TABLE requests DROP COLUMN holder; \
             DROP TABLE mails; DROP TABLE identities; DROP TABLE expiries; DROP TABLE api_keys; DROP TABLE invitations; DROP TABLE audit_outbox; DROP TABLE audit_entries; \
             DROP INDEX sessions_by_account; DROP INDEX sessions_by_end; \
             ALTER TABLE sessions DROP COLUMN account_id; \
             DROP INDEX memberships_by_role; ALTER TABLE memberships DROP COLUMN own_role; \
             DROP INDEX accounts_removing; ALTER TABLE accounts DROP COLUMN removing_since; \
             ALTER TABLE organizations DROP COLUMN has_file;",
        )
        .unwrap();
    control.pragma_update(None, "user_version", 1).unwrap();
}

/// The stored password hash of the account with that address.
pub fn password_hash(app: &App, email: &str) -> String {
    let record = account(&open(&app.data_dir().join("control.db")), email);
    record["password_hash"].as_str().unwrap().to_owned()
}

fn account(control: &Connection, email: &str) -> Value {
    let record: String = control
        .query_row("SELECT record FROM accounts WHERE email_key = ?1", [email], |row| row.get(0))
        .unwrap();
    serde_json::from_str(&record).unwrap()
}

fn open(file: &Path) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection
}

fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}
