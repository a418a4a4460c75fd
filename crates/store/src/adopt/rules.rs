//! What the operator decides about an adoption: ways out of conflicts, and names that are not recognized.

use crate::transfer::Side;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::ids::Entropy;
use tenantry_store_mongodb::MongoOptions;

/// Everything about one adoption.
#[derive(Clone)]
pub struct AdoptOptions {
    /// The database of the other program.
    pub source: MongoOptions,
    /// Where the organizations go; not used where they stay in place.
    pub target: Side,
    /// Whether the data stays where it is, and only collections are renamed.
    pub in_place: bool,
    /// See [`AdoptRules`].
    pub rules: AdoptRules,
    /// The prefix of the names of containers.
    pub tenant_prefix: String,
    /// Bytes that a document may have.
    pub document_max_bytes: usize,
    /// How long deleted organizations are kept from now on.
    pub retention: Duration,
    /// How long the source is watched for writes.
    pub watch: Duration,
    /// Now.
    pub now: Timestamp,
    /// For the ids of events in the audit trail.
    pub entropy: Arc<dyn Entropy>,
}

/// Decisions about single records, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptRules {
    /// The collection of the organizations.
    #[serde(default)]
    pub registry: Option<String>,
    /// The collection of the accounts.
    #[serde(default)]
    pub accounts: Option<String>,
    /// Organizations and accounts that are left out.
    #[serde(default)]
    pub skip: BTreeSet<String>,
    /// New names of organizations.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// New addresses of accounts.
    #[serde(default)]
    pub address: BTreeMap<String, String>,
    /// Organizations of accounts, by the ids of both.
    #[serde(default)]
    pub member: BTreeMap<String, String>,
    /// What statuses mean: `active`, `suspended` or `deleted`.
    #[serde(default)]
    pub status: BTreeMap<String, String>,
    /// What roles mean, in lower case: one of the service's own.
    #[serde(default)]
    pub role: BTreeMap<String, String>,
    /// Accounts that have no password until they get a link.
    #[serde(default)]
    pub without_password: BTreeSet<String>,
    /// Collections and databases that are left where they are.
    #[serde(default)]
    pub leave: BTreeSet<String>,
}
