//! The application: the use cases, one file per noun, over the ports.
//!
//! What a newcomer gets wrong: handlers never touch the store. A use case that needs a right takes the value
//! that proves it ([`caller`]), and only this module can make such a value.

pub mod accounts;
pub mod archives;
pub mod auth;
pub mod collections;
pub mod documents;
pub mod idempotency;
pub mod maintenance;
pub mod operations;
pub mod operator;
pub mod organizations;
mod rate_limit;
pub mod sessions;
pub mod tenant;

use crate::account::{Account, PasswordHash};
use crate::clock::Clock;
use crate::email::EmailAddress;
use crate::error::Result;
use crate::ids::{Entropy, random};
use crate::organization::{Location, Organization, Quota};
use crate::password::policy::NewPassword;
use crate::password::pool::HashPool;
use crate::store::Store;
use crate::token::TokenKeys;
use jiff::Timestamp;
use std::sync::Arc;
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

/// What an application is made of.
pub struct Parts {
    /// Where records are kept.
    pub store: Store,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
    /// Where passwords are hashed.
    pub hashes: HashPool,
    /// What signs access tokens.
    pub tokens: TokenKeys,
    /// What authenticates refresh tokens and fingerprints requests.
    pub mac_key: [u8; 32],
    /// The rules.
    pub policy: Policy,
}

/// The application. Its store is reachable through use cases only.
pub struct App {
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    hashes: HashPool,
    tokens: TokenKeys,
    mac_key: [u8; 32],
    policy: Policy,
    /// Tells this process's operations from those of another or an earlier one.
    instance: String,
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let instance = hex::encode(random::<12>(&*parts.entropy));
        Arc::new(Self {
            store: parts.store,
            clock: parts.clock,
            entropy: parts.entropy,
            hashes: parts.hashes,
            tokens: parts.tokens,
            mac_key: parts.mac_key,
            policy: parts.policy,
            instance,
        })
    }

    /// The rules.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The keys others may check access tokens with (RFC 7517).
    #[must_use]
    pub fn public_keys(&self) -> serde_json::Value {
        self.tokens.jwks()
    }

    /// Sign-ins that wait for a hashing thread.
    #[must_use]
    pub fn waiting_hashes(&self) -> usize {
        self.hashes.depth()
    }

    /// Whether the service can do its work: succeeds if a write would.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn ready(&self) -> Result<()> {
        self.store.installation.check_writable().await
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn hash(&self, password: NewPassword) -> Result<PasswordHash> {
        self.hashes.hash(password, random(&*self.entropy)).await.map(PasswordHash)
    }

    /// `organization` with what its responses show beside its own record, as that recently was.
    async fn view(&self, organization: Arc<Organization>) -> Result<OrganizationView> {
        let admin = self.store.accounts.get_recent_account(organization.owner_id).await?;
        Ok(self.view_with(organization, admin))
    }

    fn view_with(&self, organization: Arc<Organization>, admin: Option<Arc<Account>>) -> OrganizationView {
        let location = self.store.containers.locate(&organization);
        OrganizationView { organization, admin, location }
    }
}

/// An organization as responses show it.
#[derive(Debug, Clone)]
pub struct OrganizationView {
    /// The record.
    pub organization: Arc<Organization>,
    /// The account it was made with; gone only in the middle of a purge.
    pub admin: Option<Arc<Account>>,
    /// Where its data is.
    pub location: Location,
}

impl OrganizationView {
    /// The address of its admin.
    #[must_use]
    pub fn admin_email(&self) -> Option<&EmailAddress> {
        self.admin.as_ref().map(|admin| &admin.email)
    }

    /// Changes whenever anything that responses show does.
    #[must_use]
    pub fn tag(&self) -> EntityTag {
        EntityTag {
            organization: self.organization.version,
            admin: self.admin.as_ref().map_or(0, |admin| admin.version),
        }
    }
}

/// The versions a change may meet; whatever is there, if the caller names none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected(pub Option<Vec<EntityTag>>);

impl Expected {
    fn allows(&self, tag: EntityTag) -> bool {
        self.0.as_ref().is_none_or(|tags| tags.contains(&tag))
    }
}

/// The version of an organization as responses show it: its own record's, and its admin's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityTag {
    /// The version of the organization's record.
    pub organization: u64,
    /// The version of its admin's record.
    pub admin: u64,
}
