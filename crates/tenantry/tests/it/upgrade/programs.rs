//! Documents and collections that programs of an organization's own have written, past the service: shapes that the
//! service itself never writes, and on MongoDB indexes that it never makes.

use crate::support::app::App;
use crate::support::fixtures::Organization;
use crate::support::mongodb::{Database, run};
use bson::{Bson, DateTime, Document, RawDocumentBuf, Regex, doc};
use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use rusqlite::{Connection, params};
use serde_json::json;
use std::time::Duration;
use tenantry_documents::document::DocumentId;

/// The document whose regular expression has its options in an order that is not theirs.
pub const UNSORTED: &str = "unsorted-options";

/// Writes them into the organization's collection `documents`, and on MongoDB more collections.
pub async fn write(app: &App, tools: &Organization) {
    match app.test_env().database() {
        None => write_to_file(app, tools.id()),
        Some(database) => write_to_mongodb(database, tools),
    }
}

/// Documents as raw bytes, each with its id.
fn documents() -> Vec<RawDocumentBuf> {
    let pointer =
        json!({ "$dbPointer": { "$ref": "orders", "$id": { "$oid": "65f0a1b2c3d4e5f601234567" } } });
    let decimal = json!({ "$numberDecimal": "-0E+3" });
    let decimal = Bson::try_from(decimal).unwrap();
    let options = Regex { pattern: "a+".try_into().unwrap(), options: "im".try_into().unwrap() };
    let documents = [
        doc! { "_id": "plain", "a": 1, "nested": { "x": [1, 2, [3, { "y": Bson::Null }]] }, "long": i64::MAX },
        doc! { "_id": "numbers", "nan": f64::NAN, "zero": -0.0, "decimal": decimal },
        doc! { "_id": UNSORTED, "r": options },
        doc! { "_id": "names", "a.b": 1, "$x": 2, "": 3 },
        doc! { "_id": "types", "p": Bson::try_from(pointer).unwrap(), "s": Bson::Symbol("s".into()), "u": Bson::Undefined },
        doc! { "_id": "far", "date": DateTime::from_millis(253_402_300_800_000), "past": DateTime::from_millis(-1) },
        doc! { "_id": "twice", "a": 1, "b": 2 },
        doc! { "_id": { "b": 1, "a": [1] }, "a": "under a document" },
    ];
    documents.iter().map(raw).map(unlike_ours).collect()
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

/// Puts what a library for BSON would not write: options that are not sorted, one name twice.
fn unlike_ours(document: RawDocumentBuf) -> RawDocumentBuf {
    let mut bytes = document.into_bytes();
    for (found, put) in [
        (&b"a+\0im\0"[..], &b"a+\0mi\0"[..]),
        (b"\x01\0\0\0\x10b\0\x02\0\0\0\0", b"\x01\0\0\0\x10a\0\x02\0\0\0\0"),
    ] {
        if let Some(at) = bytes.windows(found.len()).position(|window| window == found) {
            bytes[at..at + put.len()].copy_from_slice(put);
        }
    }
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

fn write_to_file(app: &App, id: &str) {
    let container =
        Connection::open(tenantry_store::container_file(&app.data_dir(), id.parse().unwrap())).unwrap();
    container.busy_timeout(Duration::from_secs(10)).unwrap();
    let collection: i64 = container
        .query_row("SELECT id FROM collections WHERE name = 'documents'", [], |row| row.get(0))
        .unwrap();
    for document in documents() {
        let key = DocumentId::new(&document.to_document_with_last_of_a_name()["_id"]).unwrap().key();
        container
            .execute(
                "INSERT INTO documents (collection, id, revision, body) VALUES (?1, ?2, 1, ?3)",
                params![collection, key, document.as_bytes()],
            )
            .unwrap();
    }
}

/// A tree of values keeps only one of two members with the same name.
trait ToTree {
    fn to_document_with_last_of_a_name(&self) -> Document;
}

impl ToTree for RawDocumentBuf {
    fn to_document_with_last_of_a_name(&self) -> Document {
        Document::from_reader(self.as_bytes()).unwrap()
    }
}

fn write_to_mongodb(database: &Database, tools: &Organization) {
    let text = |field: &str| tools.body[field].as_str().unwrap().to_owned();
    let (own, name) = (text("tenant_database"), text("tenant_collection"));
    let id = ObjectId::parse_str(tools.id()).unwrap();
    let collection = database.beside(&own, &name).clone_with_type::<RawDocumentBuf>();
    let placement = text("placement");
    let mut written = documents();
    // Here an `_id` may be null, and the field of the service's revision may hold something else.
    written.extend(
        [doc! { "_id": null, "a": 1 }, doc! { "_id": "tagged", "_tenantry": { "rev": "text" } }]
            .iter()
            .map(raw),
    );
    if placement == "shared" {
        written = written.iter().map(|document| shared(id, document)).collect();
        // Not as the service has its documents there, but said to be the organization's.
        written.push(raw(&doc! { "_id": ObjectId::new(), "org_id": id, "number": 1 }));
    }
    run(async move { collection.insert_many(written).await.unwrap() });
    match &*placement {
        "collection" => write_collections(database.handle(), &format!("{name}.")),
        "database" => write_collections(database.handle().client().database(&own), ""),
        _ => {}
    }
}

/// A document as a program puts it among those of others, without a revision.
fn shared(id: ObjectId, document: &RawDocumentBuf) -> RawDocumentBuf {
    let key = bson::RawBson::from(document.get("_id").unwrap().unwrap());
    let mut whole = RawDocumentBuf::new();
    let mut name = RawDocumentBuf::new();
    name.append(bson::cstr!("org_id"), id);
    name.append(bson::cstr!("collection"), "documents");
    name.append(bson::cstr!("id"), key);
    whole.append(bson::cstr!("_id"), name);
    whole.append(bson::cstr!("org_id"), id);
    whole.append(bson::cstr!("collection"), "documents");
    whole.append(bson::cstr!("document"), document.clone());
    whole
}

/// More collections: one with indexes of every kind, one with rules of its own, one whose name the service does not
/// take.
fn write_collections(database: mongodb::Database, prefix: &str) {
    let name = |name: &str| format!("{prefix}{name}");
    let (reports, strict, files) = (name("reports"), name("strict"), name("fs.files"));
    let indexes = [
        doc! { "name": "text", "key": { "title": "text" } },
        doc! { "name": "sphere", "key": { "where": "2dsphere" } },
        doc! { "name": "hashed", "key": { "number": "hashed" } },
        doc! { "name": "partial", "key": { "number": 1 }, "partialFilterExpression": { "number": { "$gt": 5 } } },
        doc! { "name": "sparse", "key": { "maybe": 1 }, "sparse": true },
        doc! { "name": "hidden", "key": { "number": -1 }, "hidden": true },
        doc! { "name": "expiring", "key": { "ends_at": 1 }, "expireAfterSeconds": 3600 },
        doc! { "name": "wildcard", "key": { "any.$**": 1 } },
        doc! { "name": "swedish", "key": { "title": 1 }, "collation": { "locale": "sv" } },
        doc! { "name": "unique", "key": { "serial": 1 }, "unique": true },
        doc! { "name": "compound", "key": { "a": 1, "b": -1 } },
        doc! { "name": "position", "key": { "list.0": 1 } },
    ];
    let documents = (0..20).map(|number| {
        doc! {
            "_id": number, "number": number, "serial": format!("s-{number}"), "title": format!("Report {number}"),
            "where": { "type": "Point", "coordinates": [number, 1] }, "any": { "thing": number }, "list": [number],
            "a": number % 3, "b": number,
        }
    });
    let documents: Vec<Document> = documents.collect();
    run(async move {
        let create = doc! {
            "create": &strict, "validator": { "a": { "$type": "int" } }, "collation": { "locale": "en", "strength": 2 },
        };
        database.run_command(create).await.unwrap();
        let insert = async |name: &str, documents: Vec<Document>| {
            let collection: Collection<Document> = database.collection(name);
            collection.insert_many(documents).await.unwrap();
        };
        insert(&reports, documents).await;
        database.run_command(doc! { "createIndexes": &reports, "indexes": indexes.to_vec() }).await.unwrap();
        insert(&strict, vec![doc! { "_id": 1, "a": 1, "name": "Ä" }]).await;
        insert(&files, vec![doc! { "_id": ObjectId::new(), "length": 1_i64, "chunkSize": 261_120 }]).await;
    });
}
