//! Archives of organizations, exported and imported as streams.
//!
//! An export is not a snapshot: each document is complete, but changes made during the export may or may not be
//! in it. An import is an operation ([`crate::operation`]): nobody sees the organization before the last line
//! has been read and matches, and if anything fails before that, all of it is undone.
//!
//! # Pitfalls
//! Neither may hold more than a page of documents in memory, so do not collect the items of a stream.

mod export;
mod import;
pub mod source;

pub use export::{Export, Exportable, Exporter};
pub use import::{Import, ImportedId, Importer};
