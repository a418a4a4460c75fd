//! The baseline for documents: the engines used directly.
//!
//! # Pitfalls
//! Comparing different work proves nothing. So a baseline also checks that the input is JSON, assigns an `_id`, maintains
//! an index, and has a document on disk before it responds.

pub mod driver;
pub mod route;
pub mod sqlite;

use tenantry_domain::limits::INSERT_MAX_DOCUMENTS;

/// Documents of one transaction or command, of many that are inserted; as many as the service takes at once.
const BATCH: usize = INSERT_MAX_DOCUMENTS;

/// The operation that is repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Gets one by its id
    Read,
    /// Lists a hundred of a kind, in the order of their ids
    List,
    /// Inserts one
    Insert,
    /// Inserts many at once
    Bulk,
    /// Updates one by its id
    Update,
}

impl Operation {
    const fn inserts(self) -> bool {
        matches!(self, Self::Insert | Self::Bulk)
    }

    /// What it counts as: one response, or the documents of a batch.
    const fn counts(self) -> u64 {
        match self {
            Self::Read | Self::List | Self::Insert | Self::Update => 1,
            Self::Bulk => BATCH as u64,
        }
    }
}
