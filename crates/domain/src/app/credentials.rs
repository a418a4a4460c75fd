//! Checks passwords and counts the attempts.

use super::audit::AuditCounts;
use super::clock_and_entropy::ClockAndEntropy;
use super::passwords::PasswordHasher;
use super::rate_limit::RateLimiter;
use crate::account::Account;
use crate::actor::Actor;
use crate::audit::{AuditAction, AuditChain, home_of};
use crate::email::EmailKey;
use crate::error::{Error, ErrorCode, Result};
use crate::password::hash::PasswordCheck;
use crate::password::policy::PresentedPassword;
use crate::rate_limit::ClientNetwork;
use crate::store::{self, Store, UpdateOutcome};
use std::sync::Arc;

/// The credentials of accounts.
pub(super) struct Credentials {
    accounts: Arc<dyn store::Accounts>,
    passwords: Arc<PasswordHasher>,
    rate_limiter: Arc<RateLimiter>,
    counts: Arc<AuditCounts>,
    sources: ClockAndEntropy,
}

impl Credentials {
    pub(super) fn new(
        store: &Store,
        passwords: &Arc<PasswordHasher>,
        rate_limiter: &Arc<RateLimiter>,
        counts: &Arc<AuditCounts>,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            accounts: store.accounts.clone(),
            passwords: passwords.clone(),
            rate_limiter: rate_limiter.clone(),
            counts: counts.clone(),
            sources: sources.clone(),
        }
    }

    /// Refuses a wrong password. Counts the attempt; takes just as long without an account.
    pub(super) async fn check_password(
        &self,
        key: &EmailKey,
        account: Option<&Account>,
        password: PresentedPassword,
        network: ClientNetwork,
    ) -> Result<Option<u32>> {
        let checked = self.try_password(key, account, password, network).await;
        if let Err(error) = &checked {
            self.count_failure(account, network, error.code());
        }
        checked
    }

    async fn try_password(
        &self,
        key: &EmailKey,
        account: Option<&Account>,
        password: PresentedPassword,
        network: ClientNetwork,
    ) -> Result<Option<u32>> {
        let attempt = self.rate_limiter.count_attempt(key, network).await?;
        let stored = account.map(|account| account.password_hash.0.clone());
        match (self.passwords.verify(password.clone(), stored).await?, account) {
            (PasswordCheck::Match { rehash }, Some(account)) => {
                self.rate_limiter.record_success(&attempt).await?;
                // The password was right; if its hash cannot be renewed now, the next sign-in does it.
                if rehash && let Err(error) = self.rehash(account, password).await {
                    tracing::warn!(account = %account.id, %error, "a password could not be rehashed");
                }
                // The attempt was refunded.
                Ok(attempt.remaining.map(|left| left + 1))
            }
            _ => Err(Error::new(ErrorCode::InvalidCredentials).remaining(attempt.remaining)),
        }
    }

    /// Counts a failure in the trail of the account's organization, or of the installation for an unknown address.
    fn count_failure(&self, account: Option<&Account>, network: ClientNetwork, code: ErrorCode) {
        if !matches!(code, ErrorCode::InvalidCredentials | ErrorCode::TooManyAttempts) {
            return;
        }
        let chain = AuditChain(account.and_then(home_of));
        let target = account.map(|account| Actor::Account(account.id));
        let (action, now) = (AuditAction::SignInFailed, self.sources.now());
        self.counts.count(action, chain, target, Some(network.address()), code.code(), now);
    }

    /// Replaces a hash with other parameters, from elsewhere or an earlier version.
    async fn rehash(&self, account: &Account, password: PresentedPassword) -> Result<()> {
        let hash = self.passwords.hash(password.into_verified()).await?;
        let mut next = account.successor(self.sources.now());
        next.password_hash = hash;
        if self.accounts.update_account(&next, None).await? == UpdateOutcome::Stale {
            tracing::debug!(account = %account.id, "the account changed while its password was rehashed");
        }
        Ok(())
    }
}
