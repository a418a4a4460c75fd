//! Documents in MongoDB by its driver alone, as durable as the service has them, and read as it reads them.

use super::{BATCH, Operation};
use crate::data::documents::{LISTED, id, kind, named, spread, unnamed};
use crate::runtime::block_on;
use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::options::{Acknowledgment, CollectionOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Collection, IndexModel};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const COLLECTION: &str = "documents";
/// Documents of one insert that prepares.
const FILL: usize = 10_000;

/// Makes the collection with its index and the first `documents` documents.
pub fn fill(uri: &str, database: &str, documents: u32) -> Result<()> {
    block_on(async {
        let collection = open(uri, database).await?;
        collection.create_index(IndexModel::builder().keys(doc! { "kind": 1 }).build()).await?;
        for first in (0..documents).step_by(FILL) {
            let numbers = first..documents.min(first + FILL as u32);
            collection.insert_many(numbers.map(named)).await?;
        }
        Ok(())
    })
}

/// Repeats it for `span`, `at_once` at the same time; how many documents, or lists, that was per second.
pub fn measure(
    uri: &str,
    database: &str,
    operation: Operation,
    documents: u32,
    at_once: usize,
    span: Duration,
) -> Result<f64> {
    block_on(async {
        let collection = open(uri, database).await?;
        // The connections are there when it begins.
        repeat(&collection, operation, documents, at_once, span / 10).await?;
        repeat(&collection, operation, documents, at_once, span).await
    })
}

/// The seconds that it takes to find nothing among all documents.
pub fn scan(uri: &str, database: &str, filter: Document) -> Result<f64> {
    block_on(async {
        let collection = open(uri, database).await?;
        let began = Instant::now();
        let found = collection.find_one(filter).await?;
        ensure!(found.is_none(), "a document matches");
        Ok(began.elapsed().as_secs_f64())
    })
}

async fn open(uri: &str, database: &str) -> Result<Collection<Document>> {
    let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
    let options =
        CollectionOptions::builder().read_concern(ReadConcern::majority()).write_concern(durable).build();
    Ok(Client::with_uri_str(uri).await?.database(database).collection_with_options(COLLECTION, options))
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
async fn repeat(
    collection: &Collection<Document>,
    operation: Operation,
    documents: u32,
    at_once: usize,
    span: Duration,
) -> Result<f64> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..at_once {
        let collection = collection.clone();
        // Each begins elsewhere.
        let mut turn = u32::try_from(task * (documents as usize / at_once))?;
        tasks.spawn(async move {
            let mut done = 0;
            while began.elapsed() < span {
                once(&collection, operation, documents, turn).await?;
                turn += 1;
                done += operation.counts();
            }
            anyhow::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(task) = tasks.join_next().await {
        done += task??;
    }
    Ok(done as f64 / began.elapsed().as_secs_f64())
}

async fn once(
    collection: &Collection<Document>,
    operation: Operation,
    documents: u32,
    turn: u32,
) -> Result<()> {
    match operation {
        Operation::Read => {
            let found = collection.find_one(doc! { "_id": id(spread(turn, documents)) }).await?;
            found.context("it is missing")?;
        }
        Operation::List => {
            let found = collection.find(doc! { "kind": kind(spread(turn, documents)) });
            let found: Vec<Document> =
                found.sort(doc! { "_id": 1 }).limit(LISTED.into()).await?.try_collect().await?;
            ensure!(found.len() == LISTED as usize, "a list of {}", found.len());
        }
        Operation::Insert => {
            collection.insert_one(unnamed(documents + turn)).await?;
        }
        Operation::Bulk => {
            let batch = (0..BATCH as u32).map(|number| unnamed(documents + number));
            collection.insert_many(batch).ordered(false).await?;
        }
        Operation::Update => {
            let change = doc! { "$set": { "owner": "sales" }, "$inc": { "pages": 1 } };
            let updated = collection.update_one(doc! { "_id": id(turn % documents) }, change).await?;
            ensure!(updated.matched_count == 1, "it is missing");
        }
    }
    Ok(())
}
