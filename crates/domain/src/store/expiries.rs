//! The port of expiries: which collections have, or are about to have, an index that lets documents expire.

use crate::collection::CollectionName;
use crate::error::Result;
use crate::ids::OrganizationId;
use async_trait::async_trait;
use jiff::Timestamp;

/// A collection in which documents may expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// Whose it is.
    pub organization: OrganizationId,
    /// Its name.
    pub collection: CollectionName,
    /// When an index was last announced, to the millisecond.
    pub announced_at: Timestamp,
}

/// The collections in which documents may expire, each with the time at which somebody looks for expired ones next.
#[async_trait]
pub trait Expiries: Send + Sync {
    /// Announces an index of the collection; it is due at `now`, if not earlier.
    async fn insert_expiry(
        &self,
        organization: OrganizationId,
        collection: &CollectionName,
        now: Timestamp,
    ) -> Result<()>;

    /// Claims the collection that has been due for longest at `now`: nobody else gets it before `next`, when it is due
    /// again.
    async fn claim_expiry(&self, now: Timestamp, next: Timestamp) -> Result<Option<Expiry>>;

    /// Makes the collection due at `at`, if it is listed.
    async fn reschedule_expiry(&self, expiry: &Expiry, at: Timestamp) -> Result<()>;

    /// Removes the collection from the list, unless an index was announced since.
    async fn delete_expiry(&self, expiry: &Expiry) -> Result<()>;
}
