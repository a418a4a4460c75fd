//! Documents of an organization.

mod aggregate;
mod batch;
mod budget;
mod explain;
mod find;
mod index_entries;
mod index_scan;
mod write;

pub(super) use index_entries::{IndexSizes, have_duplicate, is_taken, keys};
pub(super) use write::used;

use super::Sqlite;
use super::collections::scope::Scope;
use super::engine_error::EngineResult;
use async_trait::async_trait;
use budget::Budget;
use find::DocumentLookup;
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::aggregate::{AggregateResult, Aggregation};
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::{Filter, FilterPrice};
use tenantry_documents::query::explanation::Explanation;
use tenantry_documents::query::{DeleteResult, DocumentQuery, MatchCount, QueryPage};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::metrics::QUERY_STARTS;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::{BatchStep, Documents, UpdateOutcome};
use tenantry_domain::{ErrorCode, Result};

/// Bytes of the largest document that is read on an async thread; larger ones would delay other requests
/// there.
const POINT_MAX_BYTES: usize = 256 << 10;

#[async_trait]
impl Documents for Sqlite {
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn insert_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        documents: Vec<StoredDocument>,
    ) -> Result<Vec<Result<()>>> {
        let (name, quota) = (collection.clone(), organization.quota);
        let container = self.container_with_file(organization).await?;
        container.write(move |scope| write::insert(scope, &name, quota, &documents)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn get_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
    ) -> Result<Option<StoredDocument>> {
        let container = self.container(organization).await?;
        let near =
            container.point(|connection| find::get(connection, collection, id, POINT_MAX_BYTES)).await?;
        let found = match near {
            DocumentLookup::TooLarge => {
                let (name, id) = (collection.clone(), id.clone());
                container.scan(move |scope| find::get(scope.connection, &name, &id, usize::MAX)).await?
            }
            near => near,
        };
        Ok(match found {
            DocumentLookup::Read(document) => Some(document),
            DocumentLookup::Missing | DocumentLookup::TooLarge => None,
        })
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn update_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        document: StoredDocument,
        expected: Revision,
    ) -> Result<UpdateOutcome> {
        let (name, quota) = (collection.clone(), organization.quota);
        let container = self.container_with_file(organization).await?;
        container.write(move |scope| write::update(scope, &name, quota, &document, expected)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn delete_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
        expected: Option<Revision>,
    ) -> Result<UpdateOutcome> {
        let (name, id) = (collection.clone(), id.clone());
        let container = self.container_with_file(organization).await?;
        container.write(move |scope| write::delete(scope, &name, &id, expected)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn find_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        query: &DocumentQuery,
    ) -> Result<QueryPage> {
        let (name, query) = (collection.clone(), query.clone());
        let (price, time) = (query.filter.price(), query.time);
        let find = move |scope: Scope<'_>, budget: Budget<'_>| find::find(scope, &name, &query, budget);
        self.read(organization, price, time, find).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn explain_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        query: &DocumentQuery,
    ) -> Result<Explanation> {
        let (name, query) = (collection.clone(), query.clone());
        let (price, time) = (query.filter.price(), query.time);
        let explain =
            move |scope: Scope<'_>, budget: Budget<'_>| explain::explain(scope, &name, &query, budget);
        self.read(organization, price, time, explain).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn count_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<MatchCount> {
        let (name, filter, price) = (collection.clone(), filter.clone(), filter.price());
        let count = move |scope: Scope<'_>, budget: Budget<'_>| find::count(scope, &name, &filter, budget);
        self.read(organization, price, time, count).await
    }

    /// Always on a blocking thread: its length is not known from its price.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn aggregate_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        aggregation: &Arc<Aggregation>,
        time: Duration,
    ) -> Result<AggregateResult> {
        let (name, aggregation) = (collection.clone(), aggregation.clone());
        let container = self.container(organization).await?;
        metrics::counter!(QUERY_STARTS, "thread" => "blocking").increment(1);
        let (budget, processor) = (Budget::until_after(time), self.processor.clone());
        container
            .scan(move |scope| aggregate::aggregate(scope, &name, &aggregation, budget.on(&processor)))
            .await
    }

    /// Finds some documents and removes them, then the next ones: the writer checks each again.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn delete_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<DeleteResult> {
        let budget = Budget::until_after(time);
        let container = self.container_with_file(organization).await?;
        let (mut next, mut documents, mut scanned) = (None, 0, None);
        loop {
            let (name, wanted, processor) = (collection.clone(), filter.clone(), self.processor.clone());
            let find = move |scope: Scope<'_>| {
                find::matching(scope, &name, &wanted, next.as_ref(), budget.on(&processor))
            };
            let found = container.scan(find).await?;
            let mut stopped = found.stopped;
            // What the first round says: later ones find fewer.
            scanned = scanned.or(found.scanned);
            if !found.candidates.is_empty() {
                let (name, wanted) = (collection.clone(), filter.clone());
                let candidates = found.candidates;
                let removed = container
                    .write(move |scope| write::delete_those(scope, &name, &wanted, &candidates, budget))
                    .await?;
                documents += removed.documents;
                stopped = stopped.or(removed.stopped);
            }
            next = found.next;
            match stopped {
                Some(_) if documents > 0 => return Ok(DeleteResult { documents, more: true, scanned }),
                Some(error) => return Err(error),
                None if next.is_none() => return Ok(DeleteResult { documents, more: false, scanned }),
                None => {}
            }
        }
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn check_batches(&self) -> Result<()> {
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn write_batch(
        &self,
        organization: &Organization,
        steps: Vec<BatchStep>,
        time: Duration,
    ) -> Result<()> {
        let quota = organization.quota;
        let container = self.container_with_file(organization).await?;
        container.write(move |scope| batch::write(scope, quota, &steps, time)).await
    }
}

impl Sqlite {
    /// Reads on this thread if the read is expected to be short; otherwise, or if it turns out to be long, it
    /// starts over on a blocking thread. Most queries find few documents through an index, in less time than
    /// another thread needs to start.
    async fn read<T: Send + 'static>(
        &self,
        organization: &Organization,
        price: FilterPrice,
        time: Duration,
        read: impl Fn(Scope<'_>, Budget<'_>) -> EngineResult<T> + Send + 'static,
    ) -> Result<T> {
        let container = self.container(organization).await?;
        if price.is_short() {
            metrics::counter!(QUERY_STARTS, "thread" => "async").increment(1);
            match container.glance(|scope| read(scope, Budget::inline())).await {
                Err(error) if error.code() == ErrorCode::QueryTooSlow => {}
                done => return done,
            }
        }
        metrics::counter!(QUERY_STARTS, "thread" => "blocking").increment(1);
        let (budget, processor) = (Budget::until_after(time), self.processor.clone());
        container.scan(move |scope| read(scope, budget.on(&processor))).await
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::statement::Statement;
    use super::{batch, find, index_entries, index_scan, write};

    pub(crate) const STATEMENTS: [&[Statement]; 5] = [
        batch::STATEMENTS,
        write::STATEMENTS,
        index_entries::STATEMENTS,
        find::STATEMENTS,
        index_scan::STATEMENTS,
    ];
}
