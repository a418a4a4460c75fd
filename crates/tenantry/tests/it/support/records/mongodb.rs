//! See [`super`]: in a database of MongoDB, where a container is a collection.

use crate::support::mongodb::{Database, RECORDS, run};
use crate::support::test_env::TestEnv;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use serde_json::Value;

/// Begins the names of what is no container, beside the records.
const NO_CONTAINERS: [&str; 2] = ["shared_", "system."];
/// "The collection of this UUID is not called so."
const COLLECTION_UUID_MISMATCH: i32 = 361;

/// Name and UUID of the container of that organization, if it is there.
pub fn container(database: &Database, id: &str) -> Option<(String, Bson)> {
    let id = ObjectId::parse_str(id).unwrap();
    let record = database.find("organizations", doc! { "_id": id }).pop()?;
    let namespace = record.get_str("namespace").unwrap().to_owned();
    let is_there = database.collections().contains(&namespace);
    is_there.then(|| (namespace, record.get("container").unwrap().clone()))
}

pub fn containers(database: &Database) -> Vec<String> {
    let mut found = database.collections();
    found.retain(|name| !RECORDS.iter().chain(&NO_CONTAINERS).any(|other| name.starts_with(other)));
    found
}

/// An application that knows nothing of renames but that a write may have to be sent again.
pub struct Writer {
    test_env: TestEnv,
    id: String,
    container: (String, Bson),
}

impl Writer {
    pub fn of(test_env: &TestEnv, id: &str) -> Self {
        let container = container(test_env.database().unwrap(), id).expect("the container is gone");
        Self { test_env: test_env.clone(), id: id.to_owned(), container }
    }

    pub fn put(&mut self, number: u32) {
        let database = self.test_env.database().unwrap();
        loop {
            let (namespace, uuid) = &self.container;
            let document = doc! { "_id": format!("note-{number}"), "number": i64::from(number) };
            let insert =
                doc! { "insert": namespace, "documents": [document], "collectionUUID": uuid.clone() };
            match refusal(database.command(insert)) {
                None => return,
                Some(COLLECTION_UUID_MISMATCH) => {
                    self.container = container(database, &self.id).unwrap_or_else(|| self.container.clone());
                }
                Some(code) => panic!("note {number} was refused with {code}"),
            }
        }
    }
}

/// The code of what a write was refused with, as a whole or for its one document.
fn refusal(answer: Result<Document, i32>) -> Option<i32> {
    match answer {
        Err(code) => Some(code),
        Ok(answer) => {
            let errors = answer.get_array("writeErrors").ok()?;
            errors.first()?.as_document()?.get_i32("code").ok()
        }
    }
}

pub fn contents(database: &Database, id: &str) -> Vec<String> {
    let (namespace, _) = container(database, id).unwrap_or_else(|| panic!("the container of {id} is gone"));
    let found = database.find(&namespace, doc! {});
    found.into_iter().map(|document| line(document, id)).collect()
}

fn line(mut document: Document, organization: &str) -> String {
    match document.remove("_id") {
        Some(Bson::String(id)) => format!("notes/{id}: {}", json(document)),
        Some(Bson::ObjectId(id)) if id.to_hex() == organization => json(document),
        other => panic!("what is {other:?}?"),
    }
}

fn json(document: Document) -> String {
    Bson::Document(document).into_relaxed_extjson().to_string()
}

pub fn make_unique(database: &Database, id: &str) {
    let (namespace, _) = container(database, id).unwrap();
    let index = doc! { "key": { "number": 1 }, "name": "numbers", "unique": true };
    database.command(doc! { "createIndexes": namespace, "indexes": [index] }).unwrap();
}

pub fn refuses_twins(database: &Database, id: &str) -> bool {
    let (namespace, _) = container(database, id).unwrap();
    [doc! { "_id": "twin", "number": 7_i64 }, doc! { "_id": "note-7", "number": 1_000_000_i64 }]
        .into_iter()
        .all(|document| {
            refusal(database.command(doc! { "insert": &namespace, "documents": [document] })).is_some()
        })
}

pub fn collections_with(database: &Database, text: &str) -> Vec<String> {
    let mut names = database.collections();
    names.sort();
    names.retain(|name| !name.starts_with("system."));
    names.retain(|name| database.find(name, doc! {}).into_iter().any(|found| json(found).contains(text)));
    names
}

pub fn edit_account(database: &Database, email: &str, edit: impl FnOnce(&mut Value)) {
    let filter = doc! { "email_key": email };
    let found = database.find("accounts", filter.clone()).pop().unwrap();
    let mut record = Bson::Document(found).into_relaxed_extjson();
    edit(&mut record);
    let Bson::Document(mut edited) = Bson::try_from(record).unwrap() else {
        panic!("a record is a document")
    };
    let collection = database.collection("accounts");
    // An organization's id is one, however the test has spelled it.
    for membership in edited.get_array_mut("memberships").unwrap() {
        let membership = membership.as_document_mut().unwrap();
        if let Ok(id) = membership.get_str("organization_id") {
            let id = ObjectId::parse_str(id).unwrap();
            membership.insert("organization_id", id);
        }
    }
    let changed = run(async move { collection.replace_one(filter, edited).await.unwrap().matched_count });
    assert_eq!(changed, 1);
}

/// Notes in the organization that the account is one of its members.
pub fn note_member(database: &Database, email: &str, organization: &str, is_owner: bool) {
    let account = database.find("accounts", doc! { "email_key": email }).pop().unwrap();
    let mut update = doc! { "$inc": { "members": 1_i64 } };
    if is_owner {
        update.insert("$push", doc! { "owners": account.get_object_id("_id").unwrap() });
    }
    let (organizations, id) =
        (database.collection("organizations"), ObjectId::parse_str(organization).unwrap());
    let changed =
        run(async move { organizations.update_one(doc! { "_id": id }, update).await.unwrap().matched_count });
    assert_eq!(changed, 1);
}

pub fn put_back_sessions(database: &Database, documents: Vec<Document>) {
    let sessions = database.collection("sessions");
    run(async move { sessions.insert_many(documents).await.unwrap() });
}

pub fn set_schema_version(database: &Database, version: i64) {
    let installation = database.collection("installation");
    let update = doc! { "$set": { "version": version } };
    run(async move { installation.update_one(doc! { "_id": "schema" }, update).await.unwrap() });
}

pub fn password_hash(database: &Database, email: &str) -> String {
    let found = database.find("accounts", doc! { "email_key": email }).pop().unwrap();
    found.get_str("password_hash").unwrap().to_owned()
}
