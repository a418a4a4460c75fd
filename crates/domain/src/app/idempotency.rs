//! Requests with an `Idempotency-Key`: claimed, executed once, and answered with the same response again.

use super::auth::SignupAccess;
use super::clock_and_entropy::ClockAndEntropy;
use super::tenant::{Right, TenantAccess};
use crate::clock;
use crate::error::{ErrorCode, Result};
use crate::idempotency::{IdempotencyClaim, IdempotencyKey, IdempotencyRecord, KeyHolder, StoredResponse};
use crate::ids::OrganizationId;
use crate::limits::{IDEMPOTENCY_KEEP, IDEMPOTENCY_LEASE};
use crate::mac_keys::MacKeys;
use crate::operation::Actor;
use crate::rate_limit::{ClientNetwork, RateLimit};
use crate::store::{self, Store};
use aws_lc_rs::hmac;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// What to do with a request that has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdempotencyPermit {
    /// Run.
    Run {
        /// The id for what the request creates.
        id: OrganizationId,
        /// Whether an earlier try of it may have been carried out: it has no response.
        is_again: bool,
    },
    /// Send this response again, for the resource that was created with this id.
    Repeat(OrganizationId, StoredResponse),
}

/// Claims of requests, and their responses.
pub struct Idempotency {
    keys: Arc<dyn store::IdempotencyKeys>,
    /// Authenticate the fingerprint of a request.
    mac_keys: MacKeys,
    /// Keys that a caller may have used within 24 hours.
    keys_max: u32,
    sources: ClockAndEntropy,
}

impl Idempotency {
    pub(super) fn new(store: &Store, mac_keys: MacKeys, keys_max: u32, sources: &ClockAndEntropy) -> Self {
        Self { keys: store.idempotency_keys.clone(), mac_keys, keys_max, sources: sources.clone() }
    }

    /// The limit of keys as a rate, for clients.
    fn limit(&self) -> RateLimit {
        let burst = self.keys_max.max(1);
        RateLimit { burst, period: IDEMPOTENCY_KEEP / burst }
    }

    /// The holder of the keys of a member or a program.
    #[must_use]
    pub fn key_holder_of_member<R: Right>(&self, tenant: &TenantAccess<R>) -> KeyHolder {
        let (kind, id) = tenant.holder();
        KeyHolder::new(kind, &id, self.keys_max)
    }

    /// The holder of the keys of a caller that creates an organization: its account, or else its `network`;
    /// `None` for the operator, whose keys are not limited.
    #[must_use]
    pub fn key_holder_of_signup(&self, signup: SignupAccess, network: ClientNetwork) -> Option<KeyHolder> {
        match signup.actor {
            _ if signup.is_operators() => None,
            Actor::Account(id) => Some(KeyHolder::new("account", &id.to_string(), self.keys_max)),
            _ => Some(KeyHolder::new("network", &network.text(), self.keys_max)),
        }
    }

    /// Claims `key` of `holder` for the request whose method, path and body are `request`.
    ///
    /// # Errors
    /// `idempotency_in_progress`, `idempotency_key_reused`, `too_many_idempotency_keys`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn claim_key(
        &self,
        key: IdempotencyKey,
        holder: Option<KeyHolder>,
        request: &[u8],
    ) -> Result<IdempotencyPermit> {
        let now = self.sources.now();
        let record = IdempotencyRecord {
            key,
            fingerprint: fingerprint(self.mac_keys.current(), request),
            holder,
            organization_id: OrganizationId::new(now, self.sources.entropy()),
            lease_until: clock::after(now, IDEMPOTENCY_LEASE),
            expires_at: clock::after(now, IDEMPOTENCY_KEEP),
            answer: None,
        };
        let own = record.organization_id;
        match self.claim(record, request, now).await? {
            // A claim that is taken over keeps the id of the first one.
            IdempotencyClaim::Granted(id) => Ok(IdempotencyPermit::Run { id, is_again: id != own }),
            IdempotencyClaim::Answered { made, answer } => Ok(IdempotencyPermit::Repeat(made, answer)),
            IdempotencyClaim::TooMany { until } => {
                let wait = until.duration_since(now).unsigned_abs().max(Duration::from_secs(1));
                let refusal = crate::Error::new(ErrorCode::TooManyIdempotencyKeys).retry_after(wait);
                Err(refusal.limited_by("idempotency-keys", self.limit()))
            }
            IdempotencyClaim::InProgress => {
                Err(crate::Error::new(ErrorCode::IdempotencyInProgress).retry_after(IDEMPOTENCY_LEASE))
            }
            IdempotencyClaim::OtherRequest => Err(ErrorCode::IdempotencyKeyReused.into()),
        }
    }

    /// Saves the response to a claimed request.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn save_response(&self, key: &IdempotencyKey, answer: &StoredResponse) -> Result<()> {
        self.keys.save_response(key, answer).await
    }

    /// Lets others take over a claimed request whose outcome is unknown.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn end_lease(&self, key: &IdempotencyKey) -> Result<()> {
        self.keys.end_lease(key).await
    }

    /// Forgets a claimed request that changed nothing.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn release_key(&self, key: &IdempotencyKey) -> Result<()> {
        self.keys.release_key(key).await
    }

    /// Claims the key. A claim that another key has fingerprinted, before the secret was rotated, is of the same request
    /// if its fingerprint by that key is the same.
    async fn claim(
        &self,
        record: IdempotencyRecord,
        request: &[u8],
        now: Timestamp,
    ) -> Result<IdempotencyClaim> {
        let claim = self.keys.claim_key(&record, now).await?;
        match self.mac_keys.previous() {
            Some(previous) if claim == IdempotencyClaim::OtherRequest => {
                let record = IdempotencyRecord { fingerprint: fingerprint(previous, request), ..record };
                self.keys.claim_key(&record, now).await
            }
            _ => Ok(claim),
        }
    }
}

/// Keyed, because a body may hold a password, and a bare hash of it could be guessed.
fn fingerprint(key: &[u8; 32], request: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), request);
    let mut out = [0; 32];
    out.copy_from_slice(tag.as_ref());
    out
}
