//! Updates in MongoDB's language: of one document, of one or many that match a filter; and the delete of one that matches.
//!
//! No engine executes an update. A document is read, changed here, and written by a compare-and-set on its revision; a
//! change that comes too late begins again and checks the filter again. So each document is handed out once, and no
//! change is lost.

mod change;
mod many;
mod requests;

pub use requests::{FirstMatch, KeyedUpdate, UpdateManyResult, UpdateOne, UpdateRequest, UpdateResult};

use super::{Documents, RevisionPrecondition};
use crate::app::tenant::{TenantAccess, Write};
use crate::collection::CollectionName;
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{DOCUMENT_LOCK_WAIT, PAGE_MAX_BYTES, UPDATE_PAGE_DOCUMENTS};
use crate::organization::Organization;
use change::{Change, ChangeRequest};
use std::sync::Arc;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::query::{DocumentQuery, QueryPage, SORT_POINTER};
use tenantry_documents::sort::{Position, Sort};
use tenantry_documents::update::{Update, UpsertFields};
use tokio::time::Instant;

/// The pointer of the filter in a request.
const FILTER_POINTER: &str = "/filter";
/// How often an upsert looks again when somebody else has inserted what it was about to insert.
const UPSERT_ATTEMPTS: u32 = 8;

impl Documents {
    /// Updates the document of that id; with `upsert`, inserts it if there is none.
    ///
    /// # Errors
    /// `document_not_found`, `version_mismatch`, `schema_violation`, `unique_violation`, `quota_exceeded`,
    /// `document_busy`; `invalid_input` if the update cannot be applied to the document; `query_too_slow`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn update_document(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        id: &DocumentId,
        expected: &RevisionPrecondition,
        request: UpdateOne,
    ) -> Result<UpdateResult> {
        let UpdateOne { update, upsert, keyed } = request;
        // As for an insert.
        let tenant = &self.auth.renew(tenant).await?;
        let organization = tenant.organization();
        for _ in 0..UPSERT_ATTEMPTS {
            let request = ChangeRequest { expected, filter: None, update: &update, keyed };
            if let Change::Done(result) = self.change(organization, collection, id, request).await? {
                return Ok(result);
            }
            if !upsert {
                return Err(self.not_found(organization, collection, id).await);
            }
            if !expected.allows_insert() {
                return Err(ErrorCode::VersionMismatch.into());
            }
            let (fields, earliest) = (UpsertFields::of_id(id), KeyedUpdate::earliest(keyed));
            match self.upsert(organization, collection, &update, fields, earliest).await {
                Ok(made) => return Ok(UpdateResult { before: None, after: Some(made), is_modified: false }),
                Err(error) if error.code() == ErrorCode::DocumentExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorCode::DocumentBusy.into())
    }

    /// Updates the first document that matches, in the order of `sort`, if any does.
    ///
    /// # Errors
    /// As [`Self::update_document`].
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn update_first(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        request: &UpdateRequest,
        sort: &Sort,
    ) -> Result<FirstMatch> {
        // As for an insert.
        let tenant = &self.auth.renew(tenant).await?;
        let organization = tenant.organization();
        let UpdateRequest { filter, update, upsert } = request;
        for _ in 0..UPSERT_ATTEMPTS {
            let found = self.first(organization, collection, filter, sort, Some(update)).await?;
            if found.result.is_some() || !upsert {
                return Ok(found);
            }
            let fields = UpsertFields::of_filter(filter, FILTER_POINTER)?;
            match self.upsert(organization, collection, update, fields, Revision::UNKNOWN).await {
                Ok(made) => {
                    let result = UpdateResult { before: None, after: Some(made), is_modified: false };
                    return Ok(FirstMatch { result: Some(result), ..found });
                }
                Err(error)
                    if is_race(&error) && self.matches_now(organization, collection, filter).await? => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorCode::DocumentBusy.into())
    }

    /// Removes the first document that matches, in the order of `sort`, if any does; it is the result's `before`.
    ///
    /// # Errors
    /// `collection_not_found`, `query_too_slow`, `document_busy`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn delete_first(
        &self,
        tenant: &TenantAccess<Write>,
        collection: &CollectionName,
        filter: &Arc<Filter>,
        sort: &Sort,
    ) -> Result<FirstMatch> {
        // As for an insert.
        let tenant = &self.auth.renew(tenant).await?;
        let organization = tenant.organization();
        self.first(organization, collection, filter, sort, None).await
    }

    /// Updates the first document that matches or, without an update, removes it. Those that others take in the meantime are
    /// passed over.
    async fn first(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Arc<Filter>,
        sort: &Sort,
        update: Option<&Arc<Update>>,
    ) -> Result<FirstMatch> {
        let began = Instant::now();
        let mut limit = 1;
        // Those who take a document before it make progress: as for a lock, it waits longer than for one that might stand.
        while began.elapsed() < DOCUMENT_LOCK_WAIT.max(self.query_time) {
            let page = self.page(organization, collection, filter, sort.clone(), None, limit).await?;
            if page.documents.is_empty() {
                return Ok(FirstMatch { result: None, scanned: page.scanned });
            }
            for id in page.documents.iter().filter_map(StoredDocument::id) {
                let taken = match update {
                    Some(update) => {
                        self.change_matching(organization, collection, &id, filter, update).await?
                    }
                    None => self.remove(organization, collection, &id, filter).await?,
                };
                if let Change::Done(result) = taken {
                    return Ok(FirstMatch { result: Some(result), scanned: page.scanned });
                }
            }
            // Others take from the beginning of the order as well.
            limit = UPDATE_PAGE_DOCUMENTS;
        }
        Err(ErrorCode::DocumentBusy.into())
    }

    async fn page(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        sort: Sort,
        after: Option<Position>,
        limit: u32,
    ) -> Result<QueryPage> {
        let query = DocumentQuery {
            filter: filter.clone(),
            sort,
            after,
            limit,
            max_bytes: PAGE_MAX_BYTES,
            time: self.query_time,
        };
        let page = self.documents.find_documents(organization, collection, &query).await;
        page.map_err(|error| error.moved(SORT_POINTER, "/sort"))
    }

    async fn matches_now(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
    ) -> Result<bool> {
        let page = self.page(organization, collection, filter, Sort::default(), None, 1).await?;
        Ok(!page.documents.is_empty())
    }
}

/// Whether an insert has failed because somebody else has inserted the same.
fn is_race(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::DocumentExists | ErrorCode::UniqueViolation)
}
