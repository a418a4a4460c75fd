//! The stages and outcomes of an index build.

use crate::engine_error::EngineResult;
use tenantry_documents::index::Index;
use tenantry_domain::store::InsertOutcome;
use tenantry_domain::{Error, ErrorCode};

/// What a request for an index requires.
pub(crate) enum IndexPlan {
    /// Nothing: the index exists.
    Settled(InsertOutcome),
    /// A build.
    Build {
        /// The finished indexes of the collection.
        serving: Vec<Index>,
    },
    /// The list has changed meanwhile and must be read again.
    Retry,
}

/// The result of an index build.
pub(crate) struct IndexBuild {
    /// For the quota of index bytes.
    pub(crate) outcome: BuildOutcome,
    /// `None` if others have changed the list of indexes meanwhile.
    pub(crate) result: EngineResult<Option<InsertOutcome>>,
}

/// How the build of an announced index ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuildOutcome {
    Made,
    NotMade,
    /// The reply is lost: the index may exist, or may still be built.
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
