//! The rules that an operator sets.

use crate::organization::Quota;
use std::time::Duration;

/// Who may make an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignupPolicy {
    /// Anybody.
    Open,
    /// The operator.
    Operator,
}

/// What the settings say about the rules.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What visible names of containers begin with.
    pub tenant_prefix: String,
    /// Who may make an organization.
    pub signup: SignupPolicy,
    /// How long a deleted organization is kept; zero: not at all.
    pub retention: Duration,
    /// Characters a new password has at least.
    pub password_min_chars: usize,
    /// How old a sign-in may be when it changes credentials.
    pub reauth_max_age: Duration,
    /// How long an access token is good.
    pub access_lifetime: Duration,
    /// How long a session lasts without use.
    pub refresh_idle_lifetime: Duration,
    /// How long a session lasts at most.
    pub refresh_absolute_lifetime: Duration,
    /// Whether attempts are counted and refused.
    pub throttle: bool,
    /// What a new organization may have, unless it is imported.
    pub default_quota: Quota,
    /// `Idempotency-Key`s that a caller may have used within 24 hours.
    pub idempotency_keys: u32,
    /// Bytes of a document as BSON at most.
    pub document_max_bytes: usize,
    /// How long a query may take.
    pub query_time: Duration,
}
