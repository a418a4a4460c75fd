//! The baseline for lookups on MongoDB: the driver alone reads the records that the service reads without its cache.

use crate::runtime::block_on;
use anyhow::{Context, Result};
use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::{DatabaseOptions, ReadConcern};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Repeats them for `span`, `at_once` at the same time; how many that was per second.
pub fn measure(uri: &str, database: &str, at_once: usize, span: Duration) -> Result<f64> {
    block_on(count(uri, database, at_once, span))
}

#[expect(clippy::cast_precision_loss, reason = "far fewer reads than 2^52")]
async fn count(uri: &str, database: &str, at_once: usize, span: Duration) -> Result<f64> {
    let options = DatabaseOptions::builder().read_concern(ReadConcern::majority()).build();
    let database = Client::with_uri_str(uri).await?.database_with_options(database, options);
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..at_once {
        let (organizations, accounts) =
            (database.collection("organizations"), database.collection("accounts"));
        tasks.spawn(async move {
            let mut reads = 0_u64;
            while began.elapsed() < span {
                let named = doc! { "hidden": false, "identifier": "organization-0", "status": { "$ne": "provisioning" } };
                let found: Option<Document> = organizations.find_one(named).await?;
                let owner = found.and_then(|found| found.get_object_id("owner_id").ok()).context("nobody")?;
                let _: Option<Document> = accounts.find_one(doc! { "_id": owner }).await?;
                reads += 1;
            }
            anyhow::Ok(reads)
        });
    }
    let mut reads = 0;
    while let Some(task) = tasks.join_next().await {
        reads += task??;
    }
    Ok(reads as f64 / began.elapsed().as_secs_f64())
}
