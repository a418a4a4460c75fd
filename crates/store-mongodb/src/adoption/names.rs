//! What an adoption in place adds to the database.

/// The collection with the journal.
pub(super) const JOURNAL: &str = "tenantry_adoption";
/// The document with the lock, in that collection or among the records of an installation.
pub(super) const LOCK: &str = "lock";
