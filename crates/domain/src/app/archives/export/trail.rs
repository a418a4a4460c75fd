//! The progress of an audit trail that is being written into an archive.

use crate::audit::AuditChain;

/// A trail that is to be written.
pub(super) struct ExportedTrail {
    /// The name that it is kept under.
    pub(super) kept_as: AuditChain,
    /// The chain of its entries.
    pub(super) chain: AuditChain,
    /// The number of the entry that was written last.
    pub(super) after: u64,
    /// The number of the last entry that belongs to it: the export does not follow a trail that goes on.
    pub(super) last: u64,
}
