//! The checker: reads a data directory behind the service's back and says what is wrong in it. What it holds the
//! service to are the invariants of ARCHITECTURE.md, as far as they are data: no change is left half done, every
//! container has its owner, keys and addresses are held by those who use them, the log tells the whole story.
//!
//! What a newcomer gets wrong: after a crash it must not look before the service has been started again. Opening
//! a database recovers it, and that is what the service has to do.

use bson::doc;
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags, params};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tenantry_domain::document::DocumentId;

/// Tables that say nothing about organizations and change by themselves.
const RESTLESS: [&str; 2] = ["heartbeat", "throttles"];

/// Everything in one database, as text: each table's rows in their order.
type Dump = BTreeMap<String, Vec<String>>;

/// A data directory as it was at one moment.
#[derive(Clone)]
pub struct Snapshot {
    control: Dump,
    organizations: BTreeMap<String, Value>,
    accounts: BTreeMap<String, Value>,
    sessions: Vec<Value>,
    /// In the order in which they finished.
    operations: Vec<Value>,
    reserved: BTreeMap<String, String>,
    memberships: BTreeSet<(String, String)>,
    containers: BTreeMap<String, Dump>,
    /// Files among the containers that are none.
    strays: Vec<PathBuf>,
    problems: Vec<String>,
}

impl Snapshot {
    /// Reads it. The service may be running; a container it removes meanwhile is not missed.
    pub fn read(data_dir: &Path) -> Self {
        let control = open(&data_dir.join("control.db"));
        let mut problems = unsound(&control, "control.db");
        let (containers, strays) = read_containers(&data_dir.join("containers"), &mut problems);
        // One moment for all tables.
        control.execute_batch("BEGIN").unwrap();
        problems.extend(columns_unlike_records(&control));
        Self {
            organizations: records(&control, "organizations"),
            accounts: records(&control, "accounts"),
            sessions: records(&control, "sessions").into_values().collect(),
            operations: texts(&control, "SELECT record FROM operations ORDER BY rowid")
                .iter()
                .map(|text| serde_json::from_str(text).unwrap())
                .collect(),
            reserved: pairs(&control, "SELECT key, lower(hex(organization_id)) FROM reserved_keys")
                .into_iter()
                .collect(),
            memberships: pairs(
                &control,
                "SELECT lower(hex(account_id)), lower(hex(organization_id)) FROM memberships",
            )
            .into_iter()
            .collect(),
            control: dump(&control, &RESTLESS),
            containers,
            strays,
            problems,
        }
    }

    /// Reads it and expects it to be sound.
    #[track_caller]
    pub fn sound(data_dir: &Path) -> Self {
        let snapshot = Self::read(data_dir);
        let problems = snapshot.problems();
        assert!(problems.is_empty(), "the data directory is not sound:\n  {}", problems.join("\n  "));
        snapshot
    }

