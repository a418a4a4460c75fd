//! What one operation of a batch makes of its document.

use super::moment::Moment;
use super::request::{BatchAction, BatchCheck, BatchEffect};
use crate::error::{Error, ErrorCode, Result};
use bson::RawDocumentBuf;
use std::sync::Arc;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::MatchedPosition;
use tenantry_documents::fuel::{Fuel, Interruption};
use tenantry_documents::update::{Update, UpdateContext, UpsertFields};

/// How an operation changes a document.
pub(super) enum NextState {
    /// It stays as it is.
    Same,
    Stored(RawDocumentBuf),
    Gone,
}

/// The next state of the document that is `current` now, and what that is called.
///
/// # Errors
/// As of a single change, with pointers below that of the operation.
pub(super) fn apply(
    action: &BatchAction,
    current: Option<&StoredDocument>,
    moment: Moment,
) -> Result<(NextState, BatchEffect)> {
    let changed = BatchEffect::Changed(moment.revision);
    match action {
        BatchAction::Insert { id, document } => {
            if current.is_some() {
                return Err(ErrorCode::DocumentExists.into());
            }
            let id = id.clone().ok_or_else(|| Error::internal("an insert without an _id"))?;
            let body = document.clone().with_id(|| id);
            Ok((NextState::Stored(body), BatchEffect::Inserted(moment.revision)))
        }
        BatchAction::Replace { id, revision, document } => {
            if document.id().is_some_and(|own| own != id) {
                return Err(Error::invalid_field("/document/_id", "Must be the `id`, or be left out."));
            }
            let current = existing(current, *revision)?;
            // The stored document's own id: equal ids may be written differently (5 and 5.0), and it stays.
            let own = current.id().unwrap_or_else(|| id.clone());
            Ok((NextState::Stored(document.clone().under_id(&own)), changed))
        }
        BatchAction::Patch { revision, patch, .. } => {
            let current = existing(current, *revision)?;
            let patched = patch.apply(&current.body, moment.max_bytes).map_err(Error::from);
            Ok((NextState::Stored(patched.map_err(|error| error.below("/patch"))?), changed))
        }
        BatchAction::Update { id, revision, update, upsert } => {
            match (current, revision) {
                (None, Some(_)) if *upsert => return Err(ErrorCode::VersionMismatch.into()),
                (None, None) if *upsert => {
                    let body = upserted(id, update, moment)?;
                    return Ok((NextState::Stored(body), BatchEffect::Inserted(moment.revision)));
                }
                _ => {}
            }
            let current = existing(current, *revision)?;
            let updated = with_context(moment, |context| update.apply(&current.body, context))?;
            Ok(updated
                .map_or((NextState::Same, BatchEffect::Unchanged), |body| (NextState::Stored(body), changed)))
        }
        BatchAction::Delete { revision, .. } => {
            existing(current, *revision)?;
            Ok((NextState::Gone, BatchEffect::Deleted))
        }
        BatchAction::Check { check, .. } => {
            hold(*check, current)?;
            Ok((NextState::Same, BatchEffect::Held))
        }
    }
}

/// The document, which must exist and have that revision.
fn existing(current: Option<&StoredDocument>, revision: Option<Revision>) -> Result<&StoredDocument> {
    let current = current.ok_or(ErrorCode::DocumentNotFound)?;
    match revision {
        Some(revision) if revision != current.revision => Err(ErrorCode::VersionMismatch.into()),
        _ => Ok(current),
    }
}

/// Refuses a check that does not hold.
fn hold(check: BatchCheck, current: Option<&StoredDocument>) -> Result<()> {
    let detail = match (check, current) {
        (BatchCheck::Exists, Some(_)) | (BatchCheck::Missing, None) => return Ok(()),
        (BatchCheck::Revision(revision), Some(current)) if revision == current.revision => return Ok(()),
        (BatchCheck::Exists | BatchCheck::Revision(_), None) => {
            "The check does not hold: there is no document of this `id`."
        }
        (BatchCheck::Missing, Some(_)) => "The check does not hold: there is a document of this `id`.",
        (BatchCheck::Revision(_), Some(_)) => "The check does not hold: the document has another revision.",
    };
    Err(Error::new(ErrorCode::VersionMismatch).detail(detail))
}

fn upserted(id: &DocumentId, update: &Arc<Update>, moment: Moment) -> Result<RawDocumentBuf> {
    let fields = UpsertFields::of_id(id);
    with_context(moment, |context| update.insert(fields, || id.clone(), context))
}

/// Applies an update, within the time of the batch. Its pointers begin with that of the operation, which is added later.
fn with_context<T>(
    moment: Moment,
    work: impl FnOnce(UpdateContext<'_>) -> Result<T, tenantry_documents::Error>,
) -> Result<T> {
    let is_over =
        || if std::time::Instant::now() < moment.ends { Ok(()) } else { Err(Interruption::TimeOver) };
    let fuel = Fuel::new(&is_over);
    let position = MatchedPosition::Unknown;
    Ok(work(UpdateContext { now: moment.now, position, max_bytes: moment.max_bytes, fuel: &fuel })?)
}
