//! Archives of organizations, exported and imported as streams.
//!
//! An export is no snapshot: each document is whole, but changes made meanwhile may or may not be in it. An
//! import is an operation ([`crate::operation`]): nobody sees the organization before its last line has been
//! read and matches, and if anything fails before that, all of it is undone.
//!
//! # Pitfalls
//! Neither holds more than a page of documents in memory, so neither may collect anything.

mod export;
mod import;
pub mod source;

pub use export::{Export, Exportable, Exporter};
pub use import::{Import, ImportedId, Importer};
