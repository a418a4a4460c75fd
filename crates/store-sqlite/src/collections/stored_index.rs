//! An index of a collection as its container has it.

use tenantry_documents::document::KeyFormat;
use tenantry_documents::index::Index;

/// An index of a collection.
#[derive(Debug)]
pub(crate) struct StoredIndex {
    pub(crate) number: i64,
    pub(crate) definition: Index,
    /// Whether an indexed path has gone through an array in any document.
    pub(crate) is_multikey: bool,
    /// How its keys are stored.
    pub(crate) format: KeyFormat,
    /// Whether a key of any document is cut.
    pub(crate) has_cut: bool,
}

/// `cut` of an index whose keys are whole, whose keys are cut where they are long, and of which one is.
pub(super) const WHOLE_KEYS: i64 = 0;
pub(super) const NO_KEY_CUT: i64 = 1;
pub(super) const SOME_KEY_CUT: i64 = 2;
