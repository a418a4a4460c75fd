//! A collection with a document for each record, and the writes of one document that records need.

use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::record_codec::{decode, integer};
use mongodb::action::Find;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use mongodb::{Collection, Cursor};
use serde::de::DeserializeOwned;
use tenantry_domain::store::{InsertOutcome, UpdateOutcome};

/// Documents that one call removes, so that it ends well within its deadline.
const DELETE_BATCH: u32 = 1000;

/// The records of one noun. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Records {
    connection: Connection,
    collection: Collection<Document>,
}

impl Records {
    /// The records in the collection `name` of the database of the records.
    pub(crate) fn new(connection: &Connection, name: &str) -> Self {
        Self::of(connection, connection.server().collection(name))
    }

    pub(crate) fn of(connection: &Connection, collection: Collection<Document>) -> Self {
        Self { connection: connection.clone(), collection }
    }

    pub(crate) const fn collection(&self) -> &Collection<Document> {
        &self.collection
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs a call within the deadline.
    pub(crate) async fn call<T>(
        &self,
        call: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> EngineResult<T> {
        self.connection.call(call).await
    }

    /// The next document of a cursor.
    pub(crate) async fn next(&self, cursor: &mut Cursor<Document>) -> EngineResult<Option<Document>> {
        self.connection.next(cursor).await
    }

    /// The record that `filter` matches, if any.
    pub(crate) async fn find_one<T: DeserializeOwned>(&self, filter: Document) -> EngineResult<Option<T>> {
        self.call(self.collection.find_one(filter)).await?.map(decode).transpose()
    }

    /// Whether `filter` matches a document.
    pub(crate) async fn exists(&self, filter: Document) -> EngineResult<bool> {
        let find = self.collection.find_one(filter).projection(doc! { "_id": 1 });
        Ok(self.call(find).await?.is_some())
    }

    /// The records that `find` returns, up to `limit`.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        find: Find<'_, Document>,
        limit: u32,
    ) -> EngineResult<Vec<T>> {
        self.documents(find, limit).await?.into_iter().map(decode).collect()
    }

    /// The documents that `find` returns, up to `limit`, in one reply.
    async fn documents(&self, find: Find<'_, Document>, limit: u32) -> EngineResult<Vec<Document>> {
        // To MongoDB 0 would mean "all".
        if limit == 0 {
            return Ok(Vec::new());
        }
        let find = find.limit(i64::from(limit)).batch_size(limit);
        self.call(async {
            let mut cursor = find.await?;
            let mut documents = Vec::new();
            while cursor.advance().await? {
                documents.push(cursor.deserialize_current()?);
            }
            Ok(documents)
        })
        .await
    }

    /// Inserts a document; an existing one of the same `_id` is not an error.
    pub(crate) async fn insert(&self, document: Document) -> EngineResult<InsertOutcome> {
        match self.call(self.collection.insert_one(document)).await {
            Ok(_) => Ok(InsertOutcome::New),
            Err(failure) if failure.is_same_id() => Ok(InsertOutcome::Exists),
            Err(failure) => Err(failure),
        }
    }

    /// Replaces the previous version of a record by `document`.
    pub(crate) async fn replace(&self, version: u64, document: Document) -> EngineResult<UpdateOutcome> {
        let filter = doc! { "_id": document.get("_id").cloned(), "version": integer(version) - 1 };
        let result = self.call(self.collection.replace_one(filter, document)).await?;
        Ok(update_outcome(result.matched_count))
    }

    /// Removes a document if it still has that version.
    pub(crate) async fn delete(&self, id: ObjectId, version: u64) -> EngineResult<UpdateOutcome> {
        let filter = doc! { "_id": id, "version": integer(version) };
        Ok(update_outcome(self.call(self.collection.delete_one(filter)).await?.deleted_count))
    }

    /// Removes up to `limit` documents that `filter` matches, also at the moment they are removed; returns how many
    /// it removed, and the ids it found.
    pub(crate) async fn delete_some(
        &self,
        mut filter: Document,
        limit: u32,
    ) -> EngineResult<(u32, Vec<Bson>)> {
        let find = self.collection.find(filter.clone()).projection(doc! { "_id": 1 });
        let found = self.documents(find, limit).await?;
        let ids: Vec<Bson> = found.into_iter().filter_map(|mut document| document.remove("_id")).collect();
        if ids.is_empty() {
            return Ok((0, ids));
        }
        filter.insert("_id", doc! { "$in": &ids });
        let deleted = self.call(self.collection.delete_many(filter)).await?.deleted_count;
        Ok((u32::try_from(deleted).unwrap_or(u32::MAX), ids))
    }

    /// Removes all documents that `filter` matches. Others may do the same at the same time, so it ends only when
    /// none is found.
    pub(crate) async fn delete_all(&self, filter: &Document) -> EngineResult<()> {
        while !self.delete_some(filter.clone(), DELETE_BATCH).await?.1.is_empty() {}
        Ok(())
    }
}

/// The outcome of a compare-and-set that matched `met` documents.
pub(crate) const fn update_outcome(met: u64) -> UpdateOutcome {
    if met == 0 { UpdateOutcome::Stale } else { UpdateOutcome::Done }
}
