//! See [`super`]: a database of MongoDB, with the databases of organizations beside it.

use super::steady::{Fault, Stamps, read as read_steadily};
use super::trail::Event;
use super::{Container, Dump, Snapshot, carried_trails, text};
use crate::support::mongodb::{Database, RECORDS, run};
use jiff::Timestamp;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Error;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Records that a dump leaves out: they belong to no organization, or follow from the rest and are counted
/// again in the background.
const RESTLESS: [&str; 4] = ["throttles", "usage", "audit_outbox", "audit_entries"];
/// The events in a document, which move to their chain by themselves.
const EVENTS: &str = "events";
/// Says that a document is there for its events alone.
const GONE: &str = "gone";
const HEARTBEAT: &str = "heartbeat";
/// The first documents and the documents of all organizations that share.
const SHARES: [&str; 2] = ["shared_containers", "shared_documents"];
/// Where documents are, and where the first one is, in a database of one organization.
const DOCUMENTS: &str = "documents";
const FIRST: &str = "_metadata";

/// Containers by their organization, and what belongs to nobody.
type Containers = (BTreeMap<String, Container>, Vec<String>);

pub(super) fn read(database: &Database, meanwhile: &dyn Fn(&str)) -> Snapshot {
    read_steadily(|| stamps(database), || read_once(database, meanwhile))
}

fn stamps(database: &Database) -> Stamps {
    let stamp = |organization: &Document| {
        let id = organization.get_object_id("_id").unwrap().to_hex();
        let version = organization.get("version").and_then(Bson::as_i64).unwrap();
        (id, (version, organization.contains_key("operation")))
    };
    Stamps {
        organizations: database.find("organizations", doc! {}).iter().map(stamp).collect(),
        operations: database.find("operations", doc! {}).len() as u64,
    }
}

fn read_once(database: &Database, meanwhile: &dyn Fn(&str)) -> Result<Snapshot, Fault> {
    let stored = database.in_order("organizations");
    let organizations: Vec<Value> = stored.iter().cloned().map(record).collect();
    let accounts: Vec<Value> = records(database, "accounts");
    let (reserved, mut problems) = reserved(&organizations);
    problems.extend(stored.iter().zip(&organizations).filter_map(|(stored, is)| unlike_record(stored, is)));
    let memberships = accounts.iter().flat_map(|account| {
        let of = account["memberships"].as_array().unwrap();
        of.iter().map(|one| (text(&account["id"]).to_owned(), text(&one["organization_id"]).to_owned()))
    });
    // By their ids, as the service lists them: a member of a set that becomes the primary has the documents in the order in
    // which its threads have applied them.
    let operations = database.find("operations", doc! {}).into_iter().map(record).collect::<Vec<Value>>();
    let (containers, strays) = read_containers(database, &stored, &operations, meanwhile)?;
    Ok(Snapshot {
        control: control(database),
        reserved,
        memberships: memberships.collect(),
        sessions: records(database, "sessions"),
        api_keys: records(database, "api_keys"),
        invitations: records(database, "invitations"),
        // After the operations: a later one may have its event already.
        events: events(database, &organizations),
        chains: chains(database),
        operations,
        organizations: by_id(organizations),
        accounts: by_id(accounts),
        containers,
        strays,
        problems,
    })
}

pub(super) fn put_documents(database: &Database, id: &str, count: u32) -> BTreeSet<String> {
    let object = ObjectId::parse_str(id).unwrap();
    let record = database.find("organizations", doc! { "_id": object }).pop().unwrap();
    let namespace = record.get_str("namespace").unwrap();
    // By turns, where there may be several.
    let (collections, is_shared) = match record.get_str("placement").unwrap() {
        "collection" => {
            let further = database.collection(&format!("{namespace}.further"));
            (vec![database.collection(namespace), further], false)
        }
        "database" => (vec![database.beside(&format!("tenant_{id}"), DOCUMENTS)], false),
        _ => (vec![database.collection(SHARES[1])], true),
    };
    let document = |number| {
        let key = format!("document-{number}");
        let document = doc! { "_id": &key, "owner": id, "number": i64::from(number) };
        if !is_shared {
            return document;
        }
        // As the service has them there: another shape would be in no archive.
        let name = doc! { "org_id": object, "collection": DOCUMENTS, "id": key };
        doc! { "_id": name, "org_id": object, "collection": DOCUMENTS, "document": document }
    };
    let documents: Vec<Document> = (0..count).map(document).collect();
    let written = documents.iter().cloned().map(line).collect();
    run(async move {
        for (document, collection) in documents.into_iter().zip(collections.iter().cycle()) {
            collection.insert_one(document).await.unwrap();
        }
    });
    written
}

