//! A collection with a document for each record, and the writes of one document that records need.

use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::record_codec::{decode, integer, object_id};
use mongodb::action::Find;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ReadConcern;
use mongodb::{Collection, Cursor};
use serde::de::DeserializeOwned;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::store::{InsertOutcome, UpdateOutcome};

/// Documents that one call removes, so that it ends well within its deadline.
const DELETE_BATCH: u32 = 1000;

/// The field with the events of a document's changes that are in no chain yet.
pub(crate) const EVENTS: &str = "events";
/// The field of a document whose record is removed, and which is kept for its events alone.
pub(crate) const GONE: &str = "gone";
/// Fields of unique indexes, in which such a document has its `_id`.
const UNIQUE_FIELDS: [&str; 2] = ["slot", "email_key"];

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
        self.connection.call_for_records(call).await
    }

    /// The next document of a cursor.
    pub(crate) async fn next(&self, cursor: &mut Cursor<Document>) -> EngineResult<Option<Document>> {
        self.connection.next(cursor).await
    }

    /// The record that `filter` matches, if any.
    pub(crate) async fn find_one<T: DeserializeOwned>(&self, filter: Document) -> EngineResult<Option<T>> {
        let found = self.find_document(filter).await?;
        found.filter(|document| !document.contains_key(GONE)).map(decode).transpose()
    }

    /// The document that `filter` matches, if any.
    pub(crate) async fn find_document(&self, filter: Document) -> EngineResult<Option<Document>> {
        let mut find = self.collection.find_one(filter);
        if self.connection.may_lag() {
            find = find.read_concern(ReadConcern::linearizable()).max_time(self.connection.deadline());
        }
        self.call(find).await
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
        let documents = self.documents(find, limit).await?.into_iter();
        documents.filter(|document| !document.contains_key(GONE)).map(decode).collect()
    }

    /// The documents that `find` returns, up to `limit`, in one reply.
    pub(crate) async fn documents(
        &self,
        find: Find<'_, Document>,
        limit: u32,
    ) -> EngineResult<Vec<Document>> {
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

    /// Replaces the previous version of a record by `document`. The fields `kept` stay as they are stored, and so
    /// do events that are in no chain yet, with `event` behind them.
    pub(crate) async fn replace(
        &self,
        version: u64,
        document: Document,
        kept: &[&str],
        event: Option<&AuditEvent>,
    ) -> EngineResult<UpdateOutcome> {
        let filter = doc! { "_id": document.get("_id").cloned(), "version": integer(version) - 1 };
        let mut kept: Document =
            kept.iter().map(|name| ((*name).to_owned(), Bson::from(format!("${name}")))).collect();
        kept.insert(EVENTS, events_and(event)?);
        // Literally: a text may begin with a dollar sign.
        let parts = vec![doc! { "$literal": document }, kept];
        let update = vec![doc! { "$replaceWith": { "$mergeObjects": parts } }];
        let result = self.call(self.collection.update_one(filter, update)).await?;
        Ok(update_outcome(result.matched_count))
    }

    /// Removes a document if it still has that version.
    pub(crate) async fn delete(&self, id: ObjectId, version: u64) -> EngineResult<UpdateOutcome> {
        let filter = doc! { "_id": id, "version": integer(version) };
        let is_deleted = self.delete_one(filter, None).await?;
        Ok(if is_deleted { UpdateOutcome::Done } else { UpdateOutcome::Stale })
    }

    /// Removes the record that `filter` matches; whether there was one. Its events, and `event`, stay until they
    /// are in a chain.
    pub(crate) async fn delete_one(
        &self,
        mut filter: Document,
        event: Option<&AuditEvent>,
    ) -> EngineResult<bool> {
        filter.insert(GONE, doc! { "$exists": false });
        if event.is_none() {
            let mut bare = filter.clone();
            bare.insert(EVENTS, doc! { "$exists": false });
            if self.call(self.collection.delete_one(bare)).await?.deleted_count > 0 {
                return Ok(true);
            }
            filter.insert(EVENTS, doc! { "$exists": true });
        }
        let update = vec![doc! { "$replaceWith": remains(event)? }];
        Ok(self.call(self.collection.update_one(filter, update)).await?.matched_count > 0)
    }

    /// Removes up to `limit` documents that `filter` matches, also at the moment they are removed; returns how many
    /// it removed, and the ids it found.
    pub(crate) async fn delete_some(&self, filter: Document, limit: u32) -> EngineResult<(u32, Vec<Bson>)> {
        self.delete_found(self.collection.find(filter.clone()), filter, limit).await
    }

    /// Removes up to `limit` documents that `find` returns and, at the moment they are removed, `filter` matches;
    /// returns how many it removed, and the ids it found.
    pub(crate) async fn delete_found(
        &self,
        find: Find<'_, Document>,
        mut filter: Document,
        limit: u32,
    ) -> EngineResult<(u32, Vec<Bson>)> {
        let found = self.documents(find.projection(doc! { "_id": 1 }), limit).await?;
        let ids: Vec<Bson> = found.into_iter().filter_map(|mut document| document.remove("_id")).collect();
        if ids.is_empty() {
            return Ok((0, ids));
        }
        filter.insert("_id", doc! { "$in": &ids });
        let mut bare = filter.clone();
        bare.insert(EVENTS, doc! { "$exists": false });
        let mut deleted = self.call(self.collection.delete_many(bare)).await?.deleted_count;
        if deleted < ids.len() as u64 {
            filter.insert(EVENTS, doc! { "$exists": true });
            let update = vec![doc! { "$replaceWith": remains(None)? }];
            deleted += self.call(self.collection.update_many(filter, update)).await?.matched_count;
        }
        Ok((u32::try_from(deleted).unwrap_or(u32::MAX), ids))
    }

    /// Removes all documents that `filter` matches. Others may do the same at the same time, so it ends only when
    /// none is found.
    pub(crate) async fn delete_all(&self, filter: &Document) -> EngineResult<()> {
        while !self.delete_some(filter.clone(), DELETE_BATCH).await?.1.is_empty() {}
        Ok(())
    }
}

/// An event as a document carries it.
pub(crate) fn stored_event(event: &AuditEvent) -> EngineResult<Document> {
    Ok(doc! { "id": object_id(event.id.as_bytes()), "text": event.to_text()? })
}

/// A new document of a record, with the event of its insertion.
pub(crate) fn with_event(mut document: Document, event: Option<&AuditEvent>) -> EngineResult<Document> {
    if let Some(event) = event {
        document.insert(EVENTS, vec![stored_event(event)?]);
    }
    Ok(document)
}

/// The expression for the events of a stored document, with `event` behind them.
fn events_and(event: Option<&AuditEvent>) -> EngineResult<Bson> {
    let stored = format!("${EVENTS}");
    Ok(match event {
        None => stored.into(),
        Some(event) => {
            let new = vec![stored_event(event)?];
            doc! { "$concatArrays": [{ "$ifNull": [stored, []] }, { "$literal": new }] }.into()
        }
    })
}

/// The expression for what is left of a removed document.
fn remains(event: Option<&AuditEvent>) -> EngineResult<Document> {
    let mut left = doc! { "_id": "$_id", GONE: { "$literal": true }, EVENTS: events_and(event)? };
    for field in UNIQUE_FIELDS {
        left.insert(field, "$_id");
    }
    Ok(left)
}

/// The outcome of a compare-and-set that matched `met` documents.
pub(crate) const fn update_outcome(met: u64) -> UpdateOutcome {
    if met == 0 { UpdateOutcome::Stale } else { UpdateOutcome::Done }
}
