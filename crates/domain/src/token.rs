//! Access tokens: JWTs of the type `at+jwt` (RFC 9068), signed with one key at a time and checked with one algorithm. While
//! the key is rotated, tokens of the one before are accepted too.
//!
//! A token that passes the check here is ours and unexpired, and no more: the caller has to look up whether
//! its account, membership, session and organization are still valid.
//!
//! # Pitfalls
//! The sender writes the header of a token. Nothing in it may choose the algorithm, and its `kid` only which of our own keys
//! to try.

mod claims;
mod header;
mod material;
mod public_key;
mod signing_key;
pub(crate) mod verified;

pub use claims::{ActorClaim, Claims, ClaimsGrant, ExchangeClaims, SessionClaims};
pub use material::PublishedKey;
pub use public_key::{PublicKey, ed25519_public_key};
pub use signing_key::{SigningKey, ed25519_of, generate_ed25519};

use crate::error::{ErrorCode, Result};
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use material::KeyMaterial;
use serde_json::json;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use verified::VerifiedToken;

/// The largest token that is parsed, in bytes; ours have some 600.
const TOKEN_MAX_BYTES: usize = 8 * 1024;
/// The `client_id` of the token of a sign-in: an account that signs in with a password does so at the service itself, and there are no
/// other clients to tell apart. RFC 9068 requires the claim.
pub const CLIENT_ID: &str = "tenantry";
/// How far ahead of ours the clock of another instance may be, in seconds.
const CLOCK_SKEW_SECONDS: i64 = 60;

/// Issues and checks access tokens.
pub struct TokenKeys {
    issuer: String,
    audience: String,
    /// `None` until stored keys have been read.
    material: RwLock<Option<Arc<KeyMaterial>>>,
}

impl TokenKeys {
    /// Tokens of `issuer` for `audience`, signed with `key`.
    ///
    /// # Errors
    /// `internal` if an Ed25519 key is not a PKCS#8 document.
    pub fn new(key: &SigningKey, issuer: impl Into<String>, audience: impl Into<String>) -> Result<Self> {
        Self::accepting(key, &[], issuer, audience)
    }

    /// Tokens that `key` signs. Those that `others` have signed are accepted, too; their public keys are published
    /// like the first.
    ///
    /// # Errors
    /// `internal` if the keys are of two algorithms, or an Ed25519 key is not a PKCS#8 document.
    pub fn accepting(
        key: &SigningKey,
        others: &[&SigningKey],
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Result<Self> {
        let material = Arc::new(KeyMaterial::of_secrets(key, others)?);
        Ok(Self { material: RwLock::new(Some(material)), ..Self::without_keys(issuer, audience) })
    }

    /// Tokens whose keys are stored and not known yet.
    #[must_use]
    pub fn without_keys(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), audience: audience.into(), material: RwLock::new(None) }
    }

    /// From now on these keys sign and are accepted, and no others.
    ///
    /// # Errors
    /// `internal` if none of them signs, or a private half is not a PKCS#8 document.
    pub fn publish(&self, keys: &[PublishedKey]) -> Result<()> {
        let material = Arc::new(KeyMaterial::of_published(keys)?);
        *self.material.write().unwrap_or_else(PoisonError::into_inner) = Some(material);
        Ok(())
    }

    fn material(&self) -> Result<Arc<KeyMaterial>> {
        let material = self.material.read().unwrap_or_else(PoisonError::into_inner).clone();
        material.ok_or_else(|| ErrorCode::StoreUnavailable.into())
    }

    /// The `iss` of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `aud` of the tokens.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The algorithm that signs, as a token's header has it.
    ///
    /// # Errors
    /// `store_unavailable` before the keys are known.
    pub fn algorithm(&self) -> Result<&'static str> {
        Ok(match self.material()?.algorithm {
            Algorithm::HS384 => "HS384",
            Algorithm::HS512 => "HS512",
            Algorithm::EdDSA => "EdDSA",
            _ => "HS256",
        })
    }

    /// Signs `claims`.
    ///
    /// # Errors
    /// `internal`, if the cryptography refuses; `store_unavailable` before the keys are known.
    pub fn issue(&self, claims: &Claims) -> Result<String> {
        self.material()?.issue(claims)
    }

    /// The claims of `token`, if it is ours and valid at `now`.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`; `store_unavailable` before the keys are known.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(ErrorCode::TokenInvalid.into());
        }
        let verified = self.material()?.verify(token, &self.issuer, &self.audience)?;
        let VerifiedToken { claims, nbf } = verified;
        let latest = now.as_second().saturating_add(CLOCK_SKEW_SECONDS);
        // A token from the future may have expired before the clock was set back.
        if claims.iat > latest || nbf.is_some_and(|nbf| nbf > latest) {
            return Err(ErrorCode::TokenInvalid.into());
        }
        if claims.exp <= now.as_second() {
            return Err(ErrorCode::TokenExpired.into());
        }
        Ok(claims)
    }

    /// The public keys for checking the tokens (RFC 7517); empty for an HMAC secret.
    ///
    /// # Errors
    /// `store_unavailable` before the keys are known.
    pub fn jwks(&self) -> Result<serde_json::Value> {
        Ok(json!({ "keys": self.material()?.jwks() }))
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = self.material().ok().map(|material| material.algorithm);
        f.debug_struct("TokenKeys").field("algorithm", &algorithm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
