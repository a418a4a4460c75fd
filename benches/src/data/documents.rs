//! Documents of the usual size, numbered from zero: as they are sent, and straight into a container.

use super::STRIDE;
use super::organizations::make_collection;
use crate::runtime::block_on;
use anyhow::{Context, Result};
use bson::{Bson, Document, doc};
use mongodb::Client;
use rusqlite::Connection;
use std::path::Path;
use tenantry_documents::document::DocumentId;
use tenantry_domain::ids::OrganizationId;
use tenantry_store::container_file;

/// Documents of one kind, by which they are listed.
pub const OF_A_KIND: u32 = 200;
/// Documents of a list.
pub const LISTED: u32 = 100;
/// Documents of one insert that prepares.
const BATCH: usize = 10_000;

/// The `_id` of the document of that number.
pub fn id(number: u32) -> String {
    format!("{number:08}")
}

/// The kind of the document of that number.
pub fn kind(number: u32) -> String {
    format!("k{:06}", number / OF_A_KIND)
}

/// The number of the document that is asked for after `turn` others, of the first `documents`.
pub const fn spread(turn: u32, documents: u32) -> u32 {
    turn.wrapping_mul(STRIDE) % documents
}

/// The document of that number.
pub fn named(number: u32) -> Document {
    let mut document = plain(number);
    document.insert("kind", kind(number));
    document
}

/// The document of that number without an `_id`, which it gets where it is kept.
pub fn unnamed(number: u32) -> Document {
    let mut document = named(number);
    document.remove("_id");
    document
}

/// Without a kind.
fn plain(number: u32) -> Document {
    doc! { "_id": id(number), "title": "Quarterly report", "owner": "finance", "tags": ["2026", "draft"], "pages": 12 }
}

/// A document as JSON.
pub fn json(document: Document) -> String {
    Bson::Document(document).into_relaxed_extjson().to_string()
}

/// `count` documents from the number `first` on, as `make` gives them, a line of JSON each.
pub fn lines(first: u32, count: u32, make: fn(u32) -> Document) -> String {
    (first..first + count).map(|number| json(make(number)) + "\n").collect()
}

/// Adds `count` documents to a collection of MongoDB.
pub fn fill_mongodb(uri: &str, database: &str, collection: &str, count: u32) -> Result<()> {
    block_on(async {
        let collection = Client::with_uri_str(uri).await?.database(database).collection(collection);
        for first in (0..count).step_by(BATCH) {
            collection.insert_many((first..count.min(first + BATCH as u32)).map(plain)).await?;
        }
        Ok(())
    })
}

/// Adds `count` documents to the file of a container in one transaction; the service must not run.
pub fn fill_embedded(data_dir: &Path, organization: OrganizationId, count: u32) -> Result<()> {
    make_collection(data_dir, organization, "reports")?;
    let file = container_file(data_dir, organization);
    let mut connection = Connection::open(&file).with_context(|| file.display().to_string())?;
    let transaction = connection.transaction()?;
    {
        let sql = "INSERT INTO documents (collection, id, revision, body) \
                   SELECT id, ?1, 1, ?2 FROM collections WHERE name = 'reports'";
        let mut insert = transaction.prepare(sql)?;
        for number in 0..count {
            let key = DocumentId::new(&Bson::from(id(number))).map_err(anyhow::Error::msg)?.key();
            insert.execute((key, plain(number).to_vec()?))?;
        }
    }
    transaction.commit()?;
    Ok(())
}
