//! Collections of one organization's documents, and their indexes.

use super::InsertOutcome;
use crate::collection::CollectionName;
use crate::error::Result;
use crate::organization::{Organization, Usage};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::index::{Index, IndexName};
use tenantry_documents::schema::SchemaDefinition;

/// The current state of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionInfo {
    /// Its name.
    pub name: CollectionName,
    /// How many documents are in it.
    pub documents: u64,
    /// Their size as BSON in bytes; on MongoDB with the fields that the service adds to each.
    pub bytes: u64,
    /// How many indexes it has, without the one on the `_id`.
    pub indexes: u32,
}

/// Whether the schema of a collection was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum SchemaChange {
    /// It was.
    Done {
        /// Whether the collection had one before.
        was_there: bool,
    },
    /// The collection has another one than expected, or none.
    Stale,
}

/// The collections of organizations. The one called [`CollectionName::DEFAULT`] always exists.
///
/// Every method names the organization, and the engine finds its container by something that never changes
/// owners: the id, or the identity of the container. `store_unavailable` if the container is missing.
#[async_trait]
pub trait Collections: Send + Sync {
    /// Up to `limit` collections ordered by name, after `after`.
    async fn list_collections(
        &self,
        organization: &Organization,
        after: Option<&CollectionName>,
        limit: u32,
    ) -> Result<Vec<CollectionInfo>>;

    /// Collections that the organization's own programs have created under names that [`CollectionName`]
    /// refuses, so that no other method reaches them; in the order of their names.
    async fn list_unnamed_collections(&self, organization: &Organization) -> Result<Vec<String>>;

    /// The collection of that name.
    async fn get_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<CollectionInfo>>;

    /// Creates an empty collection. `quota_exceeded` if the organization has as many as it may;
    /// `capacity_reached` if the engine has no room for more.
    async fn insert_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<InsertOutcome>;

    /// Removes the collection with its documents and indexes; returns whether it existed. Never the default
    /// one.
    async fn delete_collection(&self, organization: &Organization, name: &CollectionName) -> Result<bool>;

    /// The indexes of the collection in the order of their names, without the one on the `_id`.
    /// `collection_not_found`.
    async fn list_indexes(&self, organization: &Organization, name: &CollectionName) -> Result<Vec<Index>>;

    /// Creates an index with its entries; returns once queries can use it. One of the same name and
    /// definition is [`InsertOutcome::Exists`]; one of the same name and another definition, or of the same
    /// keys and another name, is `index_exists`. `collection_not_found`; `unique_violation` if two documents
    /// have a common entry; `invalid_input` at `/keys` if a document cannot be indexed by them;
    /// `too_many_indexes`. Nothing has changed after a refusal.
    async fn insert_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
    ) -> Result<InsertOutcome>;

    /// Creates an index that the documents had in an archive or on another engine. The bound on the entries
    /// of one document does not apply, because earlier versions had another one. Otherwise like
    /// [`insert_index`](Self::insert_index).
    async fn restore_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
    ) -> Result<InsertOutcome>;

    /// Removes an index; returns whether it existed. `collection_not_found`.
    async fn delete_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &IndexName,
    ) -> Result<bool>;

    /// The schema of the collection. `collection_not_found`.
    async fn get_schema(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<Arc<SchemaDefinition>>>;

    /// Like [`Self::get_schema`], but may return a recent one: as it was up to [`Self::schema_delay`] before.
    async fn get_recent_schema(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<Arc<SchemaDefinition>>> {
        self.get_schema(organization, name).await
    }

    /// How long after a change of a schema recent reads in other processes may return the earlier one; in this process
    /// they never do.
    fn schema_delay(&self) -> Duration {
        Duration::ZERO
    }

    /// Sets the schema of the collection, or removes it; if one is expected, only if the collection has that one. It ends
    /// with the collection: another one of the same name never has it. `collection_not_found`.
    async fn set_schema(
        &self,
        organization: &Organization,
        name: &CollectionName,
        schema: Option<&SchemaDefinition>,
        expected: Option<&SchemaDefinition>,
    ) -> Result<SchemaChange>;

    /// The current usage of the organization. Bytes are those of the documents as BSON, without what engines
    /// add. If there is no quota for the bytes of index entries and counting takes long, that number may be
    /// up to a minute old.
    async fn get_usage(&self, organization: &Organization) -> Result<Usage>;
}
