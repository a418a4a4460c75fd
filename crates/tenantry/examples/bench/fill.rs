//! Documents, straight into a container.

use anyhow::{Context, Result};
use bson::{Bson, Document, doc};
use mongodb::Client;
use rusqlite::Connection;
use std::path::Path;
use tenantry_documents::document::DocumentId;
use tenantry_domain::ids::OrganizationId;
use tenantry_store::container_file;

/// Documents of one insert.
const BATCH: usize = 10_000;

/// A document of the usual size.
pub fn document(id: &str) -> Document {
    doc! { "_id": id, "title": "Quarterly report", "owner": "finance", "tags": ["2026", "draft"], "pages": 12 }
}

/// Adds `documents` documents to a collection of MongoDB.
pub fn mongodb(uri: &str, database: &str, collection: &str, documents: u32) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let collection = Client::with_uri_str(uri).await?.database(database).collection(collection);
        for first in (0..documents).step_by(BATCH) {
            let numbers = first..documents.min(first + BATCH as u32);
            collection.insert_many(numbers.map(|number| document(&format!("{number:08}")))).await?;
        }
        Ok(())
    })
}

/// Adds `documents` documents to the file of a container in one transaction.
pub fn embedded(data_dir: &Path, organization: OrganizationId, documents: u32) -> Result<()> {
    let file = container_file(data_dir, organization);
    let mut connection = Connection::open(&file).with_context(|| file.display().to_string())?;
    let transaction = connection.transaction()?;
    transaction.execute("INSERT INTO collections (id, name) VALUES (1, 'reports')", [])?;
    {
        let sql = "INSERT INTO documents (collection, id, revision, body) VALUES (1, ?1, 1, ?2)";
        let mut insert = transaction.prepare(sql)?;
        for number in 0..documents {
            let id = format!("{number:08}");
            let key = DocumentId::new(&Bson::from(id.as_str())).map_err(anyhow::Error::msg)?.key();
            insert.execute((key, document(&id).to_vec()?))?;
        }
    }
    transaction.commit()?;
    Ok(())
}
