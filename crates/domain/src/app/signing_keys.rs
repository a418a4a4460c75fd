//! The keys that sign tokens: the one way to them for everything that issues or checks a token, and the operator's view of
//! those that rotate.
//!
//! Keys of the settings stay as they are. Stored keys are read again when they are older than half a second, and never used
//! when older than [`RECENT_READ_MAX_AGE`]: so a key that another instance retires is refused within that time.
//!
//! # Pitfalls
//! Whether an installation is new shows by its operator key, so its first keys must be stored before that one is made.

mod stored;

pub use stored::{SIGNING_KEYS, SigningState, StoredKeys, read_state};

use super::auth::Operator;
use super::clock_and_entropy::ClockAndEntropy;
use crate::audit::AuditAction;
use crate::clock::between;
use crate::error::{Error, ErrorCode, Result};
use crate::operation::Actor;
use crate::signing_keys::{SigningKeySet, SigningKeyView};
use crate::store::{self, Store};
use crate::token::TokenKeys;
use std::sync::Arc;
use stored::{KeySetChange, StoredKeyReader};

/// Where the keys that sign tokens come from.
pub enum TokenSigning {
    /// From the settings: they change with these alone.
    Settings(TokenKeys),
    /// From the store, where they rotate.
    Store(TokenKeys, StoredKeys),
}

/// The keys that sign tokens.
pub struct SigningKeys {
    tokens: TokenKeys,
    stored: Option<StoredKeyReader>,
    sources: ClockAndEntropy,
}

impl SigningKeys {
    pub(super) fn new(signing: TokenSigning, store: &Store, sources: &ClockAndEntropy) -> Self {
        let installation: Arc<dyn store::Installation> = store.installation.clone();
        let (tokens, stored) = match signing {
            TokenSigning::Settings(tokens) => (tokens, None),
            TokenSigning::Store(tokens, keys) => {
                (tokens, Some(StoredKeyReader::new(keys, installation, sources)))
            }
        };
        Self { tokens, stored, sources: sources.clone() }
    }

    /// What issues and checks tokens, with the keys as they were stored at most a second ago.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub(super) async fn tokens(&self) -> Result<&TokenKeys> {
        if let Some(stored) = &self.stored {
            stored.refresh(&self.tokens).await?;
        }
        Ok(&self.tokens)
    }

    /// The `iss` of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.tokens.issuer()
    }

    /// The public keys for checking access tokens (RFC 7517); none for a shared secret.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn public_keys(&self) -> Result<serde_json::Value> {
        self.tokens().await?.jwks()
    }

    /// Makes the keys of a new installation, and brings stored ones up to date: after it, tokens can be issued.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn set_up(&self) -> Result<()> {
        match &self.stored {
            Some(stored) => stored.set_up(&self.tokens).await,
            None => Ok(()),
        }
    }

    /// What is due by the time: a key is published ahead of its turn, one whose last token has expired goes.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn maintain(&self) -> Result<()> {
        self.set_up().await
    }

    /// The algorithm of the tokens.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn algorithm(&self, _: &Operator) -> Result<&'static str> {
        self.tokens().await?.algorithm()
    }

    /// The keys, the first to sign first; none where a secret signs.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_keys(&self, _: &Operator) -> Result<Vec<SigningKeyView>> {
        match &self.stored {
            Some(stored) => Ok(stored.current_set(&self.tokens).await?.views(self.sources.now())),
            None => Ok(Vec::new()),
        }
    }

    /// Has the next key sign from now on. Tokens of the one before are accepted until they expire. Where the key did not
    /// rotate so far, it does from now on: the next one is published, and takes over a day later.
    ///
    /// # Errors
    /// `signing_keys_fixed`, `signing_key_unready`, `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn rotate(&self, _: &Operator) -> Result<Vec<SigningKeyView>> {
        let stored = self.stored.as_ref().ok_or(ErrorCode::SigningKeysFixed)?;
        let event = |action| self.sources.event(None, action, Actor::Operator);
        let change = |set: &SigningKeySet, is_stored: bool| {
            let now = self.sources.now();
            if !is_stored {
                let event = event(AuditAction::SigningKeyPublished).detail("kid", set.next_kid(now));
                return Ok(KeySetChange { set: set.clone(), event });
            }
            let set = set.rotated(now).map_err(|not_yet| {
                Error::new(ErrorCode::SigningKeyUnready)
                    .retry_after(between(now, not_yet.ready_at))
                    .detail(format!("It can take over from {} on.", not_yet.ready_at))
            })?;
            let event = event(AuditAction::SigningKeyRotated).detail("kid", set.current_kid(now));
            Ok(KeySetChange { set, event })
        };
        let set = stored.change(&self.tokens, change).await?;
        Ok(set.views(self.sources.now()))
    }

    /// Ends a key at once, and every token that it has signed. If it is the one that signs, the next takes over.
    ///
    /// # Errors
    /// `signing_key_not_found`, `signing_keys_fixed`, `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn retire(&self, _: &Operator, kid: &str) -> Result<Vec<SigningKeyView>> {
        let stored = self.stored.as_ref().ok_or(ErrorCode::SigningKeysFixed)?;
        let change = |set: &SigningKeySet, _: bool| {
            let set = set.retired(kid, self.sources.now()).ok_or(ErrorCode::SigningKeyNotFound)?;
            let event = self.sources.event(None, AuditAction::SigningKeyRetired, Actor::Operator);
            Ok(KeySetChange { set, event: event.detail("kid", Some(kid)) })
        };
        let set = stored.change(&self.tokens, change).await?;
        Ok(set.views(self.sources.now()))
    }
}
