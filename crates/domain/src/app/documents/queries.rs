//! Documents that match a filter: pages, counts, aggregates, deletes.

use super::Documents;
use super::cursor::{self, PageRequest, position};
use crate::app::tenant::{Read, TenantAccess, Write};
use crate::collection::CollectionName;
use crate::error::{Error, Result};
use crate::limits::PAGE_MAX_BYTES;
use crate::offload;
use std::sync::Arc;
use tenantry_documents::aggregate::{AggregateResult, Aggregation};
use tenantry_documents::document::StoredDocument;
use tenantry_documents::filter::Filter;
use tenantry_documents::query::explanation::Explanation;
use tenantry_documents::query::{DeleteResult, DocumentQuery, MatchCount, SORT_POINTER};

/// A page of documents for the caller.
#[derive(Debug, Clone)]
pub struct DocumentPage {
    /// The documents, in order.
    pub documents: Vec<StoredDocument>,
    /// Where the next page begins; `None` on the last one.
    pub next_cursor: Option<String>,
    /// How many documents were examined, if no index served the query.
    pub scanned: Option<u64>,
}

impl Documents {
    /// A page of the documents that match.
    ///
    /// # Errors
    /// `collection_not_found`, `query_too_slow`; `invalid_input` for a bad cursor, or documents that cannot be sorted so.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn find_documents(
        &self,
        tenant: &TenantAccess<Read>,
        collection: &CollectionName,
        request: PageRequest,
    ) -> Result<DocumentPage> {
        // As for an insert: a query may come in a body.
        let tenant = &self.auth.renew(tenant).await?;
        let sort_at = request.sort_at;
        let (organization, name, price) =
            (tenant.organization().id, collection.clone(), request.filter.price());
        let scoped = move || request.scope(organization, &name).map(|scope| (request, scope));
        let (request, scope) = offload::by_price(price, scoped).await??;
        let query = DocumentQuery {
            after: request.position(&self.mac_keys, &scope)?,
            filter: request.filter,
            sort: request.sort,
            limit: request.limit.items(),
            max_bytes: PAGE_MAX_BYTES,
            time: self.query_time,
        };
        let found = self.documents.find_documents(tenant.organization(), collection, &query).await;
        let found = found.map_err(|error| error.moved(SORT_POINTER, sort_at))?;
        let last = found.documents.last().filter(|_| found.more);
        let next_cursor = match last {
            Some(last) => {
                let position = position(query.sort, &last.body).await?;
                Some(cursor::seal(self.mac_keys.current(), &scope, &position))
            }
            None => None,
        };
        Ok(DocumentPage { documents: found.documents, next_cursor, scanned: found.scanned })
    }

    /// How the first page of the documents that match is found.
    ///
    /// # Errors
    /// As [`Self::find_documents`], and `invalid_input` for a cursor.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn explain_documents(
        &self,
        tenant: &TenantAccess<Read>,
        collection: &CollectionName,
        request: PageRequest,
    ) -> Result<Explanation> {
        // As for a page.
        let tenant = &self.auth.renew(tenant).await?;
        if request.cursor.is_some() {
            let detail = "Only the first page can be explained: leave the cursor out.";
            return Err(Error::invalid_field(request.cursor_at, detail));
        }
        let query = DocumentQuery {
            after: None,
            filter: request.filter,
            sort: request.sort,
            limit: request.limit.items(),
            max_bytes: PAGE_MAX_BYTES,
            time: self.query_time,
        };
        let explained = self.documents.explain_documents(tenant.organization(), collection, &query).await;
        explained.map_err(|error| error.moved(SORT_POINTER, request.sort_at))
    }

    /// How many documents match.
    ///
    /// # Errors
    /// `collection_not_found`, `query_too_slow`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn count_documents(
        &self,
        tenant: &TenantAccess<Read>,
        collection: &CollectionName,
        filter: &Filter,
    ) -> Result<MatchCount> {
        // As for a page.
        let tenant = &self.auth.renew(tenant).await?;
        let time = self.query_time;
        self.documents.count_matching(tenant.organization(), collection, filter, time).await
    }

    /// What an aggregate computes from the documents.
    ///
    /// # Errors
    /// `collection_not_found`, `query_too_slow`; `invalid_input` where a document gives a stage no result, or a bound is
    /// exceeded.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn aggregate_documents(
        &self,
        tenant: &TenantAccess<Read>,
        collection: &CollectionName,
        aggregation: Aggregation,
    ) -> Result<AggregateResult> {
        // As for a page.
        let tenant = &self.auth.renew(tenant).await?;
        let (organization, time) = (tenant.organization(), self.query_time);
        if let Some((filter, name)) = aggregation.as_count() {
            let counted = self.documents.count_matching(organization, collection, filter, time).await?;
            return Ok(AggregateResult::of_count(name, counted));
        }
        let aggregation = Arc::new(aggregation);
        let found = self.documents.aggregate_documents(organization, collection, &aggregation, time).await;
        found.map_err(|error| error.moved(SORT_POINTER, &aggregation.source().sort_at))
    }

    /// Removes the documents that match: all, or as many as it finds within the time limit of a query.
    ///
    /// # Errors
    /// `collection_not_found`; `query_too_slow` if it found none in that time, so that another try would not
    /// help.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn delete_documents(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        filter: &Filter,
    ) -> Result<DeleteResult> {
        // As for an insert: the filter may come in a body.
        let tenant = &self.auth.renew(tenant).await?;
        let time = self.query_time;
        self.documents.delete_matching(tenant.organization(), collection, filter, time).await
    }
}
