//! What all operations of a batch have in common.

use crate::error::Error;
use crate::store::operation_pointer;
use std::time::Instant;
use tenantry_documents::document::Revision;

/// What all operations of a batch have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The time of `$currentDate`, in milliseconds since 1970.
    pub(super) now: i64,
    /// The revision of every document that the batch writes.
    pub(super) revision: Revision,
    /// The most bytes of a document.
    pub(super) max_bytes: usize,
    /// The most bytes of all documents that are read and written.
    pub(super) max_batch_bytes: usize,
    /// When the work must have ended.
    pub(super) ends: Instant,
}

impl Moment {
    /// The error for an operation whose document is too much.
    pub(super) fn too_large(&self, place: usize) -> Error {
        too_large(place, self.max_batch_bytes)
    }
}

/// The error for an operation with which the documents are more than `limit` bytes.
pub(super) fn too_large(place: usize, limit: usize) -> Error {
    let detail =
        format!("The documents that a batch reads and writes may have at most {limit} bytes together.");
    Error::invalid_field(operation_pointer(place), detail)
}