    /// Everything that is wrong.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.problems.clone();
        for (id, organization) in &self.organizations {
            let told = |what: String| format!("organization {id}: {what}");
            problems.extend(settled(id, organization).into_iter().map(told));
            problems.extend(self.keys_of(id, organization).into_iter().map(told));
            problems.extend(self.owner_of(id, organization).into_iter().map(told));
            problems.extend(self.container_of(id).into_iter().map(told));
        }
        problems.extend(self.orphans());
        problems.extend(self.misplaced_accounts());
        problems.extend(self.contradictions());
        problems
    }

    /// The organization of that name that is in use or suspended.
    pub fn named(&self, name: &str) -> Option<&Value> {
        self.organizations.values().find(|found| found["name"] == name && found["state"] == "active")
    }

    /// The record of that organization, in whatever state.
    pub fn organization(&self, id: &str) -> Option<&Value> {
        self.organizations.get(id)
    }

    /// How many organizations there are, in whatever state.
    pub fn organizations(&self) -> usize {
        self.organizations.len()
    }

    /// How many accounts there are.
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// How many containers there are.
    pub fn containers(&self) -> usize {
        self.containers.len()
    }

    /// The documents of an organization: `collection/id` and body.
    pub fn documents(&self, id: &str) -> BTreeSet<String> {
        let rows = self.containers.get(id).map(|container| &container["documents"]);
        // Without the number that the engine has given them.
        rows.into_iter().flatten().map(|row| row.split_once('|').unwrap().1.to_owned()).collect()
    }

    /// The finished operations of an organization, as `kind state`, in their order.
    pub fn log_of(&self, id: &str) -> Vec<String> {
        let of_it = self.operations.iter().filter(|record| record["organization_id"] == id);
        of_it.map(entry).collect()
    }

    /// Every finished operation, as `kind state`, in their order.
    pub fn log(&self) -> Vec<String> {
        self.operations.iter().map(entry).collect()
    }

    /// All that belongs to an organization, to see whether somebody has touched it.
    pub fn belongings(&self, id: &str) -> Value {
        let members = self.memberships.iter().filter(|(_, organization)| organization == id);
        json!({
            "record": self.organizations.get(id),
            "keys": self.reserved.iter().filter(|(_, holder)| *holder == id).collect::<BTreeMap<_, _>>(),
            "members": members.map(|(account, _)| self.accounts.get(account)).collect::<Vec<_>>(),
            "sessions": self.sessions.iter().filter(|s| s["organization_id"] == id).collect::<Vec<_>>(),
            "log": self.operations.iter().filter(|o| o["organization_id"] == id).collect::<Vec<_>>(),
            "container": self.containers.get(id),
        })
    }

    /// Expects `later` to hold the same to the byte.
    #[track_caller]
    pub fn assert_unchanged(&self, later: &Self) {
        assert_eq!(self.control, later.control, "the records have changed");
        assert_eq!(self.containers, later.containers, "containers have changed");
        assert_eq!(self.strays, later.strays, "other files have changed");
    }

    /// A name and the visible name of a container are held by the organization that is called so, and by none
    /// that is deleted.
    fn keys_of(&self, id: &str, organization: &Value) -> Vec<String> {
        let held: BTreeSet<&str> =
            self.reserved.iter().filter(|(_, holder)| *holder == id).map(|(key, _)| key.as_str()).collect();
        let (identifier, namespace) = (text(&organization["identifier"]), text(&organization["namespace"]));
        let (keys, visible) = if organization["state"] == "active" {
            let keys = vec![format!("name:{identifier}"), format!("namespace:{namespace}")];
            (keys, format!("tenant_{}", identifier.replace('-', "_")))
        } else {
            (Vec::new(), format!("deleted_{id}"))
        };
        let wanted: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        let recorded: BTreeSet<&str> =
            organization["reserved"].as_array().unwrap().iter().map(text).collect();
        let mut problems = Vec::new();
        if held != wanted || recorded != wanted {
            problems.push(format!("holds {held:?}, has recorded {recorded:?}, should have {wanted:?}"));
        }
        if namespace != visible {
            problems.push(format!("its container is called {namespace}, should be {visible}"));
        }
        problems
    }

    fn owner_of(&self, id: &str, organization: &Value) -> Vec<String> {
        let owns = |account: &Value| {
            let memberships = account["memberships"].as_array().unwrap();
            memberships.iter().any(|one| one["organization_id"] == id && one["role"] == "owner")
        };
        match self.accounts.get(text(&organization["owner_id"])) {
            None => vec!["its owner is gone".to_owned()],
            Some(account) if !owns(account) => vec!["its owner is not its owner any more".to_owned()],
            Some(_) => Vec::new(),
        }
    }

    fn container_of(&self, id: &str) -> Vec<String> {
        let Some(container) = self.containers.get(id) else {
            return vec!["its container is gone".to_owned()];
        };
        let mut problems = Vec::new();
        if !container["metadata"].contains(&format!("organization_id|{id}")) {
            problems.push(format!("its container says {:?}", container["metadata"]));
        }
        let counted = container["documents"].len();
        if container["document_count"] != [format!("1|{counted}")] {
            problems.push(format!("counts {:?} documents, has {counted}", container["document_count"]));
        }
        problems
    }

    /// What belongs to an organization or account that is not there.
    fn orphans(&self) -> Vec<String> {
        let mut problems: Vec<String> =
            self.strays.iter().map(|file| format!("nobody refers to {}", file.display())).collect();
        let gone = |id: &str| !self.organizations.contains_key(id);
        problems.extend(
            self.containers.keys().filter(|id| gone(id)).map(|id| format!("container {id} is an orphan")),
        );
        problems.extend(
            self.reserved.iter().filter(|(_, id)| gone(id)).map(|(key, _)| format!("{key} is an orphan")),
        );
        for session in &self.sessions {
            let account = text(&session["account_id"]);
            if gone(text(&session["organization_id"])) || !self.accounts.contains_key(account) {
                problems.push(format!("session {} is an orphan", session["id"]));
            }
        }
        problems
    }

    /// An account belongs somewhere, and holds its address while one of its organizations is in use.
    fn misplaced_accounts(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut memberships = BTreeSet::new();
        for (id, account) in &self.accounts {
            let organizations: Vec<&str> = account["memberships"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| text(&one["organization_id"]))
                .collect();
            memberships
                .extend(organizations.iter().map(|organization| (id.clone(), (*organization).to_owned())));
            let live =
                |id: &&str| self.organizations.get(*id).is_some_and(|found| found["state"] == "active");
            let key = text(&account["email"]).to_lowercase();
            let wanted = if organizations.iter().any(live) { json!(key) } else { Value::Null };
            if organizations.iter().all(|id| !self.organizations.contains_key(*id)) {
                problems.push(format!("account {id} belongs nowhere"));
            } else if account["email_key"] != wanted {
                problems.push(format!("account {id} holds {}, should hold {wanted}", account["email_key"]));
            }
        }
        if memberships != self.memberships {
            problems.push("the memberships are not those of the accounts".to_owned());
        }
        problems
    }

    /// Told from its log, each organization is what it is: every committed change stands there once.
    fn contradictions(&self) -> Vec<String> {
        let mut told: BTreeMap<&str, Told> = BTreeMap::new();
        let mut problems = Vec::new();
        for record in &self.operations {
            let organization = told.entry(text(&record["organization_id"])).or_default();
            if let Err(problem) = organization.go_on(record) {
                problems.push(format!("operation {}: {problem}", record["id"]));
            }
        }
        for (id, record) in &self.organizations {
            told.entry(id).or_default().compare(Some(record), id, &mut problems);
        }
        for (id, last) in told.iter().filter(|(id, _)| !self.organizations.contains_key(**id)) {
            last.compare(None, id, &mut problems);
        }
        problems
    }
}

