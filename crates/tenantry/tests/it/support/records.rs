//! What the engine keeps, looked at and changed behind the service's back: documents in containers, records in
//! the control database. A file for each engine; here is what they have in common.

mod embedded;
mod mongodb;

use super::app::App;
use super::test_env::TestEnv;
use serde_json::Value;

/// Whether the organization of that id has a container.
pub fn has_container(app: &App, id: &str) -> bool {
    match app.test_env().database() {
        None => embedded::has_container(app, id),
        Some(database) => mongodb::container(database, id).is_some(),
    }
}

/// Every container, of every organization.
pub fn containers(app: &App) -> Vec<String> {
    match app.test_env().database() {
        None => embedded::containers(app),
        Some(database) => mongodb::containers(database),
    }
}

/// Writes `count` documents into the collection `notes` of an organization.
pub fn put_documents(app: &App, id: &str, count: u32) {
    let mut writer = Writer::of(app, id);
    for number in 0..count {
        writer.put(number);
    }
}

/// An application that writes documents into an organization's container while that may move.
pub enum Writer {
    /// With the file open.
    Embedded(embedded::Writer),
    /// With its name and UUID.
    MongoDb(mongodb::Writer),
}

impl Writer {
    /// Makes the collection `notes` and is ready to write.
    pub fn of(app: &App, id: &str) -> Self {
        match app.test_env().database() {
            None => Self::Embedded(embedded::Writer::of(app, id)),
            Some(_) => Self::MongoDb(mongodb::Writer::of(app.test_env(), id)),
        }
    }

    /// Writes one document, whose id and body say its number.
    pub fn put(&mut self, number: u32) {
        match self {
            Self::Embedded(writer) => writer.put(number),
            Self::MongoDb(writer) => writer.put(number),
        }
    }
}

/// Everything in the container of an organization: metadata, then `notes/id: body` in their order.
pub fn contents(app: &App, id: &str) -> Vec<String> {
    match app.test_env().database() {
        None => embedded::contents(app, id),
        Some(database) => mongodb::contents(database, id),
    }
}

/// The documents of an organization alone.
pub fn documents(app: &App, id: &str) -> Vec<String> {
    contents(app, id).into_iter().filter(|line| line.starts_with("notes/")).collect()
}

/// Makes a rule in the organization's container: no two documents may have one number.
pub fn make_unique(app: &App, id: &str) {
    match app.test_env().database() {
        None => embedded::make_unique(app, id),
        Some(database) => mongodb::make_unique(database, id),
    }
}

/// Whether a document is refused that has a number or an id that others have.
pub fn refuses_twins(app: &App, id: &str) -> bool {
    match app.test_env().database() {
        None => embedded::refuses_twins(app, id),
        Some(database) => mongodb::refuses_twins(database, id),
    }
}

/// The tables or collections of records that contain `text`.
pub fn tables_with(app: &App, text: &str) -> Vec<String> {
    match app.test_env().database() {
        None => embedded::tables_with(app, text),
        Some(database) => mongodb::collections_with(database, text),
    }
}

/// As [`tables_with`], but for the audit trail, in which a purge leaves what was done and when.
pub fn tables_but_trail_with(app: &App, text: &str) -> Vec<String> {
    let mut tables = tables_with(app, text);
    tables.retain(|table| !table.starts_with("audit_"));
    tables
}

/// Changes the record of the account with that address. Only while the service is stopped: it keeps records
/// in memory.
pub fn edit_account(test_env: &TestEnv, email: &str, edit: impl FnOnce(&mut Value)) {
    match test_env.database() {
        None => embedded::edit_account(&test_env.data_dir(), email, edit),
        Some(database) => mongodb::edit_account(database, email, edit),
    }
}

/// Makes a member of an organization of the account with that address, which signs in there first from then on.
/// Only while the service is stopped.
pub fn add_member(test_env: &TestEnv, email: &str, organization: &str, role: &str) {
    let join = |account: &mut Value| {
        let memberships = account["memberships"].as_array_mut().unwrap();
        let mut membership = memberships[0].clone();
        membership["organization_id"] = organization.into();
        membership["role"] = role.into();
        memberships.insert(0, membership);
    };
    edit_account(test_env, email, join);
    match test_env.database() {
        None => embedded::note_member(&test_env.data_dir(), email, organization, role == "owner"),
        Some(database) => mongodb::note_member(database, email, organization, role == "owner"),
    }
}

/// The stored password hash of the account with that address.
pub fn password_hash(app: &App, email: &str) -> String {
    match app.test_env().database() {
        None => embedded::password_hash(app, email),
        Some(database) => mongodb::password_hash(database, email),
    }
}

/// Gives accounts addresses as an earlier version kept them, whose key was the address in lower case, and says that
/// the schema is of that version. Only while the service is stopped.
pub fn readdress_as_before(test_env: &TestEnv, accounts: &[(&str, &str)]) {
    for (email, readdressed) in accounts {
        let change = |account: &mut Value| {
            account["email"] = (*readdressed).into();
            account["email_key"] = readdressed.to_lowercase().into();
        };
        edit_account(test_env, email, change);
    }
    match test_env.database() {
        None => embedded::take_back_schema(&test_env.data_dir()),
        Some(database) => mongodb::set_schema_version(database, 2),
    }
}

/// The records of sessions, as the engine keeps them.
pub enum Sessions {
    Embedded(Vec<embedded::SessionRow>),
    MongoDb(Vec<::mongodb::bson::Document>),
}

/// The sessions there are. Only while the service is stopped.
pub fn keep_sessions(test_env: &TestEnv) -> Sessions {
    match test_env.database() {
        None => Sessions::Embedded(embedded::sessions(&test_env.data_dir())),
        Some(database) => Sessions::MongoDb(database.find("sessions", ::mongodb::bson::doc! {})),
    }
}

/// Puts sessions back that are gone. Only while the service is stopped.
pub fn put_back_sessions(test_env: &TestEnv, sessions: Sessions) {
    match (test_env.database(), sessions) {
        (None, Sessions::Embedded(rows)) => embedded::put_back_sessions(&test_env.data_dir(), &rows),
        (Some(database), Sessions::MongoDb(documents)) => mongodb::put_back_sessions(database, documents),
        _ => panic!("these are sessions of another engine"),
    }
}
