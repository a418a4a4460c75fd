//! An update of all documents that match: a page at a time, in the order of the ids, up to the first document that cannot
//! be changed.
//!
//! Several documents are written at the same time, but none behind one that cannot be changed: a page is computed and
//! checked before anything of it is written. Whether a quota or a unique index refuses a document depends on those written
//! before it, so under one of these documents are written one after the other.

use super::change::Change;
use super::requests::{UpdateManyResult, UpdateRequest};
use super::{FILTER_POINTER, UPSERT_ATTEMPTS, is_race};
use crate::app::documents::Documents;
use crate::app::documents::cursor::position;
use crate::app::tenant::{TenantAccess, Write};
use crate::collection::CollectionName;
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{UPDATE_PAGE_DOCUMENTS, UPDATES_AT_ONCE};
use crate::organization::Organization;
use futures_util::StreamExt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::index::Index;
use tenantry_documents::query::QueryPage;
use tenantry_documents::sort::Sort;
use tenantry_documents::update::{Update, UpsertFields};
use tokio::time::Instant;

/// An update of many documents in one collection.
#[derive(Clone, Copy)]
struct ManyUpdate<'a> {
    organization: &'a Organization,
    collection: &'a CollectionName,
    filter: &'a Arc<Filter>,
    update: &'a Arc<Update>,
}

impl Documents {
    /// Updates all documents that match, or as many as it reaches within the time limit of a query.
    ///
    /// # Errors
    /// As [`Self::update_document`], if no document has been changed; `query_too_slow` if it reached none in that time.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn update_documents(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        request: &UpdateRequest,
    ) -> Result<UpdateManyResult> {
        // As for an insert.
        let tenant = &self.auth.renew(tenant).await?;
        let organization = tenant.organization();
        let UpdateRequest { filter, update, upsert } = request;
        for _ in 0..UPSERT_ATTEMPTS {
            let result = self.update_all(ManyUpdate { organization, collection, filter, update }).await?;
            if result.matched > 0 || result.refused.is_some() || !upsert {
                return Ok(result);
            }
            let fields = UpsertFields::of_filter(filter, FILTER_POINTER)?;
            match self.upsert(organization, collection, update, fields, Revision::UNKNOWN).await {
                Ok(made) => return Ok(UpdateManyResult { upserted: Some(made), ..result }),
                Err(error)
                    if is_race(&error) && self.matches_now(organization, collection, filter).await? => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorCode::DocumentBusy.into())
    }

    async fn update_all(&self, many: ManyUpdate<'_>) -> Result<UpdateManyResult> {
        let ManyUpdate { organization, collection, filter, .. } = many;
        let began = Instant::now();
        let indexes = self.collections.list_indexes(organization, collection).await?;
        let quota = organization.quota;
        let in_turn =
            quota.bytes.is_some() || quota.index_bytes.is_some() || indexes.iter().any(|index| index.unique);
        let mut result = UpdateManyResult::default();
        let mut after = None;
        loop {
            let found =
                self.page(organization, collection, filter, Sort::default(), after, UPDATE_PAGE_DOCUMENTS);
            let page = match found.await {
                Err(error) if result.matched > 0 && error.code() == ErrorCode::QueryTooSlow => {
                    return Ok(UpdateManyResult { more: true, ..result });
                }
                page => page?,
            };
            // What the first page says is what a query would.
            result.scanned = result.scanned.or(page.scanned);
            let together = if in_turn { 0 } else { self.count_applicable(many, &indexes, &page).await };
            self.update_page(many, &page, together, &mut result).await;
            if let Some((_, error)) = &result.refused {
                if result.modified == 0 || is_failure(error) {
                    return Err(error.clone());
                }
                return Ok(UpdateManyResult { more: true, ..result });
            }
            let Some(last) = page.documents.last().filter(|_| page.more) else { return Ok(result) };
            after = Some(position(Sort::default(), &last.body).await?);
            if began.elapsed() >= self.query_time {
                return Ok(UpdateManyResult { more: true, ..result });
            }
        }
    }

    /// How many documents the page has before the first one that cannot be changed.
    async fn count_applicable(&self, many: ManyUpdate<'_>, indexes: &[Index], page: &QueryPage) -> usize {
        let mut applicable = 0;
        for document in &page.documents {
            let ManyUpdate { organization, collection, filter, update } = many;
            let rehearsed = self.rehearse(organization, collection, document, filter, update, indexes);
            if rehearsed.await.is_err() {
                break;
            }
            applicable += 1;
        }
        applicable
    }

    /// Changes the documents of a page: the first `together` at the same time, the others one after the other.
    async fn update_page(
        &self,
        many: ManyUpdate<'_>,
        page: &QueryPage,
        together: usize,
        result: &mut UpdateManyResult,
    ) {
        let ids: Vec<DocumentId> = page.documents.iter().filter_map(StoredDocument::id).collect();
        let (first, others) = ids.split_at(together.min(ids.len()));
        let is_refused = AtomicBool::new(false);
        for (ids, at_once) in [(first, UPDATES_AT_ONCE), (others, 1)] {
            let ManyUpdate { organization, collection, filter, update } = many;
            let change = |id: DocumentId| {
                self.change_unless(&is_refused, organization, collection, id, filter, update)
            };
            let mut changes = futures_util::stream::iter(ids.to_vec()).map(change).buffered(at_once);
            while let Some((id, changed)) = changes.next().await {
                match changed {
                    Ok(Change::Missing) => {}
                    Ok(Change::Done(done)) => {
                        result.matched += 1;
                        result.modified += u64::from(done.is_modified);
                    }
                    Err(error) => {
                        // Those that have begun are finished and counted.
                        result.refused.get_or_insert((id, error));
                    }
                }
            }
        }
    }
}

/// Whether it is the service that failed, so that nobody knows what was changed.
fn is_failure(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::Internal | ErrorCode::StoreUnavailable | ErrorCode::Overloaded)
}