fn entry(record: &Value) -> String {
    format!("{} {}", text(&record["kind"]), text(&record["state"]))
}

/// What an organization must be after the part of the log that was read.
#[derive(Default, Clone, Copy, PartialEq, Debug)]
struct Told {
    /// Nothing before its create and after its purge.
    state: Option<&'static str>,
    suspended: bool,
}

impl Told {
    fn go_on(&mut self, record: &Value) -> Result<(), String> {
        let kind = text(&record["kind"]);
        let needed = match kind {
            "create" => None,
            "restore" | "purge" => Some("deleted"),
            _ => Some("active"),
        };
        if self.state != needed {
            return Err(format!("{kind} of one that is {self:?}"));
        }
        if record["finished_at"].is_null() || record["state"] == "running" {
            return Err(format!("{kind} is in the log and not finished"));
        }
        if record["state"] != "succeeded" {
            return Ok(());
        }
        match kind {
            "create" | "restore" => self.state = Some("active"),
            "delete" => self.state = Some("deleted"),
            "purge" => *self = Self::default(),
            "suspend" | "reactivate" if self.suspended == (kind == "suspend") => {
                return Err(format!("{kind} happened twice"));
            }
            "suspend" | "reactivate" => self.suspended = !self.suspended,
            _ => {}
        }
        Ok(())
    }

    fn compare(self, record: Option<&Value>, id: &str, problems: &mut Vec<String>) {
        let state = record.map(|record| text(&record["state"]));
        let suspended = record.is_some_and(|record| record["suspended"] == true);
        if state != self.state || suspended != self.suspended {
            problems.push(format!("organization {id} is {state:?} ({suspended}), its log says {self:?}"));
        }
    }
}

/// Writes documents into an organization's container, as an application does; what a snapshot shows of them.
pub fn put_documents(data_dir: &Path, owner: &str, collection: &str, count: u32) -> BTreeSet<String> {
    let file = tenantry_store::container_file(data_dir, owner.parse().unwrap());
    let mut container = open(&file);
    let transaction = container.transaction().unwrap();
    transaction.execute("INSERT OR IGNORE INTO collections (name) VALUES (?1)", [collection]).unwrap();
    let number: i64 = transaction
        .query_row("SELECT id FROM collections WHERE name = ?1", [collection], |row| row.get(0))
        .unwrap();
    let mut written = BTreeSet::new();
    for document in 0..count {
        let id = format!("document-{document}");
        let body = doc! { "_id": &id, "owner": owner, "number": i64::from(document) };
        let (key, body) = (DocumentId::new(&id.into()).unwrap().key(), body.to_vec().unwrap());
        let row = params![number, key, body];
        transaction
            .execute("INSERT INTO documents (collection, id, revision, body) VALUES (?1, ?2, 1, ?3)", row)
            .unwrap();
        let cells = [Cell::Blob(key), Cell::Integer(1), Cell::Blob(body)].map(|cell| shown(&cell));
        written.insert(format!("{number}|{}", cells.join("|")));
    }
    transaction.commit().unwrap();
    written
}

