//! How often the server has written to a collection: by this a program that still writes is seen.
//!
//! The storage engine counts every insert, update and removal of a collection since the server started, no matter who asked
//! for it. Reads, and renames of the collection, count nothing.

use super::SourceDatabase;
use crate::engine_error::EngineResult;
use mongodb::bson::{Bson, Document, doc};
use tenantry_domain::{Error, Result};

/// The counters of a cursor of the storage engine that only writes raise. Most updates are counted as `modify`.
const WRITES: [&str; 6] =
    ["insert calls", "update calls", "modify", "modify calls", "remove calls", "truncate calls"];

impl SourceDatabase {
    /// How many writes the collection has had since the server started; `None` if this server does not say. A missing
    /// collection has had none.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn count_writes(&self, database: &str, collection: &str) -> Result<Option<i64>> {
        Ok(self.read_counters(database, collection).await?)
    }

    async fn read_counters(&self, database: &str, collection: &str) -> EngineResult<Option<i64>> {
        let pipeline = [doc! { "$collStats": { "storageStats": {} } }];
        // Statistics have no snapshot to be read from.
        let aggregate = doc! {
            "aggregate": collection, "pipeline": &pipeline[..], "cursor": {}, "readConcern": { "level": "local" },
        };
        let database = self.server.other_database(database);
        let reply = match self.server.within(database.run_command(aggregate)).await {
            Err(failure) if super::is_missing(&failure) => return Ok(Some(0)),
            reply => reply?,
        };
        let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        let shards = batch.map_err(Error::internal)?.iter().filter_map(Bson::as_document);
        Ok(shards.map(writes).sum())
    }
}

/// The writes of one shard; a server that is no cluster is one.
fn writes(shard: &Document) -> Option<i64> {
    let storage = shard.get_document("storageStats").ok()?;
    let cursor = storage.get_document("wiredTiger").ok()?.get_document("cursor").ok()?;
    let number =
        |name: &str| cursor.get(name).and_then(|value| value.as_i64().or(value.as_i32().map(i64::from)));
    // Not every version has all of them.
    number(WRITES[0])?;
    Some(WRITES.iter().filter_map(|name| number(name)).sum())
}
