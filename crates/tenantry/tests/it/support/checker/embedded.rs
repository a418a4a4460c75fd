//! See [`super`]: the files of the embedded engine.
//!
//! # Pitfalls
//! Opening a database recovers it. After a crash, the service must do that first.

use super::steady::{Fault, Stamps, read as read_steadily};
use super::trail::Event;
use super::{Container, Dump, Snapshot};
use bson::doc;
use jiff::Timestamp;
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags, Row, params};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tenantry_documents::document::DocumentId;

/// Tables that say nothing about organizations and change by themselves.
const RESTLESS: [&str; 4] = ["heartbeat", "throttles", "audit_outbox", "audit_entries"];

/// Containers by their organization, those that belong to nobody, and faults that the engine reports.
type Containers = (BTreeMap<String, Container>, Vec<String>, Vec<String>);

pub(super) fn read(data_dir: &Path, meanwhile: &dyn Fn(&str)) -> Snapshot {
    let control = open(&data_dir.join("control.db"));
    read_steadily(|| stamps(&control), || read_once(&control, &data_dir.join("containers"), meanwhile))
}

fn stamps(control: &Connection) -> Stamps {
    let mut organizations = control
        .prepare("SELECT lower(hex(id)), version, operation_id IS NOT NULL FROM organizations")
        .unwrap();
    let row = |row: &Row<'_>| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)));
    let organizations = organizations.query_map([], row).unwrap().map(Result::unwrap).collect();
    let operations: i64 = control.query_row("SELECT count(*) FROM operations", [], |row| row.get(0)).unwrap();
    Stamps { organizations, operations: operations.unsigned_abs() }
}

fn read_once(control: &Connection, containers: &Path, meanwhile: &dyn Fn(&str)) -> Result<Snapshot, Fault> {
    let mut problems = unsound(control, "control.db").unwrap();
    let (mut containers, strays, of_containers) = read_containers(containers, meanwhile)?;
    problems.extend(of_containers);
    // One moment for all tables.
    let control = control.unchecked_transaction().unwrap();
    // What has written nothing needs no file.
    for id in texts(&control, "SELECT lower(hex(id)) FROM organizations WHERE has_file = 0").unwrap() {
        containers.entry(id).or_insert_with(Container::default);
    }
    problems.extend(columns_unlike_records(&control));
    let members = "SELECT lower(hex(account_id)), lower(hex(organization_id)) FROM memberships";
    let reserved = "SELECT key, lower(hex(organization_id)) FROM reserved_keys";
    let operations = texts(&control, "SELECT record FROM operations ORDER BY rowid").unwrap();
    let chains = "SELECT DISTINCT chain, '' FROM audit_entries";
    Ok(Snapshot {
        organizations: records(&control, "organizations"),
        accounts: records(&control, "accounts"),
        sessions: records(&control, "sessions").into_values().collect(),
        api_keys: records(&control, "api_keys").into_values().collect(),
        invitations: records(&control, "invitations").into_values().collect(),
        operations: operations.iter().map(|text| serde_json::from_str(text).unwrap()).collect(),
        events: events(&control),
        chains: pairs(&control, chains).into_iter().map(|(chain, _)| chain).collect(),
        reserved: pairs(&control, reserved).into_iter().collect(),
        memberships: pairs(&control, members).into_iter().collect(),
        control: dump(&control, &RESTLESS).unwrap(),
        containers,
        strays,
        problems,
    })
}

pub(super) fn put_documents(data_dir: &Path, owner: &str, count: u32) -> BTreeSet<String> {
    let owner_id = owner.parse().unwrap();
    tenantry_store::make_container_file(data_dir, owner_id);
    let mut container = open(&tenantry_store::container_file(data_dir, owner_id));
    let transaction = container.transaction().unwrap();
    transaction.execute("INSERT OR IGNORE INTO collections (name) VALUES ('notes')", []).unwrap();
    let collection: i64 = transaction
        .query_row("SELECT id FROM collections WHERE name = 'notes'", [], |row| row.get(0))
        .unwrap();
    let mut written = BTreeSet::new();
    for number in 0..count {
        let id = format!("document-{number}");
        let body = doc! { "_id": &id, "owner": owner, "number": i64::from(number) };
        let (key, body) = (DocumentId::new(&id.into()).unwrap().key(), body.to_vec().unwrap());
        let row = params![collection, key, body];
        transaction
            .execute("INSERT INTO documents (collection, id, revision, body) VALUES (?1, ?2, 1, ?3)", row)
            .unwrap();
        let cells = [Cell::Blob(key), Cell::Integer(1), Cell::Blob(body)].map(|cell| shown(&cell));
        written.insert(format!("{collection}|{}", cells.join("|")));
    }
    transaction.commit().unwrap();
    written
}

