//! The rules in the operator's settings.

use crate::organization::Quota;
use std::time::Duration;

/// Who may create an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignupPolicy {
    /// Anybody.
    Open,
    /// The operator.
    Operator,
}

/// The rules in the operator's settings.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The prefix of the visible names of containers.
    pub tenant_prefix: String,
    /// Who may create an organization.
    pub signup: SignupPolicy,
    /// Whether service keys are exchanged for tokens.
    pub exchange: bool,
    /// How long a deleted organization is kept; zero: not at all.
    pub retention: Duration,
    /// How long entries of the audit trail are kept; zero: for good.
    pub audit_retention: Duration,
    /// The minimum length of a new password, in characters.
    pub password_min_chars: usize,
    /// The maximum age of a sign-in that changes credentials.
    pub reauth_max_age: Duration,
    /// How long an access token is valid.
    pub access_lifetime: Duration,
    /// How long a session lasts without use.
    pub refresh_idle_lifetime: Duration,
    /// How long a session lasts at most.
    pub refresh_absolute_lifetime: Duration,
    /// Whether attempts are counted and refused.
    pub throttle: bool,
    /// The quota of a new organization, unless it is imported.
    pub default_quota: Quota,
    /// `Idempotency-Key`s that a caller may have used within 24 hours.
    pub idempotency_keys: u32,
    /// The largest document as BSON, in bytes.
    pub document_max_bytes: usize,
    /// How long a query may take.
    pub query_time: Duration,
}
