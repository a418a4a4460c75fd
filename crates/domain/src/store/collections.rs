//! Collections of one organization's documents, and their indexes.

use super::InsertOutcome;
use crate::collection::CollectionName;
use crate::error::Result;
use crate::organization::{Organization, Usage};
use async_trait::async_trait;
use tenantry_documents::index::{Index, IndexName};

/// A collection as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionInfo {
    /// Its name.
    pub name: CollectionName,
    /// How many documents are in it.
    pub documents: u64,
    /// Bytes they take as BSON, as the engine keeps them: on MongoDB with what the service adds to each.
    pub bytes: u64,
    /// How many indexes it has, without that on the `_id`.
    pub indexes: u32,
}

/// The collections of organizations. The one called [`CollectionName::DEFAULT`] is always there.
///
/// Every method names the organization, and the engine finds its place by what never changes hands: the id, or the
/// identity of the container. `store_unavailable` if the container is not there.
#[async_trait]
pub trait Collections: Send + Sync {
    /// Up to `limit` collections in the order of their names, after `after`.
    async fn list_collections(
        &self,
        organization: &Organization,
        after: Option<&CollectionName>,
        limit: u32,
    ) -> Result<Vec<CollectionInfo>>;

    /// The collections that programs of the organization's own have made under names that [`CollectionName`] refuses,
    /// so that no other method reaches them; in the order of their names.
    async fn list_unnamed_collections(&self, organization: &Organization) -> Result<Vec<String>>;

    /// The collection of that name.
    async fn get_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<CollectionInfo>>;

    /// Makes an empty collection. `quota_exceeded` if the organization has as many as it may;
    /// `capacity_reached` if the engine bears no more.
    async fn insert_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<InsertOutcome>;

    /// Removes the collection with its documents and indexes; whether it was there. Never the default one.
    async fn delete_collection(&self, organization: &Organization, name: &CollectionName) -> Result<bool>;

    /// The indexes of the collection in the order of their names, without that on the `_id`.
    /// `collection_not_found`.
    async fn list_indexes(&self, organization: &Organization, name: &CollectionName) -> Result<Vec<Index>>;

    /// Makes an index and its entries; returns once it serves. One of the same name and definition is
    /// [`InsertOutcome::Exists`]; one of the same name and another definition, or of the same keys and another name, is
    /// `index_exists`. `collection_not_found`; `unique_violation` if two documents have a common entry;
    /// `invalid_input` at `/keys` if a document cannot be indexed so; `too_many_indexes`. Nothing has changed after
    /// a refusal.
    async fn insert_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
    ) -> Result<InsertOutcome>;

    /// Makes an index that its documents had where they come from, an archive or another engine: the bound of the entries
    /// of one document does not hold, because versions of before had another one. Else as
    /// [`insert_index`](Self::insert_index).
    async fn restore_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
    ) -> Result<InsertOutcome>;

    /// Removes an index; whether it was there. `collection_not_found`.
    async fn delete_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &IndexName,
    ) -> Result<bool>;

    /// What the organization has at the moment. Bytes are those of the documents as BSON, without what engines
    /// add. Where there is no quota for the bytes of index entries, these may be what they were up to a minute earlier, if
    /// counting them takes long.
    async fn get_usage(&self, organization: &Organization) -> Result<Usage>;
}
