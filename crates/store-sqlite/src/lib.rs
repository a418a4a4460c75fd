//! The embedded engine: a control database for the records, and a file per organization for its data.
//!
//! One thread writes the control database, in groups ([`writer`]); reads have connections of their own
//! ([`readers`]).
//!
//! # Pitfalls
//! Never open a database file except through SQLite: its locks belong to the process, and closing any other
//! descriptor of the same file releases them. A backup does ([`backup`]), in a process of its own.

mod accounts;
mod api_keys;
mod audit;
pub mod backup;
mod collections;
mod connection;
mod containers;
mod directory;
mod documents;
mod engine;
mod engine_error;
mod error;
mod expiries;
mod full_scan;
mod group;
mod idempotency;
mod identities;
mod inspect;
mod installation;
mod invitations;
mod mails;
mod operations;
mod organizations;
mod rate_limits;
mod readers;
mod rehearsal;
mod schema;
mod sessions;
mod startup;
mod statement;
#[cfg(feature = "crash-points")]
mod testing;
mod writer;

pub use directory::{DirectoryLock, RESTORING, container_file};
pub use engine::{EmbeddedOptions, Sqlite};
pub use error::OpenError;
pub use inspect::{
    ContainerFiles, Contents, ControlDatabase, ControlState, Inspection, QuickCheck, ensure_has_data, inspect,
};
pub use rehearsal::{Rehearsal, RehearsedFile, rehearse};
#[cfg(feature = "crash-points")]
pub use testing::make_container_file;
pub use writer::WriterCounts;

/// What each step of the schema of the control database changes, from version to version.
pub const CONTROL_SCHEMA_STEPS: &[&str] = &schema::STEP_TEXTS;
/// What each step of the schema of a container changes, from version to version.
pub const CONTAINER_SCHEMA_STEPS: &[&str] = &containers::STEP_TEXTS;
