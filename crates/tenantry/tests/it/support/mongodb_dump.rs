//! Databases of MongoDB as files, as `mongodump` writes them: `<database>/<collection>.bson` has the documents, one after
//! the other, and `<database>/<collection>.metadata.json` the options, the indexes and the UUID.
//!
//! Collections come back with the UUIDs that they had, because records of the service refer to them. MongoDB gives a
//! collection a UUID of somebody's choice only by `applyOps`, as `mongorestore --preserveUUID` does; a server without
//! access control takes it.

use super::mongodb::{Database, run};
use bson::{RawDocument, RawDocumentBuf};
use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeMap;

/// Databases that belong to the server itself.
const OF_THE_SERVER: [&str; 3] = ["admin", "config", "local"];
const DOCUMENTS: &str = ".bson";
const METADATA: &str = ".metadata.json";

/// All databases of the server of `database`, as files.
pub fn dump(database: &Database) -> BTreeMap<String, Vec<u8>> {
    let client = database.handle().client().clone();
    run(async move {
        let mut files = BTreeMap::new();
        for database in client.list_database_names().await.unwrap() {
            if OF_THE_SERVER.contains(&&*database) {
                continue;
            }
            let handle = client.database(&database);
            for collection in handle.list_collection_names().await.unwrap() {
                let (documents, metadata) = dump_collection(&handle, &collection).await;
                files.insert(format!("{database}/{collection}{DOCUMENTS}"), documents);
                files.insert(format!("{database}/{collection}{METADATA}"), metadata);
            }
        }
        files
    })
}

async fn dump_collection(database: &mongodb::Database, name: &str) -> (Vec<u8>, Vec<u8>) {
    let filter = doc! { "listCollections": 1, "filter": { "name": name } };
    let listed = all_of(database, filter).await.remove(0);
    let indexes = all_of(database, doc! { "listIndexes": name }).await;
    let metadata = doc! {
        "options": listed.get_document("options").unwrap().clone(),
        "indexes": indexes,
        "uuid": listed.get_document("info").unwrap().get("uuid").unwrap().clone(),
        "collectionName": name,
        "type": "collection",
    };
    let mut documents = Vec::new();
    let raw: Collection<RawDocumentBuf> = database.collection(name);
    let mut cursor = raw.find(doc! {}).sort(doc! { "$natural": 1 }).await.unwrap();
    while cursor.advance().await.unwrap() {
        documents.extend_from_slice(cursor.current().as_bytes());
    }
    // The keys of an index have an order: a `serde_json::Value` on the way would lose it.
    (documents, serde_json::to_vec_pretty(&metadata).unwrap())
}

/// Everything that a command lists.
async fn all_of(database: &mongodb::Database, command: Document) -> Vec<Document> {
    let mut cursor = database.run_cursor_command(command).await.unwrap();
    let mut found = Vec::new();
    while cursor.advance().await.unwrap() {
        found.push(cursor.deserialize_current().unwrap());
    }
    found
}

/// Puts what [`dump`] has given into the server of `database`, which must have nothing of it.
pub fn restore(database: &Database, files: &BTreeMap<String, Vec<u8>>) {
    let client = database.handle().client().clone();
    let files = files.clone();
    run(async move {
        for (name, metadata) in
            files.iter().filter_map(|(name, bytes)| Some((name.strip_suffix(METADATA)?, bytes)))
        {
            let (database, collection) = name.split_once('/').unwrap();
            let documents = &files[&format!("{name}{DOCUMENTS}")];
            restore_collection(&client.database(database), collection, metadata, documents).await;
        }
    });
}

async fn restore_collection(database: &mongodb::Database, name: &str, metadata: &[u8], documents: &[u8]) {
    let metadata: Document = serde_json::from_slice(metadata).unwrap();
    let mut indexes = metadata.get_array("indexes").unwrap().clone();
    let is_of_ids = |index: &Bson| index.as_document().unwrap().get_str("name").unwrap() == "_id_";
    let of_ids = indexes.extract_if(.., |index| is_of_ids(index)).next().unwrap();
    // Without it, that index would be one as MongoDB made it before 3.4.
    let mut create = doc! { "create": name, "idIndex": of_ids };
    create.extend(metadata.get_document("options").unwrap().clone());
    let create = doc! {
        "op": "c", "ns": format!("{}.$cmd", database.name()), "ui": metadata.get("uuid").unwrap().clone(), "o": create,
    };
    database.client().database("admin").run_command(doc! { "applyOps": [create] }).await.unwrap();

    let collection: Collection<RawDocumentBuf> = database.collection(name);
    let documents = split(documents);
    for some in documents.chunks(500) {
        collection.insert_many(some).await.unwrap();
    }
    if !indexes.is_empty() {
        database.run_command(doc! { "createIndexes": name, "indexes": indexes }).await.unwrap();
    }
}

/// The documents that `bytes` contains one after the other.
pub fn split(mut bytes: &[u8]) -> Vec<RawDocumentBuf> {
    let mut documents = Vec::new();
    while !bytes.is_empty() {
        let length = usize::try_from(i32::from_le_bytes(bytes[..4].try_into().unwrap())).unwrap();
        documents.push(RawDocument::from_bytes(&bytes[..length]).unwrap().to_owned());
        bytes = &bytes[length..];
    }
    documents
}
