//! Archives of organizations: written while they are read, read while they are put back.
//!
//! An export is no snapshot: each document is whole, and what changes meanwhile may or may not be in it. An import is
//! an operation ([`crate::operation`]): nobody sees the organization before its last line has been read and fits, and
//! whatever goes wrong before, all of it is undone. What a newcomer gets wrong: neither holds more in memory than a
//! page of documents, so neither may collect anything.

mod export;
mod import;
pub mod source;

pub use export::{Export, Exportable, Exporter};
pub use import::{Import, ImportedId, Importer};
