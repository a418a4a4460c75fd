//! The document with which collections of some adopted programs begin, and the metadata document that takes its place.

use super::{SourceDatabase, SourceIndexes};
use crate::collections::metadata_document::distinct_value;
use crate::containers::metadata::metadata;
use crate::containers::namespace::uuid;
use crate::engine_error::{EngineError, EngineResult};
use crate::record_codec::object_id;
use bson::RawDocument;
use jiff::Timestamp;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use tenantry_domain::Result;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::ContainerId;

/// Whether it is such a document: only an `_id`, and when the collection was created with which layout.
#[must_use]
pub fn is_marker(document: &RawDocument) -> bool {
    let names: Vec<&str> = document.iter().map_while(|field| Some(field.ok()?.0.as_str())).collect();
    let metadata = document.get_document("metadata");
    names.len() == 2 && metadata.is_ok_and(|metadata| metadata.get_str("schema_version").is_ok())
}

impl SourceDatabase {
    /// Adds the metadata document of an organization to the collection that becomes its container; `marker` is removed.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn add_metadata(
        &self,
        (collection, id): (&str, ContainerId),
        (organization, created_at): (OrganizationId, Timestamp),
        indexes: &SourceIndexes,
        marker: Option<&Document>,
    ) -> Result<()> {
        if let Some(marker) = marker {
            self.remove_by_id(collection, id, marker.get("_id")).await?;
        }
        let first = distinct_metadata(organization, created_at, indexes);
        Ok(self.insert_once(collection, id, &first).await?)
    }

    /// The opposite of [`Self::add_metadata`].
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn remove_metadata(
        &self,
        (collection, id): (&str, ContainerId),
        organization: OrganizationId,
        marker: Option<&Document>,
    ) -> Result<()> {
        let first = object_id(organization.as_bytes());
        self.remove_by_id(collection, id, Some(&Bson::from(first))).await?;
        if let Some(marker) = marker {
            self.insert_once(collection, id, marker).await?;
        }
        Ok(())
    }

    async fn insert_once(&self, name: &str, id: ContainerId, document: &Document) -> EngineResult<()> {
        // The validator of the other program knows nothing of it.
        let insert = doc! {
            "insert": name, "documents": [document], "collectionUUID": uuid(id), "bypassDocumentValidation": true,
        };
        match self.write(insert).await {
            Err(failure) if failure.is_same_id() => Ok(()),
            done => done,
        }
    }

    async fn remove_by_id(&self, name: &str, id: ContainerId, own: Option<&Bson>) -> EngineResult<()> {
        let delete = doc! { "q": { "_id": { "$eq": own } }, "limit": 1 };
        self.write(doc! { "delete": name, "deletes": [delete], "collectionUUID": uuid(id) }).await
    }

    /// Runs a command that writes, and reads the errors in its reply.
    pub(super) async fn write(&self, command: Document) -> EngineResult<()> {
        self.write_reply(command).await.map(drop)
    }

    /// The same, with the reply.
    pub(super) async fn write_reply(&self, command: Document) -> EngineResult<Document> {
        let server = self.server();
        let reply = server.within(server.database().run_command(server.durably(command))).await?;
        let Some(Bson::Array(errors)) = reply.get("writeErrors") else { return Ok(reply) };
        let error = errors.first().and_then(Bson::as_document);
        let code = error.and_then(|error| error.get_i32("code").ok()).unwrap_or(0);
        let message = error.and_then(|error| error.get_str("errmsg").ok()).unwrap_or_default().to_owned();
        if code == 11000 {
            let key = error.and_then(|error| error.get_document("keyPattern").ok());
            let is_id = key.is_some_and(|key| key.keys().eq(["_id"]));
            let index = if is_id { "_id_" } else { "a unique index of the source" };
            return Err(EngineError::Duplicate { index: index.to_owned() });
        }
        Err(EngineError::ServerError { code, message })
    }
}

/// The metadata document, with a value of its own in every unique index.
fn distinct_metadata(
    organization: OrganizationId,
    created_at: Timestamp,
    indexes: &SourceIndexes,
) -> Document {
    let mut first = metadata(organization, created_at);
    let id: ObjectId = object_id(organization.as_bytes());
    for definition in &indexes.definitions {
        if !definition.get_bool("unique").unwrap_or(false) {
            continue;
        }
        let Ok(key) = definition.get_document("key") else { continue };
        let paths: Vec<&str> = key.keys().map(String::as_str).collect();
        let set = distinct_value(&first, id, &paths);
        first.extend(set);
    }
    first
}