pub(super) fn running_operations(database: &Database) -> usize {
    database.find("organizations", doc! { "operation": { "$exists": true } }).len()
}

/// Every record but the restless ones.
fn control(database: &Database) -> Dump {
    let names = RECORDS.iter().filter(|name| !RESTLESS.contains(*name));
    let lines = |name: &str| {
        let documents = database.find(name, doc! { "_id": { "$ne": HEARTBEAT } });
        documents.into_iter().filter(is_record).map(without_events).map(line).collect()
    };
    names.map(|name| ((*name).to_owned(), lines(name))).collect()
}

/// The keys that organizations hold; that two hold one would be against an index.
fn reserved(organizations: &[Value]) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut held, mut problems) = (BTreeMap::new(), Vec::new());
    for organization in organizations {
        for key in organization["reserved"].as_array().unwrap() {
            let id = text(&organization["id"]).to_owned();
            if let Some(other) = held.insert(text(key).to_owned(), id.clone()) {
                problems.push(format!("{id} and {other} both hold {key}"));
            }
        }
    }
    (held, problems)
}

/// What a document has beside its record, to be found by, must be what the record says.
fn unlike_record(stored: &Document, record: &Value) -> Option<String> {
    let state = text(&record["state"]);
    let status = if state == "active" && record["suspended"] == true { "suspended" } else { state };
    let is_hidden = ["deleted", "purging"].contains(&state);
    let is_busy = !record["operation"].is_null();
    let may_be_purged = state == "deleted" && record["legal_hold"] == false && !is_busy;
    let is_as_it_says = stored.get_str("status").is_ok_and(|it| it == status)
        && stored.get_bool("hidden").is_ok_and(|it| it == is_hidden)
        && stored.contains_key("lease_until") == is_busy
        && stored.contains_key("purge_due") == may_be_purged;
    (!is_as_it_says).then(|| format!("the document of {} is not as its record says: {stored}", record["id"]))
}

/// Containers by the organization that they belong to, in each placement; and what belongs to none.
fn read_containers(
    database: &Database,
    organizations: &[Document],
    operations: &[Value],
    meanwhile: &dyn Fn(&str),
) -> Result<Containers, Fault> {
    let mut collections = database.identities();
    collections.retain(|name, _| {
        !RECORDS.contains(&&**name) && !SHARES.contains(&&**name) && !name.starts_with("system.")
    });
    let ids = organizations.iter().map(|record| record.get_object_id("_id").unwrap().to_hex());
    ids.clone().for_each(|id| meanwhile(&id));
    let mut containers = read_shares(database);
    for organization in organizations.iter().filter(|record| record.contains_key("container")) {
        let id = organization.get_object_id("_id").unwrap().to_hex();
        let uuid = organization.get("container").unwrap();
        let found = collections.iter().find(|(_, identity)| *identity == uuid);
        let Some(name) = found.map(|(name, _)| name.clone()) else { continue };
        collections.remove(&name);
        let mut documents = database.try_find(&name, doc! {}).map_err(|error| fault(&id, &error))?;
        for (further, _) in collections.extract_if(.., |other, _| other.starts_with(&format!("{name}."))) {
            documents.extend(database.try_find(&further, doc! {}).map_err(|error| fault(&id, &error))?);
        }
        let mut container = of_documents(&id, documents);
        if organization.get_str("namespace").unwrap() != name {
            container.problems.push(format!("its container is called {name}"));
        }
        containers.insert(id, container);
    }
    let gone = operations.iter().map(|record| text(&record["organization_id"]).to_owned());
    for id in ids.chain(gone).collect::<BTreeSet<String>>() {
        let found = database.other_database(&format!("tenant_{id}")).map_err(|error| fault(&id, &error))?;
        if !found.is_empty() {
            let documents = [FIRST, DOCUMENTS].into_iter().flat_map(|name| found.get(name).cloned());
            let container = of_documents(&id, documents.flatten().collect());
            containers.insert(id, container);
        }
    }
    containers.keys().for_each(|id| meanwhile(id));
    Ok((containers, collections.into_keys().map(|name| format!("the collection {name}")).collect()))
}

/// Where a collection is removed, the server ends its readers with one error or another: only the record tells.
fn fault(id: &str, error: &Error) -> Fault {
    Fault { organization: id.to_owned(), is_gone: false, cause: error.to_string() }
}

