//! How an engine that others write to as well tells a cache in front of it what they have changed.

use crate::ids::{AccountId, OrganizationId, SessionId};
use std::time::Instant;

/// What somebody has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// An organization.
    Organization(OrganizationId),
    /// An account.
    Account(AccountId),
    /// A session.
    Session(SessionId),
    /// It cannot be said which.
    Any,
}

/// A cache whose records others may change.
pub trait Invalidation: Send + Sync {
    /// From `at` on every change is told.
    fn begin(&self, at: Instant);

    /// Somebody has changed this.
    fn invalidate(&self, change: Change);

    /// All that had been acknowledged at `asked` has been told.
    fn prove(&self, asked: Instant);

    /// Nothing is told from now on.
    fn end(&self);
}
