//! Builds the documents between two stages.

use super::summation::narrowest;
use crate::error::{Error, Result};
use crate::limits::AGGREGATE_DOCUMENT_MAX_BYTES;
use bson::raw::{CString, RawBson};
use bson::{RawBsonRef, RawDocumentBuf};

/// Appends a field.
pub fn append(document: &mut RawDocumentBuf, name: &str, value: RawBsonRef<'_>) {
    // No name has a NUL: those of stored documents cannot, and the parser refuses them.
    if let Ok(name) = CString::try_from(name) {
        document.append(name, value);
    }
}

/// Appends a field that may be missing.
pub fn append_present(document: &mut RawDocumentBuf, name: &str, value: Option<RawBson>) {
    if let Some(value) = value {
        append(document, name, value.as_raw_bson_ref());
    }
}

/// Refuses a document that is larger than MongoDB allows, for the stage at the pointer `at`.
///
/// # Errors
/// `invalid_input`.
pub fn check_size(bytes: usize, at: &str) -> Result<()> {
    if bytes <= AGGREGATE_DOCUMENT_MAX_BYTES {
        return Ok(());
    }
    let detail =
        format!("Makes a document of more than {} MiB: keep less of it.", AGGREGATE_DOCUMENT_MAX_BYTES >> 20);
    Err(Error::invalid_field(at, detail))
}

/// The document of a number, under that name: what `$count` makes.
pub fn count_document(name: &str, count: u64) -> RawDocumentBuf {
    let count = narrowest(i64::try_from(count).unwrap_or(i64::MAX));
    let mut document = RawDocumentBuf::new();
    append(&mut document, name, count.as_raw_bson_ref());
    document
}
