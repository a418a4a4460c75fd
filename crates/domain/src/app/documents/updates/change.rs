//! The change of one document: read, checked, changed and written if its revision is still the same.

use super::requests::{KeyedUpdate, UpdateResult};
use crate::app::documents::document_locks::DocumentLock;
use crate::app::documents::{BACKOFF_MAX, Documents, RevisionPrecondition, first_revision};
use crate::collection::CollectionName;
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{DOCUMENT_LOCK_WAIT, OPERATION_WAIT};
use crate::offload;
use crate::organization::Organization;
use crate::store::UpdateOutcome;
use bson::{RawDocument, RawDocumentBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tenantry_documents::document::{DocumentId, EntryBudget, IndexKeys, KeyFormat, Revision, StoredDocument};
use tenantry_documents::filter::{Filter, MatchedPosition};
use tenantry_documents::fuel::Fuel;
use tenantry_documents::index::Index;
use tenantry_documents::update::{Update, UpdateContext, UpsertFields};
use tokio::time::Instant;

/// How to change one document.
#[derive(Clone, Copy)]
pub(super) struct ChangeRequest<'a> {
    pub(super) expected: &'a RevisionPrecondition,
    pub(super) filter: Option<&'a Arc<Filter>>,
    pub(super) update: &'a Arc<Update>,
    pub(super) keyed: Option<KeyedUpdate>,
}

/// The outcome of an attempt to change one document.
pub(super) enum Change {
    /// It is gone, or does not match any more.
    Missing,
    Done(UpdateResult),
}

impl Documents {
    /// Changes the document of that id, as one of many, unless another one was refused before.
    pub(super) async fn change_unless(
        &self,
        is_refused: &AtomicBool,
        organization: &Organization,
        collection: &CollectionName,
        id: DocumentId,
        filter: &Arc<Filter>,
        update: &Arc<Update>,
    ) -> (DocumentId, Result<Change>) {
        if is_refused.load(Ordering::Relaxed) {
            return (id, Ok(Change::Missing));
        }
        let changed = self.change_matching(organization, collection, &id, filter, update).await;
        if changed.is_err() {
            is_refused.store(true, Ordering::Relaxed);
        }
        (id, changed)
    }