/// Operations that are still under way. Asks a running service's database and disturbs nothing.
pub fn running_operations(data_dir: &Path) -> u32 {
    let control = open(&data_dir.join("control.db"));
    let count = "SELECT count(*) FROM organizations WHERE operation_id IS NOT NULL";
    control.query_row(count, [], |row| row.get(0)).unwrap()
}

/// A settled organization has no operation, and its moments fit its state.
fn settled(id: &str, organization: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if !organization["operation"].is_null() {
        problems.push(format!("an operation is left over: {}", organization["operation"]));
    }
    let moments = (organization["deleted_at"].is_null(), organization["purge_at"].is_null());
    match (text(&organization["state"]), moments) {
        ("active", (true, true)) | ("deleted", (false, false)) => {}
        (state, _) => problems.push(format!("is {state} with moments that do not fit")),
    }
    if organization["id"] != id {
        problems.push(format!("its record says that it is {}", organization["id"]));
    }
    problems
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
        ("operations", "lower(hex(organization_id)) <> record ->> 'organization_id'"),
    ];
    let find = |(table, condition)| {
        let sql = format!("SELECT lower(hex(id)) FROM {table} WHERE {condition}");
        texts(control, &sql)
            .into_iter()
            .map(move |id| format!("the columns of {table} {id} are not its record's"))
    };
    unlike.into_iter().flat_map(find).collect()
}

/// What SQLite finds wrong with a file.
fn unsound(connection: &Connection, name: &str) -> Vec<String> {
    let mut found = texts(connection, "PRAGMA integrity_check");
    found.retain(|line| line != "ok");
    let broken: i64 =
        connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    if broken > 0 {
        found.push(format!("{broken} rows refer to nothing"));
    }
    found.into_iter().map(|what| format!("{name}: {what}")).collect()
}

fn read_containers(directory: &Path, problems: &mut Vec<String>) -> (BTreeMap<String, Dump>, Vec<PathBuf>) {
    let (mut containers, mut strays) = (BTreeMap::new(), Vec::new());
    for file in files_below(directory) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let (id, kind) = name.split_once('.').unwrap_or((&name, ""));
        let is_home = file.parent().unwrap().ends_with(&id[id.len().saturating_sub(2)..]);
        match kind {
            "db" if is_home => {
                let container = open(&file);
                problems.extend(unsound(&container, &name));
                containers.insert(id.to_owned(), dump(&container, &[]));
            }
            // The log of a container that was open at a crash, and goes when it is opened the next time.
            "db-wal" | "db-shm" if is_home && file.with_file_name(format!("{id}.db")).exists() => {}
            _ => strays.push(file),
        }
    }
    (containers, strays)
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

fn records(control: &Connection, table: &str) -> BTreeMap<String, Value> {
    let rows = pairs(control, &format!("SELECT lower(hex(id)), record FROM {table}"));
    rows.into_iter().map(|(id, record)| (id, serde_json::from_str(&record).unwrap())).collect()
}

fn pairs(connection: &Connection, sql: &str) -> Vec<(String, String)> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Every table but `without`, each row as its cells with `|` between them.
fn dump(connection: &Connection, without: &[&str]) -> Dump {
    let tables = texts(connection, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    let kept = tables.into_iter().filter(|table| !without.contains(&table.as_str()));
    kept.map(|table| {
        let mut rows = rows_of(connection, &table);
        rows.sort();
        (table, rows)
    })
    .collect()
}

fn rows_of(connection: &Connection, table: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let rows = statement
        .query_map([], |row| {
            let cells = (0..columns).map(|column| row.get(column).map(|cell| shown(&cell)));
            Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
        })
        .unwrap();
    rows.map(Result::unwrap).collect()
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
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)
        .unwrap_or_else(|error| panic!("{} cannot be opened: {error}", file.display()));
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