/// Those that are shares: a first document each, and documents that say whose they are.
fn read_shares(database: &Database) -> BTreeMap<String, Container> {
    let mut shares: BTreeMap<String, Vec<Document>> = BTreeMap::new();
    for first in database.find(SHARES[0], doc! {}) {
        shares.entry(first.get_object_id("_id").unwrap().to_hex()).or_default().push(first);
    }
    for document in database.find(SHARES[1], doc! {}) {
        shares.entry(document.get_object_id("org_id").unwrap().to_hex()).or_default().push(document);
    }
    shares.into_iter().map(|(id, documents)| (id.clone(), of_documents(&id, documents))).collect()
}

/// A container of these documents: the first one says whose it is, and there is only one such.
fn of_documents(id: &str, documents: Vec<Document>) -> Container {
    let object = ObjectId::parse_str(id).unwrap();
    let (first, documents): (Vec<Document>, Vec<Document>) =
        documents.into_iter().partition(|document| document.get("_id") == Some(&Bson::ObjectId(object)));
    let is_first = |document: &Document| {
        let metadata = document.get_document("metadata");
        metadata.is_ok_and(|it| it.get_datetime("created_at").is_ok() && it.get_str("schema_version").is_ok())
    };
    let mut problems = Vec::new();
    if first.len() != 1 || !first.iter().all(is_first) {
        problems.push(format!("its container begins with {first:?}"));
    }
    let lines = |documents: Vec<Document>| documents.into_iter().map(line).collect::<Vec<String>>();
    let (first, documents) = (lines(first), lines(documents));
    Container {
        documents: documents.iter().cloned().collect(),
        rows: Dump::from([("first".to_owned(), first), ("documents".to_owned(), documents)]),
        problems,
    }
}

fn records(database: &Database, collection: &str) -> Vec<Value> {
    database.in_order(collection).into_iter().filter(is_record).map(record).collect()
}

fn is_record(document: &Document) -> bool {
    !document.contains_key(GONE)
}

fn without_events(mut document: Document) -> Document {
    document.remove(EVENTS);
    document
}

/// Every event, wherever it is; without those that imports have brought along.
fn events(database: &Database, organizations: &[Value]) -> BTreeMap<String, Event> {
    let mut events = BTreeMap::new();
    for collection in RECORDS {
        for document in database.find(collection, doc! { EVENTS: { "$exists": true } }) {
            for carried in document.get_array(EVENTS).unwrap() {
                let carried = carried.as_document().unwrap();
                let event: Value = serde_json::from_str(carried.get_str("text").unwrap()).unwrap();
                events.insert(text(&event["id"]).to_owned(), Event::unchained(event));
            }
        }
    }
    let carried: Vec<&str> = organizations.iter().flat_map(carried_trails).collect();
    for entry in database.find("audit_entries", doc! { "chain": { "$nin": carried } }) {
        let id = entry.get_object_id("id").unwrap().to_hex();
        let at = entry.get_datetime("at").unwrap().timestamp_millis();
        let event = Event {
            chain: entry.get_str("chain").unwrap().to_owned(),
            action: entry.get_str("action").unwrap().to_owned(),
            at: Timestamp::from_millisecond(at).unwrap(),
            text: entry.get_str("event").ok().map(|text| serde_json::from_str(text).unwrap()),
        };
        events.insert(id, event);
    }
    events
}

/// The chains of the audit trail.
fn chains(database: &Database) -> BTreeSet<String> {
    let entries = database.find("audit_entries", doc! {});
    entries.iter().map(|entry| entry.get_str("chain").unwrap().to_owned()).collect()
}

fn by_id(records: Vec<Value>) -> BTreeMap<String, Value> {
    records.into_iter().map(|record| (text(&record["id"]).to_owned(), record)).collect()
}

/// The record of a document, spelled as every engine spells it.
fn record(document: Document) -> Value {
    let mut record = plain(Bson::Document(without_events(document)));
    let id = record.as_object_mut().unwrap().remove("_id").unwrap();
    record["id"] = id;
    record
}

fn plain(value: Bson) -> Value {
    match value {
        Bson::Document(fields) => fields.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        Bson::Array(items) => items.into_iter().map(plain).collect(),
        Bson::ObjectId(id) => Value::String(id.to_hex()),
        Bson::DateTime(at) => Value::String(at.try_to_rfc3339_string().unwrap()),
        other => other.into_relaxed_extjson(),
    }
}

/// A document as text, with the type of each value.
fn line(document: Document) -> String {
    Bson::Document(document).into_canonical_extjson().to_string()
}