pub(super) fn running_operations(data_dir: &Path) -> usize {
    let control = open(&data_dir.join("control.db"));
    let count = "SELECT count(*) FROM organizations WHERE operation_id IS NOT NULL";
    let running: i64 = control.query_row(count, [], |row| row.get(0)).unwrap();
    running.try_into().unwrap()
}

/// Rows whose columns, by which they are found, are not what their records say.
fn columns_unlike_records(control: &Connection) -> Vec<String> {
    let unlike = [
        (
            "organizations",
            "version <> record ->> 'version' OR identifier <> record ->> 'identifier'
             OR hidden <> (record ->> 'state' IN ('deleted', 'purging'))
             OR status <> CASE WHEN record ->> 'state' = 'active' AND record ->> 'suspended'
                          THEN 'suspended' ELSE record ->> 'state' END
             OR (operation_id IS NULL) <> (record ->> 'operation' IS NULL)
             OR (lease_owner IS NULL) <> (operation_id IS NULL)",
        ),
        ("accounts", "version <> record ->> 'version' OR email_key IS NOT record ->> 'email_key'"),
        ("sessions", "version <> record ->> 'version'"),
        (
            "api_keys",
            "version <> record ->> 'version' OR record ->> 'last_used_at' IS NOT NULL
             OR lower(hex(organization_id)) <> coalesce(record ->> '$.owner.organization', '')",
        ),
        (
            "invitations",
            "version <> record ->> 'version' OR lower(hex(organization_id)) <> record ->> 'organization_id'",
        ),
        (
            "identities",
            "lower(hex(account_id)) <> record ->> 'account_id' OR lower(hex(id)) <> record ->> 'id'",
        ),
        ("operations", "lower(hex(organization_id)) <> record ->> 'organization_id'"),
    ];
    let find = |(table, condition)| {
        let sql = format!("SELECT lower(hex(id)) FROM {table} WHERE {condition}");
        texts(control, &sql)
            .unwrap()
            .into_iter()
            .map(move |id| format!("the columns of {table} {id} are not its record's"))
    };
    unlike.into_iter().flat_map(find).collect()
}

/// The faults that SQLite finds in a file.
fn unsound(connection: &Connection, name: &str) -> rusqlite::Result<Vec<String>> {
    let mut found = texts(connection, "PRAGMA integrity_check")?;
    found.retain(|line| line != "ok");
    let broken: i64 =
        connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?;
    if broken > 0 {
        found.push(format!("{broken} rows refer to nothing"));
    }
    Ok(found.into_iter().map(|what| format!("{name}: {what}")).collect())
}

fn read_containers(directory: &Path, meanwhile: &dyn Fn(&str)) -> Result<Containers, Fault> {
    let (mut containers, mut strays, mut problems) = Containers::default();
    for file in files_below(directory) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let (id, kind) = name.split_once('.').unwrap_or((&name, ""));
        let is_home = file.parent().unwrap().ends_with(&id[id.len().saturating_sub(2)..]);
        match kind {
            "db" if is_home => {
                let before = Identities::of(&file);
                let read = read_container(&file, &name, || meanwhile(id));
                before.remove_leftovers(&file);
                let (rows, wrong) = read.map_err(|error| Fault {
                    organization: id.to_owned(),
                    is_gone: !before.is_still(&file),
                    cause: format!("{}: {error}", file.display()),
                })?;
                problems.extend(wrong);
                containers.insert(id.to_owned(), of_rows(id, rows));
            }
            // The log of a container that was open at a crash, and goes when it is opened the next time.
            "db-wal" | "db-shm" if is_home && file.with_file_name(format!("{id}.db")).exists() => {}
            _ => strays.push(file.display().to_string()),
        }
    }
    Ok((containers, strays, problems))
}

/// All that is in a container, as it was at one moment, and what is wrong with its file.
fn read_container(file: &Path, name: &str, meanwhile: impl Fn()) -> rusqlite::Result<(Dump, Vec<String>)> {
    let container = try_open(file)?;
    meanwhile();
    let container = container.unchecked_transaction()?;
    let problems = unsound(&container, name)?;
    meanwhile();
    Ok((dump(&container, &[])?, problems))
}

/// Tells a file from a later one of the same name. An inode number alone is soon reused.
type Identity = (u64, u64, Option<SystemTime>);

/// Which files a container had.
struct Identities {
    database: Option<Identity>,
    others: [(PathBuf, Option<Identity>); 2],
}

impl Identities {
    fn of(database: &Path) -> Self {
        let other = |end| {
            let file = database.with_extension(end);
            let identity = identity(&file);
            (file, identity)
        };
        Self { database: identity(database), others: ["db-wal", "db-shm"].map(other) }
    }

