//! How far a backup or a restore is.

/// How far a backup or a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupProgress {
    /// Organizations that are done.
    pub organizations: u64,
    /// Organizations in all, if that is known.
    pub of: Option<u64>,
    /// Bytes that were read so far.
    pub bytes: u64,
}
