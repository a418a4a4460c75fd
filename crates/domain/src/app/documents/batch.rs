//! Batches: operations on several documents of one organization, in one or more collections, all carried out or none.
//!
//! No engine executes an operation. The documents are read, changed here in the order of the operations, and written by
//! the engine in one transaction, which also holds every document to the revision that was read. If one has changed in
//! between, the batch begins again. So a check holds at the commit, and a transaction takes no longer than its writes.

mod apply;
mod moment;
mod plan;
mod request;

pub use request::{BatchAction, BatchCheck, BatchEffect, BatchOperation, BatchResult, KeyedBatch};

use super::document_locks::DocumentLock;
use super::schemas::{Reread, is_violation};
use super::{Documents, first_revision};
use crate::app::tenant::{TenantAccess, Write};
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{
    BATCH_MAX_BYTES, BATCH_READS_AT_ONCE, DOCUMENT_LOCK_WAIT, INLINE_MAX_BYTES, OPERATION_WAIT,
};
use crate::offload;
use crate::organization::Organization;
use crate::store::operation_pointer;
use futures_util::StreamExt;
use moment::{Moment, too_large};
use plan::{BatchPlan, BatchSchemas, ReadDocuments};
use request::DocumentKey;
use std::sync::Arc;
use tenantry_documents::document::{DocumentId, Revision};
use tokio::time::Instant;