    /// Changes the document of that id, of any revision, if it matches the filter at that moment.
    pub(super) async fn change_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
        filter: &Arc<Filter>,
        update: &Arc<Update>,
    ) -> Result<Change> {
        let expected = &RevisionPrecondition::default();
        let request = ChangeRequest { expected, filter: Some(filter), update, keyed: None };
        self.change(organization, collection, id, request).await
    }

    /// Changes the document of that id, if it matches the filter at that moment.
    pub(super) async fn change(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
        request: ChangeRequest<'_>,
    ) -> Result<Change> {
        let ChangeRequest { expected, filter, update, keyed } = request;
        let _lock = self.lock(organization, collection, id).await?;
        let began = Instant::now();
        while began.elapsed() < OPERATION_WAIT {
            let current = self.documents.get_document(organization, collection, id).await?;
            let Some(current) = current else { return Ok(Change::Missing) };
            if keyed.is_some_and(|keyed| keyed.is_again && current.revision >= keyed.earliest) {
                return Err(ErrorCode::IdempotencyOutcomeUnknown.into());
            }
            if !expected.allows(current.revision) {
                return Err(ErrorCode::VersionMismatch.into());
            }
            let next = self.next(&current, filter, update).await?;
            let Some(body) = next else { return Ok(Change::Missing) };
            let Some(body) = body else {
                let after = Some(current.clone());
                return Ok(Change::Done(UpdateResult { before: Some(current), after, is_modified: false }));
            };
            let checked = self.schemas.check(organization, collection, Some(&current.body), &body).await?;
            let earliest = KeyedUpdate::earliest(keyed);
            let revision = current.revision.next().max(first_revision(self.sources.now())).max(earliest);
            let next = StoredDocument { body, revision };
            let written =
                self.documents.update_document(organization, collection, next.clone(), current.revision);
            match written.await? {
                UpdateOutcome::Done => {
                    self.schemas.warn(organization, checked.warnings());
                    let (before, after) = (Some(current), Some(next));
                    return Ok(Change::Done(UpdateResult { before, after, is_modified: true }));
                }
                UpdateOutcome::Stale if expected.allows_any() => self.back_off().await,
                UpdateOutcome::Stale => return Err(ErrorCode::VersionMismatch.into()),
            }
        }
        Err(ErrorCode::DocumentBusy.into())
    }

    /// The next state of a document: `None` if it does not match, `Some(None)` if it stays as it is.
    async fn next(
        &self,
        current: &StoredDocument,
        filter: Option<&Arc<Filter>>,
        update: &Arc<Update>,
    ) -> Result<Option<Option<RawDocumentBuf>>> {
        let (now, max_bytes) = (self.sources.now().as_millisecond(), self.max_bytes);
        let (filter, update, body) = (filter.cloned(), update.clone(), current.body.clone());
        let is_short = update.is_short() && filter.as_ref().is_none_or(|filter| filter.price().is_short());
        let bytes = body.as_bytes().len() + update.bytes();
        let work = move || updated(&body, filter.as_deref(), &update, now, max_bytes);
        if is_short { offload::by_size(bytes, work).await? } else { offload::elsewhere(work).await? }
    }

    /// Computes the next state of a document and checks it as its write would, but for what depends on other documents.
    pub(super) async fn rehearse(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        current: &StoredDocument,
        filter: &Arc<Filter>,
        update: &Arc<Update>,
        indexes: &[Index],
    ) -> Result<()> {
        let Some(Some(body)) = self.next(current, Some(filter), update).await? else { return Ok(()) };
        self.schemas.check(organization, collection, Some(&current.body), &body).await?;
        if indexes.is_empty() {
            return Ok(());
        }
        let (bytes, indexes) = (body.as_bytes().len() * indexes.len(), indexes.to_vec());
        let work = move || {
            let (fuel, mut budget) = (Fuel::for_document(), EntryBudget::of_document());
            for index in &indexes {
                let keys = IndexKeys::of(index, KeyFormat::Whole, &body, &mut budget, &fuel);
                keys.map_err(|error| Error::invalid_field("", error.to_string()))?;
            }
            Ok(())
        };
        offload::by_size(bytes, work).await?
    }

    /// Removes the document of that id, if it matches the filter at that moment.
    pub(super) async fn remove(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
        filter: &Arc<Filter>,
    ) -> Result<Change> {
        let _lock = self.lock(organization, collection, id).await?;
        let began = Instant::now();
        while began.elapsed() < OPERATION_WAIT {
            let current = self.documents.get_document(organization, collection, id).await?;
            let Some(current) = current else { return Ok(Change::Missing) };
            let (wanted, body) = (filter.clone(), current.body.clone());
            let matches = move || wanted.evaluate(&body, &Fuel::for_document());
            let is_match = match filter.price().is_short() {
                true => offload::by_size(current.body.as_bytes().len(), matches).await??,
                false => offload::elsewhere(matches).await??,
            };
            if !is_match {
                return Ok(Change::Missing);
            }
            let expected = Some(current.revision);
            match self.documents.delete_document(organization, collection, id, expected).await? {
                UpdateOutcome::Done => {
                    let before = Some(current);
                    return Ok(Change::Done(UpdateResult { before, after: None, is_modified: true }));
                }
                UpdateOutcome::Stale => self.back_off().await,
            }
        }
        Err(ErrorCode::DocumentBusy.into())
    }

    /// Inserts the document that an upsert makes, with a revision of at least `earliest`.
    pub(super) async fn upsert(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        update: &Arc<Update>,
        fields: UpsertFields,
        earliest: Revision,
    ) -> Result<StoredDocument> {
        let (time, max_bytes) = (self.sources.now(), self.max_bytes);
        let now = time.as_millisecond();
        let (update, new_id) = (update.clone(), self.new_object_id());
        let work = move || {
            let fuel = Fuel::for_document();
            let context = context(now, MatchedPosition::Unknown, max_bytes, &fuel);
            update.insert(fields, || DocumentId::of_object_id(new_id), context)
        };
        let body = offload::elsewhere(work).await??;
        let made = StoredDocument { body, revision: first_revision(time).max(earliest) };
        self.insert_one(organization, collection, &made).await?;
        Ok(made)
    }

    async fn lock(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
    ) -> Result<DocumentLock> {
        let lock = self.locks.acquire(organization.id, collection, id);
        // Those before it make progress, so it waits longer than for a change that others might outrun.
        tokio::time::timeout(DOCUMENT_LOCK_WAIT, lock).await.map_err(|_| ErrorCode::DocumentBusy.into())
    }

    pub(in crate::app::documents) async fn back_off(&self) {
        let [share] = self.sources.random();
        tokio::time::sleep(BACKOFF_MAX * u32::from(share) / u32::from(u8::MAX)).await;
    }
}

const fn context<'a>(
    now: i64,
    position: MatchedPosition,
    max_bytes: usize,
    fuel: &'a Fuel<'a>,
) -> UpdateContext<'a> {
    UpdateContext { now, position, max_bytes, fuel }
}

#[expect(clippy::option_option, reason = "that it does not match is another thing than that it stays")]
fn updated(
    body: &RawDocument,
    filter: Option<&Filter>,
    update: &Update,
    now: i64,
    max_bytes: usize,
) -> Result<Option<Option<RawDocumentBuf>>> {
    let fuel = Fuel::for_document();
    let mut position = MatchedPosition::Unknown;
    if let Some(filter) = filter {
        if !filter.evaluate(body, &fuel)? {
            return Ok(None);
        }
        if update.needs_position() {
            position = filter.matched_position(body, &fuel)?;
        }
    }
    Ok(Some(update.apply(body, context(now, position, max_bytes, &fuel))?))
}
