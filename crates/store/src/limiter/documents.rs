//! Documents, with the concurrency of each organization limited.

use super::expensive::{ExpensiveQueries, QueryPermit};
use super::merged_inserts::MergedInserts;
use super::tenant::TenantLimiter;
use super::write::Writes;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::aggregate::{AggregateResult, Aggregation};
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::query::explanation::Explanation;
use tenantry_documents::query::{DeleteResult, DocumentQuery, MatchCount, QueryPage};
use tenantry_domain::Result;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::{BatchStep, Documents, UpdateOutcome};

/// See [`super`].
pub(super) struct LimitedDocuments {
    inner: Arc<dyn Documents>,
    limiter: Arc<TenantLimiter>,
    expensive: ExpensiveQueries,
    writes: Writes,
    /// Where one call of many documents costs less than a call of each.
    merged: Option<MergedInserts>,
}

impl LimitedDocuments {
    pub(super) fn new(
        inner: Arc<dyn Documents>,
        limiter: &Arc<TenantLimiter>,
        expensive: ExpensiveQueries,
        writes: &Writes,
        merges_inserts: bool,
    ) -> Self {
        let merged = merges_inserts.then(|| MergedInserts::new(&inner, limiter, writes));
        Self { inner, limiter: limiter.clone(), expensive, writes: writes.clone(), merged }
    }
}

#[async_trait]
impl Documents for LimitedDocuments {
    async fn insert_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        mut documents: Vec<StoredDocument>,
    ) -> Result<Vec<Result<()>>> {
        if let Some(merged) = self.merged.as_ref().filter(|_| MergedInserts::takes(&documents))
            && let Some(document) = documents.pop()
        {
            return Ok(vec![merged.insert(organization, collection, document).await?]);
        }
        let permit = self.limiter.acquire_write(organization.id).await?;
        let (inner, organization, collection) =
            (self.inner.clone(), organization.clone(), collection.clone());
        self.writes
            .run(permit, async move { inner.insert_documents(&organization, &collection, documents).await })
            .await
    }

    async fn get_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
    ) -> Result<Option<StoredDocument>> {
        let _permit = self.limiter.acquire_read(organization.id).await?;
        self.inner.get_document(organization, collection, id).await
    }

    async fn update_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        document: StoredDocument,
        expected: Revision,
    ) -> Result<UpdateOutcome> {
        let permit = self.limiter.acquire_write(organization.id).await?;
        let (inner, organization, collection) =
            (self.inner.clone(), organization.clone(), collection.clone());
        self.writes
            .run(permit, async move {
                inner.update_document(&organization, &collection, document, expected).await
            })
            .await
    }

    async fn delete_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
        expected: Option<Revision>,
    ) -> Result<UpdateOutcome> {
        let permit = self.limiter.acquire_write(organization.id).await?;
        let (inner, organization, collection, id) =
            (self.inner.clone(), organization.clone(), collection.clone(), id.clone());
        self.writes
            .run(
                permit,
                async move { inner.delete_document(&organization, &collection, &id, expected).await },
            )
            .await
    }

    async fn find_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        query: &DocumentQuery,
    ) -> Result<QueryPage> {
        let queued = self.expensive.join(organization.id, &query.filter, query.time).await?;
        let _permit = self.limiter.acquire_read(organization.id).await?;
        let Some(query_permit) = queued.begin().await? else {
            return self.inner.find_documents(organization, collection, query).await;
        };
        let query = DocumentQuery { time: query_permit.time(), ..query.clone() };
        self.inner.find_documents(organization, collection, &query).await
    }

    async fn explain_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        query: &DocumentQuery,
    ) -> Result<Explanation> {
        let queued = self.expensive.join(organization.id, &query.filter, query.time).await?;
        let _permit = self.limiter.acquire_read(organization.id).await?;
        let Some(query_permit) = queued.begin().await? else {
            return self.inner.explain_documents(organization, collection, query).await;
        };
        let query = DocumentQuery { time: query_permit.time(), ..query.clone() };
        self.inner.explain_documents(organization, collection, &query).await
    }

    async fn count_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<MatchCount> {
        let queued = self.expensive.join(organization.id, filter, time).await?;
        let _permit = self.limiter.acquire_read(organization.id).await?;
        let query_permit = queued.begin().await?;
        let time = query_permit.as_ref().map_or(time, QueryPermit::time);
        self.inner.count_matching(organization, collection, filter, time).await
    }

    async fn aggregate_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        aggregation: &Arc<Aggregation>,
        time: Duration,
    ) -> Result<AggregateResult> {
        let filter = &aggregation.source().filter;
        let queued = self.expensive.join(organization.id, filter, time).await?;
        let _permit = self.limiter.acquire_read(organization.id).await?;
        let query_permit = queued.begin().await?;
        let time = query_permit.as_ref().map_or(time, QueryPermit::time);
        self.inner.aggregate_documents(organization, collection, aggregation, time).await
    }

    async fn delete_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<DeleteResult> {
        let queued = self.expensive.join(organization.id, filter, time).await?;
        let permit = self.limiter.acquire_write(organization.id).await?;
        let query_permit = queued.begin().await?;
        let time = query_permit.as_ref().map_or(time, QueryPermit::time);
        let (inner, organization, collection, filter) =
            (self.inner.clone(), organization.clone(), collection.clone(), filter.clone());
        self.writes
            .run(permit, async move {
                let _permit = query_permit;
                inner.delete_matching(&organization, &collection, &filter, time).await
            })
            .await
    }

    async fn check_batches(&self) -> Result<()> {
        self.inner.check_batches().await
    }

    async fn write_batch(
        &self,
        organization: &Organization,
        steps: Vec<BatchStep>,
        time: Duration,
    ) -> Result<()> {
        let permit = self.limiter.acquire_write(organization.id).await?;
        let (inner, organization) = (self.inner.clone(), organization.clone());
        self.writes.run(permit, async move { inner.write_batch(&organization, steps, time).await }).await
    }
}
