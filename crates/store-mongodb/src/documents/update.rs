//! Updates and deletes one document: a conditional write on its revision, which is announced to the quota first.

use super::sizes::sizes_of;
use super::traces::traces;
use super::write::{append_durably, check_durable, delete_by, number, write_errors};
use crate::collections::command::Command;
use crate::collections::handle::CollectionHandle;
use crate::collections::index_cache::IndexCache;
use crate::engine_error::EngineResult;
use crate::quota::claim::{Claims, PendingClaim};
use crate::quota::limits::is_limited;
use crate::quota::size::Size;
use crate::records::update_outcome;
use bson::raw::{RawArrayBuf, cstr};
use bson::{RawDocumentBuf, rawdoc};
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_domain::error::{Error, ErrorCode, Result};
use tenantry_domain::store::UpdateOutcome;

/// How often the deletion of a document is tried while others change it.
const MAX_ATTEMPTS: u32 = 16;

/// See [`self`].
pub(super) struct DocumentUpdater {
    claims: Claims,
    indexes: IndexCache,
}

impl DocumentUpdater {
    pub(super) const fn new(claims: Claims, indexes: IndexCache) -> Self {
        Self { claims, indexes }
    }

    /// Replaces the document of the same id by `document`, if it has the revision `expected`.
    pub(super) async fn update(
        &self,
        handle: &mut CollectionHandle<'_>,
        document: &StoredDocument,
        expected: Revision,
    ) -> Result<UpdateOutcome> {
        let id = document.id().ok_or_else(|| Error::internal("a document without an _id"))?;
        // Without a quota its size is not counted, so nobody needs the old size.
        let Some((size, change)) = self.begin(handle, &id, document, expected).await? else {
            return Ok(UpdateOutcome::Stale);
        };
        change.check()?;
        let written = write(handle, &id, document, expected).await;
        let is_settled = |error: &Error| error.code() != ErrorCode::StoreUnavailable;
        match &written {
            Ok(UpdateOutcome::Done) => self.claims.end_change(change, size).await,
            Ok(UpdateOutcome::Stale) => self.claims.end_change(change, Size::default()).await,
            Err(error) if is_settled(error) => self.claims.end_change(change, Size::default()).await,
            // The write may have happened; the next count finds out.
            Err(_) => {}
        }
        written
    }

    /// Announces an update, and by how much it changes the size; `None` if there is no such document.
    async fn begin(
        &self,
        handle: &mut CollectionHandle<'_>,
        id: &DocumentId,
        document: &StoredDocument,
        expected: Revision,
    ) -> Result<Option<(Size, PendingClaim)>> {
        let organization = handle.organization();
        let mut size = Size::default();
        let new = sizes_of(handle, &self.indexes, &[document])
            .await?
            .pop()
            .unwrap_or_else(|| Ok(Size::default()))?;
        if is_limited(organization) {
            let filter = handle.layout().of_version(id, expected);
            let Some(trace) = traces(handle, &self.indexes, filter, 1, None).await?.0.pop() else {
                return Ok(None);
            };
            size = new.plus(trace.size().negative());
        }
        let claim = size.growth();
        match self.claims.begin_change(organization, claim).await? {
            Ok(change) => Ok(Some((size, change))),
            Err(room) => Err(room
                .refuses(claim, &organization.quota)
                .unwrap_or_else(|| ErrorCode::QuotaExceeded.into())),
        }
    }

    /// Removes the document of that id if it has that revision, or any revision if none is given.
    pub(super) async fn delete(
        &self,
        handle: &mut CollectionHandle<'_>,
        id: &DocumentId,
        expected: Option<Revision>,
    ) -> EngineResult<UpdateOutcome> {
        let filter = match expected {
            Some(expected) => handle.layout().of_version(id, expected),
            None => handle.layout().of_id(id),
        };
        let change = self.claims.begin_removal(handle.organization()).await?;
        if !change.is_counted() {
            let deleted = delete_by(handle, &[filter]).await?;
            return Ok(update_outcome(deleted));
        }
        for _ in 0..MAX_ATTEMPTS {
            let Some(trace) = traces(handle, &self.indexes, filter.clone(), 1, None).await?.0.pop() else {
                self.claims.end_change(change, Size::default()).await;
                return Ok(UpdateOutcome::Stale);
            };
            change.check()?;
            // With that size: another revision may have another.
            let same = handle.layout().of_trace(&trace, &filter);
            if delete_by(handle, &[same]).await? > 0 {
                self.claims.end_change(change, trace.size().negative()).await;
                return Ok(UpdateOutcome::Done);
            }
        }
        Err(Error::unavailable("others keep changing the same document").into())
    }
}

async fn write(
    handle: &mut CollectionHandle<'_>,
    id: &DocumentId,
    document: &StoredDocument,
    expected: Revision,
) -> Result<UpdateOutcome> {
    let filter = handle.layout().of_version(id, expected);
    let mut update = rawdoc! {};
    update.append(cstr!("q"), RawDocumentBuf::try_from(&filter).map_err(Error::internal)?);
    update.append(cstr!("u"), handle.layout().replacement(document)?);
    let mut updates = RawArrayBuf::new();
    updates.push(update);
    let mut rest = rawdoc! {};
    rest.append(cstr!("updates"), updates);
    append_durably(handle, &mut rest)?;
    let answer = handle.run(&Command::raw("update", rest)).await?;
    if let Some(error) = write_errors(handle, &answer).into_iter().next() {
        return Err(error.1);
    }
    check_durable(&answer)?;
    Ok(if number(&answer, "n") == 0 { UpdateOutcome::Stale } else { UpdateOutcome::Done })
}
