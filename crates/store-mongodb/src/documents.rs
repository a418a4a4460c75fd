//! Documents of an organization: one by its `_id`; the other operations have a file each.
//!
//! # Pitfalls
//! Never decode a document: it may be nested so deep that a recursive reader overflows the stack. Documents stay
//! bytes.

mod aggregate;
mod batch;
mod checked;
mod explain;
mod find;
pub(crate) mod index_entries;
mod insert;
pub(crate) mod layout;
mod remove;
mod sizes;
mod traces;
mod update;
mod write;

use crate::collections::command::{Amount, Command};
use crate::collections::index_cache::IndexCache;
use crate::engine_error::EngineError;
use crate::placements::Placements;
use crate::quota::Quotas;
use async_trait::async_trait;
use batch::BatchWriter;
use bson::RawDocument;
use find::DocumentFinder;
use insert::DocumentInserter;
use remove::DocumentRemover;
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::aggregate::{AggregateResult, Aggregation};
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::query::explanation::Explanation;
use tenantry_documents::query::{DeleteResult, DocumentQuery, MatchCount, QueryPage};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::{Error, ErrorCode, Result};
use tenantry_domain::organization::Organization;
use tenantry_domain::processor::Processor;
use tenantry_domain::store::{self, BatchChange, BatchStep, UpdateOutcome};
use update::DocumentUpdater;

/// See [`store::Documents`].
pub(crate) struct Documents {
    placements: Placements,
    finder: DocumentFinder,
    inserter: DocumentInserter,
    updater: DocumentUpdater,
    remover: DocumentRemover,
    batches: BatchWriter,
}

impl Documents {
    pub(crate) fn new(placements: Placements, quotas: &Quotas, indexes: IndexCache) -> Self {
        let (claims, usage) = (quotas.documents.clone(), quotas.usage.clone());
        let processor = Arc::<Processor>::default();
        Self {
            batches: BatchWriter::new(placements.clone(), claims.clone(), usage.clone(), indexes.clone()),
            placements,
            finder: DocumentFinder::new(indexes.clone(), processor.clone()),
            inserter: DocumentInserter::new(claims.clone(), indexes.clone()),
            updater: DocumentUpdater::new(claims.clone(), indexes.clone()),
            remover: DocumentRemover::new(claims, usage, indexes, processor),
        }
    }
}

#[async_trait]
impl store::Documents for Documents {
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn insert_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        documents: Vec<StoredDocument>,
    ) -> Result<Vec<Result<()>>> {
        let mut handle = self.placements.resolve(organization, collection).await?;
        Ok(self.inserter.insert(&mut handle, &documents).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn get_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
    ) -> Result<Option<StoredDocument>> {
        let mut handle = self.placements.resolve(organization, collection).await?;
        let layout = handle.layout().clone();
        let find = Command::reading("find", layout.find_by_id(id))?;
        let read = |document: &RawDocument| layout.decode(document);
        let (mut found, _) = handle.read(&find, Amount::ALL, handle.connection().deadline(), read).await?;
        Ok(found.pop())
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn update_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        document: StoredDocument,
        expected: Revision,
    ) -> Result<UpdateOutcome> {
        let mut handle = self.placements.resolve(organization, collection).await?;
        self.updater.update(&mut handle, &document, expected).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn delete_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
        expected: Option<Revision>,
    ) -> Result<UpdateOutcome> {
        let mut handle = self.placements.resolve(organization, collection).await?;
        Ok(self.updater.delete(&mut handle, id, expected).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn find_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        query: &DocumentQuery,
    ) -> Result<QueryPage> {
        let mut handle = self.placements.resolve(organization, collection).await?;
        self.finder.find(&mut handle, query).await.map_err(EngineError::of_query)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn explain_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        query: &DocumentQuery,
    ) -> Result<Explanation> {
        let mut handle = self.placements.resolve(organization, collection).await?;
        self.finder.explain(&mut handle, query).await.map_err(EngineError::of_query)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn count_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<MatchCount> {
        let mut handle = self.placements.resolve(organization, collection).await?;
        self.finder.count(&mut handle, filter, time).await.map_err(EngineError::of_query)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn aggregate_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        aggregation: &Arc<Aggregation>,
        time: Duration,
    ) -> Result<AggregateResult> {
        let mut handle = self.placements.resolve(organization, collection).await?;
        self.finder.aggregate(&mut handle, aggregation, time).await.map_err(EngineError::of_query)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn delete_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<DeleteResult> {
        let mut handle = self.placements.resolve(organization, collection).await?;
        self.remover.delete_matching(&mut handle, filter, time).await.map_err(EngineError::of_query)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn check_batches(&self) -> Result<()> {
        self.batches.check_support().await
    }

    /// No document is computed here, so there is no work to bound but the waiting for the server.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn write_batch(
        &self,
        organization: &Organization,
        steps: Vec<BatchStep>,
        _time: Duration,
    ) -> Result<()> {
        match &steps[..] {
            [step] => self.write_step(organization, step).await.map_err(|error| error.below(&step.pointer())),
            steps => self.batches.write(organization, steps).await,
        }
    }
}

impl Documents {
    /// Writes a batch of one step, which needs no transaction.
    async fn write_step(&self, organization: &Organization, step: &BatchStep) -> Result<()> {
        let mut handle = self.placements.resolve(organization, &step.collection).await?;
        let written = match &step.change {
            BatchChange::Check { .. } => UpdateOutcome::Done,
            BatchChange::Insert { document, was_missing } => {
                let one = std::slice::from_ref(document);
                match self.inserter.insert(&mut handle, one).await?.into_iter().next() {
                    // Somebody else has inserted it since.
                    Some(Err(error)) if *was_missing && error.code() == ErrorCode::DocumentExists => {
                        UpdateOutcome::Stale
                    }
                    Some(outcome) => outcome.map(|()| UpdateOutcome::Done)?,
                    None => return Err(Error::internal("an insert without an outcome")),
                }
            }
            BatchChange::Replace { before, after } => {
                self.updater.update(&mut handle, after, before.revision).await?
            }
            BatchChange::Delete { before } => {
                let id = before.id().ok_or_else(|| Error::internal("a document without an _id"))?;
                self.updater.delete(&mut handle, &id, Some(before.revision)).await?
            }
        };
        match written {
            UpdateOutcome::Done => Ok(()),
            UpdateOutcome::Stale => Err(ErrorCode::DocumentBusy.into()),
        }
    }
}
