//! Limits how often passwords can be tried.
//!
//! Every attempt is counted before it is evaluated: against the account together with the network that the
//! attempt comes from, and against that network alone. An attempt from a network that the account has never
//! signed in from also counts against one counter for all such networks. So guessing from many networks at once
//! is slow, too, and never locks the owner out of a network they use. A correct password refunds its attempt.

use super::clock_and_entropy::ClockAndEntropy;
use crate::email::EmailKey;
use crate::error::{Error, ErrorCode, Result};
use crate::rate_limit::{
    CREATE_NETWORK, ClientNetwork, FORGOT_NETWORK, KNOWN_NETWORK, RateLimit, RateLimitDecision, RateLimitKey,
    SIGN_IN_NETWORK, SIGN_IN_PAIR, SIGN_IN_STRANGERS,
};
use crate::store::{self, Store};
use futures_util::future::join_all;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// An attempt that has been counted.
pub(super) struct SignInAttempt {
    counted: Vec<(RateLimitKey, RateLimit)>,
    /// The key that will mark the network as known to the account, if it is not known yet.
    unknown_network: Option<RateLimitKey>,
    at: Timestamp,
    /// How many more attempts this account has from this network at once; `None` if they are not counted.
    pub(super) remaining: Option<u32>,
}

/// Counts attempts, and refuses those beyond a limit.
pub struct RateLimiter {
    counters: Arc<dyn store::RateLimits>,
    /// Whether attempts are counted at all.
    enabled: bool,
    sources: ClockAndEntropy,
}

impl RateLimiter {
    pub(super) fn new(store: &Store, enabled: bool, sources: &ClockAndEntropy) -> Self {
        Self { counters: store.rate_limits.clone(), enabled, sources: sources.clone() }
    }

    /// Counts an attempt to sign in, or refuses it.
    pub(super) async fn count_attempt(
        &self,
        account: &EmailKey,
        network: ClientNetwork,
    ) -> Result<SignInAttempt> {
        let (account, network) = (account.as_str(), network.text());
        let known_network = known_network(account, &network);
        let mut attempt = SignInAttempt {
            counted: Vec::new(),
            unknown_network: None,
            at: self.sources.now(),
            remaining: None,
        };
        if !self.enabled {
            return Ok(attempt);
        }
        let is_familiar = self.counters.is_counted(&known_network, attempt.at).await?;
        // One after another, the narrowest first: an attempt that its own limit refuses must not use up a shared
        // limit, not even for a moment. There are always three, because their number would reveal whether the
        // account knows this network.
        let counters = [
            (RateLimitKey::new("pair", &[account, &network]), SIGN_IN_PAIR),
            (RateLimitKey::new("network", &[&network]), SIGN_IN_NETWORK),
            if is_familiar {
                (RateLimitKey::new("known_network pair", &[account, &network]), SIGN_IN_PAIR)
            } else {
                (RateLimitKey::new("strangers", &[account]), SIGN_IN_STRANGERS)
            },
        ];
        for counter in counters {
            match self.counters.acquire(&counter.0, counter.1, attempt.at).await? {
                RateLimitDecision::Allowed { remaining } => {
                    attempt.counted.push(counter);
                    attempt.remaining = Some(attempt.remaining.map_or(remaining, |left| left.min(remaining)));
                }
                RateLimitDecision::Refused { wait } => {
                    self.refund(&attempt).await?;
                    // Whichever of them it was: it would reveal whether the account knows this network.
                    return Err(refusal(wait, "sign-in", SIGN_IN_PAIR));
                }
            }
        }
        attempt.unknown_network = (!is_familiar).then_some(known_network);
        Ok(attempt)
    }

    /// Refunds a successful attempt, and marks its network as known.
    pub(super) async fn record_success(&self, attempt: &SignInAttempt) -> Result<()> {
        self.refund(attempt).await?;
        match &attempt.unknown_network {
            Some(network) => self.make_familiar(network, attempt.at).await,
            None => Ok(()),
        }
    }

    /// Marks the network that an account was created from as known to it.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn remember_network(&self, account: &EmailKey, network: ClientNetwork) -> Result<()> {
        if !self.enabled {
            return Ok(());
        }
        self.make_familiar(&known_network(account.as_str(), &network.text()), self.sources.now()).await
    }

    async fn make_familiar(&self, network: &RateLimitKey, at: Timestamp) -> Result<()> {
        // A refusal only means that the network is known already.
        self.counters.acquire(network, KNOWN_NETWORK, at).await.map(|_| ())
    }

    /// Counts the creation of an organization, or refuses it. Returns how many more are allowed at once, if they
    /// are counted.
    ///
    /// # Errors
    /// `too_many_attempts`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn count_create(&self, network: ClientNetwork) -> Result<Option<u32>> {
        if !self.enabled {
            return Ok(None);
        }
        let key = RateLimitKey::new("create", &[&network.text()]);
        match self.counters.acquire(&key, CREATE_NETWORK, self.sources.now()).await? {
            RateLimitDecision::Allowed { remaining } => Ok(Some(remaining)),
            RateLimitDecision::Refused { wait } => Err(refusal(wait, "create", CREATE_NETWORK)),
        }
    }

    /// Counts a request for a link for a new password, or refuses it.
    pub(super) async fn count_forgotten(&self, network: ClientNetwork) -> Result<()> {
        if !self.enabled {
            return Ok(());
        }
        let key = RateLimitKey::new("forgot", &[&network.text()]);
        match self.counters.acquire(&key, FORGOT_NETWORK, self.sources.now()).await? {
            RateLimitDecision::Allowed { .. } => Ok(()),
            RateLimitDecision::Refused { wait } => Err(refusal(wait, "forgot-password", FORGOT_NETWORK)),
        }
    }

    async fn refund(&self, attempt: &SignInAttempt) -> Result<()> {
        let back = attempt.counted.iter().map(|(key, limit)| self.counters.refund(key, *limit, attempt.at));
        join_all(back).await.into_iter().collect()
    }
}

/// The key that marks `network` as known to `account`.
fn known_network(account: &str, network: &str) -> RateLimitKey {
    RateLimitKey::new("known_network", &[account, network])
}

fn refusal(wait: Duration, name: &'static str, limit: RateLimit) -> Error {
    Error::new(ErrorCode::TooManyAttempts).retry_after(wait).remaining(Some(0)).limited_by(name, limit)
}
