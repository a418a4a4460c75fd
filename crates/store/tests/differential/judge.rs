//! A real MongoDB with the documents in it, and what both sides answer.

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{FindOptions, Hint};
use mongodb::{Client, Collection, Database};
use std::hash::{BuildHasher, RandomState};
use tenantry_documents::document::{write_canonical_json, write_json};

/// A database of its own on the server.
pub struct Judge {
    database: Database,
}

impl Judge {
    /// An empty one.
    pub async fn new() -> Self {
        let client = Client::with_uri_str(tenantry_test_mongod::shared_uri()).await.unwrap();
        Self { database: client.database(&format!("differential_{:016x}", RandomState::new().hash_one(0))) }
    }

    /// Makes the server run all pipelines in one of its two engines: by default it begins some in another, which has
    /// other types for sums that overflow, and fails on some expressions.
    pub async fn use_classic_engine(&self) {
        let setting = doc! { "setParameter": 1, "internalQueryForceClassicEngine": true };
        self.database.client().database("admin").run_command(setting).await.unwrap();
    }

    /// The collection `name` with `documents` and nothing else.
    pub async fn fill(&self, name: &str, documents: &[Document]) -> Collection<Document> {
        let collection = self.database.collection(name);
        collection.drop().await.unwrap();
        collection.insert_many(documents).await.unwrap();
        collection
    }

    /// Removes the database, and those whose names begin so.
    pub async fn end_with(self, prefix: &str) {
        let client = self.database.client().clone();
        let names = doc! { "name": { "$regex": format!("^{prefix}") } };
        for name in client.list_database_names().filter(names).await.unwrap() {
            client.database(&name).drop().await.unwrap();
        }
        self.end().await;
    }

    /// Removes the database.
    pub async fn end(self) {
        self.database.drop().await.unwrap();
    }
}

/// What the server finds, or why it refuses. Read raw: the driver's own way of reading documents takes some
/// 20 KB of stack for each level.
pub async fn find(
    collection: &Collection<Document>,
    filter: Document,
    options: FindOptions,
) -> Result<Vec<Document>, String> {
    let collection = collection.clone_with_type::<RawDocumentBuf>();
    let mut cursor =
        collection.find(filter).with_options(options).await.map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    while cursor.advance().await.map_err(|error| error.to_string())? {
        found.push(Document::try_from(cursor.current()).unwrap());
    }
    Ok(found)
}

/// The ids of what the server finds, in its order, without its indexes: with some it hides an array inside an array.
pub async fn ids(
    collection: &Collection<Document>,
    filter: Document,
    sort: Document,
) -> Result<Vec<i32>, String> {
    let options = FindOptions::builder().sort(sort).projection(doc! { "_id": 1 }).hint(full_scan()).build();
    Ok(find(collection, filter, options).await?.iter().map(id).collect())
}

/// Makes the server read every document.
pub fn full_scan() -> Hint {
    Hint::Keys(doc! { "$natural": 1 })
}

/// The id of a document.
pub fn id(document: &Document) -> i32 {
    document.get_i32("_id").unwrap()
}

/// The documents as the embedded engine keeps them.
pub fn raw(documents: &[Document]) -> Vec<RawDocumentBuf> {
    documents.iter().map(|document| RawDocumentBuf::try_from(document).unwrap()).collect()
}

/// Extended JSON.
pub fn json(document: &Document) -> String {
    let mut json = Vec::new();
    write_json(&RawDocumentBuf::try_from(document).unwrap(), &mut json);
    String::from_utf8(json).unwrap()
}

/// Canonical Extended JSON, which tells the types of numbers apart.
pub fn canonical_json(document: &Document) -> String {
    let mut json = Vec::new();
    write_canonical_json(&RawDocumentBuf::try_from(document).unwrap(), &mut json);
    String::from_utf8(json).unwrap()
}

/// The documents as the shared placement keeps them.
pub fn nested(documents: &[Document]) -> Vec<Document> {
    documents.iter().map(|document| doc! { "_id": id(document), "doc": Bson::from(document) }).collect()
}
