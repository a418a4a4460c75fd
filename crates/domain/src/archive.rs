//! Archives: one organization with all its data, as lines of JSON (NDJSON) that can be written and read as a
//! stream.
//!
//! ```text
//! {"manifest":{"format":"tenantry-archive","version":2,..}}
//! {"organization":{..}}
//! {"role":{..}}                                              of the organization's own, in the order of the names
//! {"member":{..}}                                            beside the owner, in the order of the ids
//! {"api_key":{..}}                                           in the order of the ids
//! {"collection":{"name":"orders","indexes":[..]}}
//! {"document":{..}}                                          canonical Extended JSON, in the order of the ids
//! {"collection_end":{"name":"orders","documents":2,"bytes":93,"sha256":".."}}
//! {"audit_trail":{"chain":".."}}                             of earlier lives first, then the organization's
//! {"audit_entry":{..}}                                       in the order of the chain
//! {"audit_trail_end":{"chain":"..","entries":1,"last":1,"hash":".."}}
//! {"end":{"roles":1,"members":1,"api_keys":1,"audit_entries":1,"collections":1,"documents":2,..}}
//! ```
//!
//! Version 1 has no roles, members, API keys and audit trails.
//! Nothing here knows where lines come from or go to.
//!
//! # Pitfalls
//! Counts and checksums come last, because the writer of a stream does not know them earlier. So an archive
//! is valid only once its `end` line has been read and matches: act on the lines before it only in ways that
//! can be undone.

mod format;
mod lines;
mod people;
mod read;
mod sections;
mod tally;
mod trails;
mod verifier;
mod write;

#[cfg(test)]
mod tests;

pub use format::{
    ArchiveEnd, ArchivedCollection, ArchivedOrganization, ArchivedOwner, CollectionEnd, FORMAT, Manifest,
    VERSION, VERSIONS, damaged, line_max_bytes,
};
pub use lines::ArchiveLines;
pub use people::{ArchivedApiKey, ArchivedMember, ArchivedRole};
pub use read::{ArchiveItem, ArchiveReader};
pub use trails::{ArchivedEntry, ArchivedTrail, ArchivedTrailEnd};
pub use verifier::Verifier;
pub use write::ArchiveWriter;