    fn is_still(&self, database: &Path) -> bool {
        self.database.is_some() && self.database == identity(database)
    }

    /// Removes what the reading itself has made beside a database that was removed meanwhile: SQLite leaves it there,
    /// because what it would remove might be somebody else's by then. What was there before is not the reader's.
    fn remove_leftovers(&self, database: &Path) {
        for (file, before) in &self.others {
            let now = identity(file);
            if now.is_some() && now != *before && identity(database).is_none() {
                // The one that removes the database may have found it, too.
                let _ = std::fs::remove_file(file);
            }
        }
    }
}

fn identity(file: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

fn of_rows(id: &str, rows: Dump) -> Container {
    // Without the number that the engine has given them.
    let text = |row: &String| row.split_once('|').unwrap().1.to_owned();
    let documents: BTreeSet<String> = rows["documents"].iter().map(text).collect();
    let mut problems = Vec::new();
    if !rows["metadata"].contains(&format!("organization_id|{id}")) {
        problems.push(format!("its container says {:?}", rows["metadata"]));
    }
    let counted = documents.len();
    if rows["document_count"] != [format!("1|{counted}")] {
        problems.push(format!("counts {:?} documents, has {counted}", rows["document_count"]));
    }
    Container { rows, documents, problems }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Every event, wherever it is; without those that imports have brought along.
fn events(control: &Connection) -> BTreeMap<String, Event> {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let unchained = pairs(control, "SELECT lower(hex(id)), event FROM audit_outbox");
    let unchained = unchained.into_iter().map(|(id, text)| (id, Event::unchained(read(&text))));
    let chained = "SELECT lower(hex(id)), chain, action, at, event FROM audit_entries WHERE chain NOT IN \
        (SELECT trail.value ->> 'kept_as' FROM organizations, json_each(record -> 'trails') AS trail)";
    let mut chained = control.prepare(chained).unwrap();
    let chained = chained.query_map([], |row| {
        let text: Option<String> = row.get(4)?;
        let at = Timestamp::from_millisecond(row.get(3)?).unwrap();
        let event = Event { chain: row.get(1)?, action: row.get(2)?, at, text: text.as_deref().map(read) };
        Ok((row.get(0)?, event))
    });
    unchained.chain(chained.unwrap().map(Result::unwrap)).collect()
}

fn records(control: &Connection, table: &str) -> BTreeMap<String, Value> {
    let rows = pairs(control, &format!("SELECT lower(hex(id)), record FROM {table}"));
    rows.into_iter().map(|(id, record)| (id, serde_json::from_str(&record).unwrap())).collect()
}

fn pairs(connection: &Connection, sql: &str) -> Vec<(String, String)> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn texts(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.collect()
}

/// Every table but `without`, each row as its cells with `|` between them.
fn dump(connection: &Connection, without: &[&str]) -> rusqlite::Result<Dump> {
    let tables = texts(connection, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let kept = tables.into_iter().filter(|table| !without.contains(&table.as_str()));
    kept.map(|table| {
        let mut rows = rows_of(connection, &table)?;
        rows.sort();
        Ok((table, rows))
    })
    .collect()
}

fn rows_of(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cells = (0..columns).map(|column| row.get(column).map(|cell| shown(&cell)));
        Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
    })?;
    rows.collect()
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// Opens a database as its owner does: somebody who only reads leaves files behind.
fn open(file: &Path) -> Connection {
    try_open(file).unwrap_or_else(|error| panic!("{} cannot be opened: {error}", file.display()))
}

fn try_open(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tempfile::TempDir;

    #[test]
    fn vanishing_container_reading_leaves_nothing_behind() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("container.db");
        let made = Connection::open(&file).unwrap();
        made.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE documents (body);").unwrap();
        made.close().unwrap();
        let before = Identities::of(&file);
        let calls = Cell::new(0);
        let read = read_container(&file, "container.db", || {
            calls.set(calls.get() + 1);
            if calls.get() == 2 {
                std::fs::remove_file(&file).unwrap();
            }
        });
        assert_eq!((read.unwrap().1, calls.get()), (Vec::new(), 2));
        assert!(!before.is_still(&file));
        // SQLite leaves what it has made beside a file that is not there any more.
        assert!(!files_below(directory.path()).is_empty());
        before.remove_leftovers(&file);
        assert_eq!(files_below(directory.path()), Vec::<PathBuf>::new());
    }

    #[test]
    fn container_reading_leaves_files_of_others() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("container.db");
        let log = file.with_extension("db-wal");
        std::fs::write(&file, "").unwrap();
        std::fs::write(&log, "somebody else's").unwrap();
        let before = Identities::of(&file);
        std::fs::remove_file(&file).unwrap();
        before.remove_leftovers(&file);
        assert_eq!(files_below(directory.path()), [log]);
    }
}
