//! The stages of making an index, and what can become of it.

use crate::engine_error::EngineResult;
use tenantry_documents::index::Index;
use tenantry_domain::store::InsertOutcome;
use tenantry_domain::{Error, ErrorCode};

/// What is to be done for an index that is asked for.
pub(crate) enum IndexPlan {
    /// Nothing: it is there.
    Settled(InsertOutcome),
    /// It is built beside those that serve.
    Build {
        /// The indexes that serve.
        serving: Vec<Index>,
    },
    /// The list has changed meanwhile, and is looked at once more.
    Retry,
}

/// What came of building an index.
pub(crate) struct IndexBuild {
    /// For whoever counts what its entries take.
    pub(crate) outcome: BuildOutcome,
    /// `None` if others have changed the list of indexes meanwhile.
    pub(crate) result: EngineResult<Option<InsertOutcome>>,
}

/// What became of an index that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuildOutcome {
    Made,
    NotMade,
    /// The answer is lost: it may be there, or still be made.
    Unknown,
}

impl BuildOutcome {
    pub(crate) fn of<T>(made: &Result<T, Error>) -> Self {
        match made {
            Ok(_) => Self::Made,
            Err(error) if error.code() == ErrorCode::StoreUnavailable => Self::Unknown,
            Err(_) => Self::NotMade,
        }
    }
}
