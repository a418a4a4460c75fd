//! Archives: one organization with all its data, as lines of JSON (NDJSON) that can be written and read as a
//! stream.
//!
//! ```text
//! {"manifest":{"format":"tenantry-archive","version":1,..}}
//! {"organization":{..}}
//! {"collection":{"name":"orders","indexes":[..]}}
//! {"document":{..}}                                          canonical Extended JSON, in the order of the ids
//! {"collection_end":{"name":"orders","documents":2,"bytes":93,"sha256":".."}}
//! {"end":{"collections":1,"documents":2,"bytes":93,"sha256":".."}}
//! ```
//!
//! Nothing here knows where lines come from or go to.
//!
//! # Pitfalls
//! Counts and checksums come last, because the writer of a stream does not know them earlier. So an archive
//! is valid only once its `end` line has been read and matches: act on the lines before it only in ways that
//! can be undone.

mod format;
mod lines;
mod read;
mod tally;
mod verifier;
mod write;

#[cfg(test)]
mod tests;

pub use format::{
    ArchiveEnd, ArchivedCollection, ArchivedOrganization, ArchivedOwner, CollectionEnd, FORMAT, Manifest,
    VERSION, damaged, line_max_bytes,
};
pub use lines::ArchiveLines;
pub use read::{ArchiveItem, ArchiveReader};
pub use verifier::Verifier;
pub use write::ArchiveWriter;
