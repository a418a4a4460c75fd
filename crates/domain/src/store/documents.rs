//! Documents of one organization, in its collections.

use super::{BatchStep, UpdateOutcome};
use crate::collection::CollectionName;
use crate::error::Result;
use crate::organization::Organization;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::aggregate::{AggregateResult, Aggregation};
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::query::explanation::Explanation;
use tenantry_documents::query::{DeleteResult, DocumentQuery, MatchCount, QueryPage};

/// The documents of organizations.
///
/// Every method names the organization, and is `collection_not_found` if it has no such collection. An
/// acknowledged write survives `kill -9`. The quota in `organization` is enforced exactly, even with
/// concurrent writes: a write beyond it is `quota_exceeded` and changes nothing. A write that an index cannot
/// take is `invalid_input` (an impossible entry) or `unique_violation`.
#[async_trait]
pub trait Documents: Send + Sync {
    /// Inserts documents independently, in their order; returns the result of each. A document with an
    /// existing `_id` is `document_exists` and changes nothing. `Err` of the whole: none or some may have
    /// been inserted.
    async fn insert_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        documents: Vec<StoredDocument>,
    ) -> Result<Vec<Result<()>>>;

    /// The document of that id.
    async fn get_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
    ) -> Result<Option<StoredDocument>>;

    /// Replaces the document of the same id by `document`, if it has the revision `expected`.
    async fn update_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        document: StoredDocument,
        expected: Revision,
    ) -> Result<UpdateOutcome>;

    /// Removes the document of that id if it has that revision, or any revision if none is given.
    async fn delete_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
        expected: Option<Revision>,
    ) -> Result<UpdateOutcome>;

    /// A page of documents. `query_too_slow`; `invalid_input` at [`tenantry_documents::query::SORT_POINTER`] for
    /// documents that cannot be sorted that way.
    async fn find_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        query: &DocumentQuery,
    ) -> Result<QueryPage>;

    /// How the first page of such a query is found, and how much that examines; costs as much, and refuses the same.
    async fn explain_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        query: &DocumentQuery,
    ) -> Result<Explanation>;

    /// How many documents match. `query_too_slow`.
    async fn count_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<MatchCount>;

    /// What an aggregate computes. `query_too_slow`; `invalid_input` at the stage that has no result for a document, or
    /// that would keep too much, and at [`tenantry_documents::query::SORT_POINTER`] for documents that cannot be sorted
    /// as its source is.
    async fn aggregate_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        aggregation: &Arc<Aggregation>,
        time: Duration,
    ) -> Result<AggregateResult>;

    /// Removes documents that match, even at the moment of their removal: all, or as many as it finds in
    /// about `time`. `query_too_slow` if it found none in that time and has not searched everything.
    async fn delete_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<DeleteResult>;

    /// Whether the engine can write batches of several steps: `batches_unsupported`.
    async fn check_batches(&self) -> Result<()>;

    /// Writes a batch: all its steps in their order, or none of them. At its commit every step's document is as the step
    /// expects; if one is not, the batch is `document_busy`, and the documents have to be read again. `document_exists`
    /// for an insert whose `_id` nobody has looked for. Each refusal has the pointer of its step. A batch of more than one
    /// step needs [`Self::check_batches`]; one of a single check does nothing. `query_too_slow` after `time`, as far as
    /// the engine of this process does the work.
    async fn write_batch(
        &self,
        organization: &Organization,
        steps: Vec<BatchStep>,
        time: Duration,
    ) -> Result<()>;
}
