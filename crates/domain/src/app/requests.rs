//! Requests that carry an `Idempotency-Key`: claimed, answered once, answered the same again.

use super::App;
use crate::clock;
use crate::error::{ErrorCode, Result};
use crate::idempotency::{Claim, RequestKey, RequestRecord, SavedAnswer};
use crate::ids::OrganizationId;
use crate::limits::{IDEMPOTENCY_KEEP, IDEMPOTENCY_LEASE};
use aws_lc_rs::hmac;

/// What a repeatable request may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// Carry on, and make the organization with this id.
    Run(OrganizationId),
    /// Give this answer again.
    Repeat(SavedAnswer),
}

impl App {
    /// Claims `key` for the request whose method, path and body are `request`.
    ///
    /// # Errors
    /// `idempotency_in_progress`, `idempotency_key_reused`.
    pub async fn claim_request(&self, key: RequestKey, request: &[u8]) -> Result<Permit> {
        let now = self.now();
        let record = RequestRecord {
            key,
            fingerprint: self.fingerprint(request),
            organization_id: OrganizationId::new(now, &*self.entropy),
            lease_until: clock::after(now, IDEMPOTENCY_LEASE),
            expires_at: clock::after(now, IDEMPOTENCY_KEEP),
            answer: None,
        };
        match self.store.requests.claim_request(&record, now).await? {
            Claim::Granted(id) => Ok(Permit::Run(id)),
            Claim::Answered(answer) => Ok(Permit::Repeat(answer)),
            Claim::InProgress => {
                Err(crate::Error::new(ErrorCode::IdempotencyInProgress).retry_after(IDEMPOTENCY_LEASE))
            }
            Claim::OtherRequest => Err(ErrorCode::IdempotencyKeyReused.into()),
        }
    }

    /// Keeps the answer to a claimed request.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn save_answer(&self, key: &RequestKey, answer: &SavedAnswer) -> Result<()> {
        self.store.requests.save_answer(key, answer).await
    }

    /// Lets others take up a claimed request whose outcome is not known.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn yield_request(&self, key: &RequestKey) -> Result<()> {
        self.store.requests.yield_request(key).await
    }

    /// Forgets a claimed request that changed nothing.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn release_request(&self, key: &RequestKey) -> Result<()> {
        self.store.requests.release_request(key).await
    }

    /// Keyed, because a body may hold a password, and a bare hash of it could be guessed.
    fn fingerprint(&self, request: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.mac_key), request);
        let mut out = [0; 32];
        out.copy_from_slice(tag.as_ref());
        out
    }
}
