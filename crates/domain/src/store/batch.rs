//! The writes of a batch: of several documents of one organization, made together or not at all.

use crate::collection::CollectionName;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};

/// A write of a batch, or a condition on it.
#[derive(Debug, Clone)]
pub struct BatchStep {
    /// The place of its operation in the request.
    pub operation: usize,
    /// The collection of its document.
    pub collection: CollectionName,
    /// What is done with the document.
    pub change: BatchChange,
}

/// What a step of a batch does. A step sees what the steps before it have done.
#[derive(Debug, Clone)]
pub enum BatchChange {
    /// Nothing, but the document must have that revision (`None`: must not exist) when the batch is committed. No other
    /// step is about the same document.
    Check {
        /// Its `_id`.
        id: DocumentId,
        /// Its revision.
        revision: Option<Revision>,
    },
    /// Inserts a document.
    Insert {
        /// The document.
        document: StoredDocument,
        /// Whether its `_id` was looked for and not found.
        was_missing: bool,
    },
    /// Replaces a document, if it still has its revision.
    Replace {
        /// The document as it was read, or as an earlier step leaves it.
        before: StoredDocument,
        /// The new document of the same `_id`.
        after: StoredDocument,
    },
    /// Removes a document, if it still has its revision.
    Delete {
        /// The document as it was read, or as an earlier step leaves it.
        before: StoredDocument,
    },
}

impl BatchStep {
    /// The JSON pointer of its operation.
    #[must_use]
    pub fn pointer(&self) -> String {
        operation_pointer(self.operation)
    }
}

/// The JSON pointer of an operation in the body of a batch.
#[must_use]
pub fn operation_pointer(operation: usize) -> String {
    format!("/operations/{operation}")
}
