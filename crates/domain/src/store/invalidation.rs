//! How an engine that others also write to reports their changes to a cache in front of it.

use crate::ids::{AccountId, ApiKeyId, IdentityId, OrganizationId, SessionId};
use std::time::Instant;

/// The record that somebody has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// An organization.
    Organization(OrganizationId),
    /// An account.
    Account(AccountId),
    /// A session.
    Session(SessionId),
    /// An API key.
    ApiKey(ApiKeyId),
    /// An identity.
    Identity(IdentityId),
    /// It is unknown which.
    Any,
}

/// A cache whose records others may change.
pub trait Invalidation: Send + Sync {
    /// From `at` on, every change is reported.
    fn begin(&self, at: Instant);

    /// Somebody has changed this.
    fn invalidate(&self, change: Change);

    /// Every change acknowledged before `asked` has been reported.
    fn prove(&self, asked: Instant);

    /// From now on, nothing is reported.
    fn end(&self);
}
