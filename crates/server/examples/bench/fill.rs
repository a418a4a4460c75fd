//! Documents, straight into the file of a container.

use anyhow::{Context, Result};
use rusqlite::Connection;
use std::path::Path;
use tenantry_domain::ids::OrganizationId;
use tenantry_store::container_file;

/// A document of the usual size.
const BODY: &str = r#"{"title":"Quarterly report","owner":"finance","tags":["2026","draft"],"pages":12}"#;

/// Adds `documents` documents in one transaction.
pub fn run(data_dir: &Path, organization: OrganizationId, documents: u32) -> Result<()> {
    let file = container_file(data_dir, organization);
    let mut connection = Connection::open(&file).with_context(|| file.display().to_string())?;
    let transaction = connection.transaction()?;
    transaction.execute("INSERT INTO collections (id, name) VALUES (1, 'reports')", [])?;
    {
        let sql = "INSERT INTO documents (collection, id, revision, body) VALUES (1, ?1, 1, ?2)";
        let mut insert = transaction.prepare(sql)?;
        for number in 0..documents {
            insert.execute((format!("{number:08}"), BODY))?;
        }
    }
    transaction.commit()?;
    Ok(())
}
