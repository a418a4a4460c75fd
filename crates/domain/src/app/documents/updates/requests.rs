//! What is asked of updates, and what they answer.

use crate::error::Error;
use std::sync::Arc;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::update::Update;

/// An update of the documents that match a filter.
#[derive(Debug)]
pub struct UpdateRequest {
    /// Which documents.
    pub filter: Arc<Filter>,
    /// What to do with them.
    pub update: Arc<Update>,
    /// Whether to insert a document if none matches.
    pub upsert: bool,
}

/// An update of one document that is named by its id.
#[derive(Debug)]
pub struct UpdateOne {
    /// What to do with it.
    pub update: Arc<Update>,
    /// Whether to insert it if there is none.
    pub upsert: bool,
    /// The key of the request, if it has one.
    pub keyed: Option<KeyedUpdate>,
}

/// What an update did to one document.
#[derive(Debug, Clone, Default)]
pub struct UpdateResult {
    /// The document as it was; `None` if an upsert has inserted it.
    pub before: Option<StoredDocument>,
    /// The document as it is now.
    pub after: Option<StoredDocument>,
    /// Whether they differ.
    pub is_modified: bool,
}

impl UpdateResult {
    /// Whether an upsert has inserted the document.
    #[must_use]
    pub const fn is_upserted(&self) -> bool {
        self.before.is_none() && self.after.is_some()
    }
}

/// What was done to the first document that matches.
#[derive(Debug)]
pub struct FirstMatch {
    /// What was done; `None` if none matches.
    pub result: Option<UpdateResult>,
    /// How many documents were examined, if no index served the filter.
    pub scanned: Option<u64>,
}

/// What an update did to many documents.
#[derive(Debug, Default)]
pub struct UpdateManyResult {
    /// How many matched.
    pub matched: u64,
    /// How many of these have changed.
    pub modified: u64,
    /// The document that an upsert has inserted.
    pub upserted: Option<StoredDocument>,
    /// Whether others may match that were not reached in time.
    pub more: bool,
    /// The first document that could not be changed, and why. The update ended there.
    pub refused: Option<(DocumentId, Error)>,
    /// How many documents were examined, if no index served the filter.
    pub scanned: Option<u64>,
}

/// A request with an `Idempotency-Key`.
#[derive(Debug, Clone, Copy)]
pub struct KeyedUpdate {
    /// The lowest revision of what it changes: the time at which its key was first used. A document that has a lower one
    /// was not changed by it.
    pub earliest: Revision,
    /// Whether an earlier try may have been carried out.
    pub is_again: bool,
}

impl KeyedUpdate {
    /// The lowest revision that a change of that request gives a document.
    pub(super) fn earliest(keyed: Option<Self>) -> Revision {
        keyed.map_or(Revision::UNKNOWN, |keyed| keyed.earliest)
    }
}
