//! What is asked of a batch, and what it answers.

use crate::collection::CollectionName;
use crate::error::{Error, ErrorCode, quoted};
use crate::ids::OrganizationId;
use std::collections::HashSet;
use std::sync::Arc;
use tenantry_documents::document::{DocumentId, MergePatch, NewDocument, Revision};
use tenantry_documents::update::Update;

/// An operation of a batch.
#[derive(Debug)]
pub struct BatchOperation {
    /// The collection of its document.
    pub collection: CollectionName,
    /// What it does.
    pub action: BatchAction,
}

/// What an operation of a batch does. One with a revision is for a document of that revision alone.
#[derive(Debug)]
pub enum BatchAction {
    /// Inserts a document: with its own `_id`, else with `id`, else with a new ObjectId.
    Insert {
        /// Its `_id`.
        id: Option<DocumentId>,
        /// The document.
        document: NewDocument,
    },
    /// Replaces a document.
    Replace {
        /// Its `_id`.
        id: DocumentId,
        /// The revision it must have.
        revision: Option<Revision>,
        /// The new document.
        document: NewDocument,
    },
    /// Changes a document by a merge patch.
    Patch {
        /// Its `_id`.
        id: DocumentId,
        /// The revision it must have.
        revision: Option<Revision>,
        /// The patch.
        patch: MergePatch,
    },
    /// Changes a document by operators.
    Update {
        /// Its `_id`.
        id: DocumentId,
        /// The revision it must have.
        revision: Option<Revision>,
        /// The operators.
        update: Arc<Update>,
        /// Whether to insert it if there is none.
        upsert: bool,
    },
    /// Removes a document.
    Delete {
        /// Its `_id`.
        id: DocumentId,
        /// The revision it must have.
        revision: Option<Revision>,
    },
    /// Changes nothing, and refuses the batch unless it holds.
    Check {
        /// The `_id` of a document.
        id: DocumentId,
        /// What must hold.
        check: BatchCheck,
    },
}

/// What must hold of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchCheck {
    /// It exists.
    Exists,
    /// It does not exist.
    Missing,
    /// It exists and has that revision.
    Revision(Revision),
}

/// What an operation did.
#[derive(Debug, Clone)]
pub struct BatchResult {
    /// The `_id` of its document.
    pub id: DocumentId,
    /// What became of it.
    pub effect: BatchEffect,
}

/// What an operation did to its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchEffect {
    /// It was inserted, with that revision.
    Inserted(Revision),
    /// It was changed, and has that revision now.
    Changed(Revision),
    /// The update left it as it was.
    Unchanged,
    /// It was removed.
    Deleted,
    /// What was to be checked holds.
    Held,
}

/// A batch with an `Idempotency-Key`.
#[derive(Debug, Clone, Copy)]
pub struct KeyedBatch {
    /// The id that its key was granted, which no other request has.
    pub made: OrganizationId,
    /// Whether an earlier try may have been carried out.
    pub is_again: bool,
}

impl KeyedBatch {
    /// The `_id` for the document of the operation at `place`, if it has none of its own: the same each time.
    #[must_use]
    pub fn id_of(&self, place: usize) -> DocumentId {
        let mut bytes = *self.made.as_bytes();
        // The random part stays random, and no two operations get the same.
        let place = u16::try_from(place).unwrap_or(u16::MAX).to_be_bytes();
        bytes[10] ^= place[0];
        bytes[11] ^= place[1];
        DocumentId::of_object_id(bytes)
    }

    /// The lowest revision that it gives a document: the time at which its key was first used. A document that has a
    /// lower one was not written by it.
    pub(super) fn earliest(&self) -> Revision {
        Revision(self.made.milliseconds())
    }
}

impl BatchOperation {
    /// The `_id` of its document.
    pub(super) const fn id(&self) -> Option<&DocumentId> {
        match &self.action {
            BatchAction::Insert { id, .. } => id.as_ref(),
            BatchAction::Replace { id, .. }
            | BatchAction::Patch { id, .. }
            | BatchAction::Update { id, .. }
            | BatchAction::Delete { id, .. }
            | BatchAction::Check { id, .. } => Some(id),
        }
    }

    /// The refusal of it, with the name of the collection or the document that does not exist.
    pub(super) fn name_absent(&self, error: Error) -> Error {
        if error.particulars().is_some() {
            return error;
        }
        let collection = quoted(self.collection.as_str());
        match (error.code(), self.id()) {
            (ErrorCode::CollectionNotFound, _) => error.detail(format!(
                "The organization has no collection {collection}. Create it, or check its name."
            )),
            (ErrorCode::DocumentNotFound, Some(id)) => {
                let id = quoted(&id.to_string());
                error.detail(format!(
                    "The collection {collection} has no document with the `_id` {id}. Check the `id`."
                ))
            }
            _ => error,
        }
    }

    pub(super) const fn is_insert(&self) -> bool {
        matches!(self.action, BatchAction::Insert { .. })
    }

    /// Whether the document that it stores is in the request.
    pub(super) const fn has_document(&self) -> bool {
        matches!(self.action, BatchAction::Insert { .. } | BatchAction::Replace { .. })
    }

    /// Whether a document is stored by it, if it is carried out.
    pub(super) const fn stores(&self) -> bool {
        !matches!(self.action, BatchAction::Delete { .. } | BatchAction::Check { .. })
    }

    /// Its bytes: carrying it out takes time in proportion to these and its document's, if it [`Self::is_short`].
    pub(super) fn bytes(&self) -> usize {
        match &self.action {
            BatchAction::Insert { document, .. } | BatchAction::Replace { document, .. } => document.bytes(),
            BatchAction::Patch { patch, .. } => patch.bytes(),
            BatchAction::Update { update, .. } => update.bytes(),
            BatchAction::Delete { .. } | BatchAction::Check { .. } => 0,
        }
    }

    pub(super) fn is_short(&self) -> bool {
        match &self.action {
            BatchAction::Update { update, .. } => update.is_short(),
            _ => true,
        }
    }
}

/// A document that an operation is about.
pub(super) struct DocumentKey {
    pub(super) collection: CollectionName,
    pub(super) id: DocumentId,
    /// The key of the `_id`: equal ids have the same.
    pub(super) key: Vec<u8>,
    /// The place of the first operation that is about it.
    pub(super) operation: usize,
}

impl DocumentKey {
    /// By what all are ordered.
    pub(super) fn order(&self) -> (&CollectionName, &[u8]) {
        (&self.collection, &self.key)
    }
}

/// The documents that have to be read before the operations are carried out. One that is inserted first is not, unless
/// the batch is sent again: the engine refuses it if it exists.
pub(super) fn documents_to_read(operations: &[BatchOperation], is_again: bool) -> Vec<DocumentKey> {
    let (mut met, mut wanted) = (HashSet::new(), Vec::new());
    for (place, operation) in operations.iter().enumerate() {
        let Some(id) = operation.id() else { continue };
        let (collection, key) = (operation.collection.clone(), id.key());
        if met.insert((collection.clone(), key.clone())) && (is_again || !operation.is_insert()) {
            wanted.push(DocumentKey { collection, id: id.clone(), key, operation: place });
        }
    }
    wanted
}