impl Documents {
    /// Carries out all operations, in their order, or none. Each sees what those before it have done.
    ///
    /// # Errors
    /// With the pointer of the operation, as of a single change: `collection_not_found`, `document_not_found`,
    /// `document_exists`, `version_mismatch` (also for a check that fails), `schema_violation`, `unique_violation`,
    /// `quota_exceeded`, `invalid_input`, `query_too_slow`. Of the whole: `document_busy`, `batches_unsupported`,
    /// `idempotency_outcome_unknown`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn run_batch(
        &self,
        tenant: &TenantAccess<Write>,
        operations: Vec<BatchOperation>,
        keyed: Option<KeyedBatch>,
    ) -> Result<Vec<BatchResult>> {
        // As for an insert.
        let tenant = &self.auth.renew(tenant).await?;
        let organization = tenant.organization();
        if operations.len() > 1 {
            self.documents.check_batches().await?;
        }
        let operations = Arc::new(self.with_ids(operations, keyed));
        let wanted = request::documents_to_read(&operations, keyed.is_some_and(|keyed| keyed.is_again));
        let _locks = self.lock_all(organization, &wanted).await?;
        let began = Instant::now();
        while began.elapsed() < OPERATION_WAIT {
            let schemas = self.schemas_of(organization, &operations).await?;
            let read = self.read_all(organization, &operations, &wanted).await?;
            let plan = match self.plan(&operations, read, &schemas, keyed).await {
                // By the schemas of before.
                Err(error) if is_violation(&error) && self.have_changed(organization, &schemas).await? => {
                    continue;
                }
                Err(error) => return Err(self.point_out_lookalike(organization, &operations, error).await),
                Ok(plan) => plan,
            };
            if plan.is_done || plan.steps.is_empty() {
                return Ok(plan.results);
            }
            let written = self.documents.write_batch(organization, plan.steps, self.query_time).await;
            match written {
                Ok(()) => {
                    self.schemas.warn(organization, plan.warned);
                    return Ok(plan.results);
                }
                Err(error) if error.code() == ErrorCode::DocumentBusy => self.back_off().await,
                Err(error) => return Err(error),
            }
        }
        Err(ErrorCode::DocumentBusy.into())
    }

    /// The refusal of an operation, with the `id` that was probably meant if there is no document of its own.
    async fn point_out_lookalike(
        &self,
        organization: &Organization,
        operations: &[BatchOperation],
        error: Error,
    ) -> Error {
        let pointer = error.fields().first().map(|field| field.pointer.as_str()).unwrap_or_default();
        let refused = operations.iter().enumerate().find(|(place, _)| operation_pointer(*place) == pointer);
        let Some((place, operation)) = refused else { return error };
        let Some(id) = operation.id() else { return error };
        let is_check = match (&operation.action, error.code()) {
            (_, ErrorCode::DocumentNotFound) => false,
            (BatchAction::Check { check: BatchCheck::Exists, .. }, ErrorCode::VersionMismatch) => true,
            _ => return error,
        };
        let Some(other) = self.find_lookalike(organization, &operation.collection, id).await else {
            return error;
        };
        let begin = if is_check { "The check does not hold: there" } else { "There" };
        let detail = format!(
            "{begin} is no document of this `id`, but one whose `_id` is {}. As an `id` it is written `{other}`.",
            other.kind()
        );
        Error::new(error.code()).detail(detail).below(&operation_pointer(place))
    }

    /// The operations, with an `_id` for every document that has none.
    fn with_ids(&self, operations: Vec<BatchOperation>, keyed: Option<KeyedBatch>) -> Vec<BatchOperation> {
        let with_id = |(place, operation): (usize, BatchOperation)| {
            let BatchAction::Insert { id: None, document } = operation.action else { return operation };
            let id = document.id().cloned().unwrap_or_else(|| match keyed {
                Some(keyed) => keyed.id_of(place),
                None => DocumentId::of_object_id(self.new_object_id()),
            });
            BatchOperation { action: BatchAction::Insert { id: Some(id), document }, ..operation }
        };
        operations.into_iter().enumerate().map(with_id).collect()
    }

    /// Lets batches and updates of the same documents in this process wait for one another. All take their locks in one
    /// order, so none waits for one that waits for it.
    async fn lock_all(
        &self,
        organization: &Organization,
        wanted: &[DocumentKey],
    ) -> Result<Vec<DocumentLock>> {
        let mut order: Vec<&DocumentKey> = wanted.iter().collect();
        order.sort_by(|one, other| one.order().cmp(&other.order()));
        let acquire = async {
            let mut locks = Vec::with_capacity(order.len());
            for key in order {
                locks.push(self.locks.acquire(organization.id, &key.collection, &key.id).await);
            }
            locks
        };
        tokio::time::timeout(DOCUMENT_LOCK_WAIT, acquire).await.map_err(|_| ErrorCode::DocumentBusy.into())
    }

    /// The documents that operations need to see, as they are now.
    async fn read_all(
        &self,
        organization: &Organization,
        operations: &[BatchOperation],
        wanted: &[DocumentKey],
    ) -> Result<ReadDocuments> {
        let limit = self.batch_max_bytes();
        let (mut found, mut bytes) = (ReadDocuments::default(), 0);
        let read = |key: &DocumentKey| {
            let (collection, id) = (operations[key.operation].collection.clone(), key.id.clone());
            let (place, documents) = (key.operation, self.documents.clone());
            async move { (place, documents.get_document(organization, &collection, &id).await) }
        };
        let reads: Vec<_> = wanted.iter().map(read).collect();
        let mut reads = futures_util::stream::iter(reads).buffered(BATCH_READS_AT_ONCE);
        let mut keys = wanted.iter();
        while let (Some((place, document)), Some(key)) = (reads.next().await, keys.next()) {
            let document = document
                .map_err(|error| operations[place].name_absent(error).below(&operation_pointer(place)))?;
            bytes += document.as_ref().map_or(0, |document| document.body.as_bytes().len());
            if bytes > limit {
                return Err(too_large(place, limit));
            }
            found.insert(key, document);
        }
        Ok(found)
    }

    /// The schemas of the collections of the operations that write.
    async fn schemas_of(
        &self,
        organization: &Organization,
        operations: &[BatchOperation],
    ) -> Result<BatchSchemas> {
        let mut schemas = BatchSchemas::new();
        for (place, operation) in operations.iter().enumerate().filter(|(_, operation)| operation.stores()) {
            if !schemas.contains_key(&operation.collection) {
                let schema = self.schemas.get(organization, &operation.collection).await;
                let schema =
                    schema.map_err(|error| operation.name_absent(error).below(&operation_pointer(place)))?;
                schemas.insert(operation.collection.clone(), schema);
            }
        }
        Ok(schemas)
    }

    /// Whether one of the schemas is not that of its collection any more.
    async fn have_changed(&self, organization: &Organization, schemas: &BatchSchemas) -> Result<bool> {
        for (collection, schema) in schemas {
            let Some(schema) = schema else { continue };
            if !matches!(self.schemas.changed(organization, collection, schema).await?, Reread::Same) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Carries the operations out on the documents that were read.
    async fn plan(
        &self,
        operations: &Arc<Vec<BatchOperation>>,
        read: ReadDocuments,
        schemas: &BatchSchemas,
        keyed: Option<KeyedBatch>,
    ) -> Result<BatchPlan> {
        let now = self.sources.now();
        let earliest = keyed.map_or(Revision::UNKNOWN, |keyed| keyed.earliest());
        let moment = Moment {
            now: now.as_millisecond(),
            revision: read.next_revision().max(first_revision(now)).max(earliest),
            max_bytes: self.max_bytes,
            max_batch_bytes: self.batch_max_bytes(),
            ends: std::time::Instant::now() + self.query_time,
        };
        let bytes: usize = operations.iter().map(BatchOperation::bytes).sum::<usize>() + read.bytes();
        // What a check costs is not known before.
        let has_schema = schemas.values().any(Option::is_some);
        let is_short =
            !has_schema && bytes <= INLINE_MAX_BYTES && operations.iter().all(BatchOperation::is_short);
        let (operations, schemas) = (operations.clone(), schemas.clone());
        let work = move || BatchPlan::new(&operations, read, &schemas, moment, keyed);
        if is_short { work() } else { offload::elsewhere(work).await? }
    }

    /// The most bytes of the documents of a batch; one document is never too large for it.
    fn batch_max_bytes(&self) -> usize {
        BATCH_MAX_BYTES.max(2 * self.max_bytes)
    }
}
