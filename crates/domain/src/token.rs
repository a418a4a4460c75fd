//! Access tokens: JWTs of the type `at+jwt` (RFC 9068), signed with one key and checked with one algorithm. While the key is
//! rotated, tokens of the one before are accepted too.
//!
//! A token that passes the check here is ours and unexpired, and no more: the caller has to look up whether
//! its account, membership, session and organization are still valid.
//!
//! # Pitfalls
//! The sender writes the header of a token. Nothing in it may choose the algorithm or the key.

mod claims;
mod public_key;
mod verified;

pub use claims::{ActorClaim, Claims, ClaimsGrant, ExchangeClaims, SessionClaims};
pub use public_key::{PublicKey, ed25519_public_key};

use crate::error::{Error, ErrorCode, Result};
use crate::ids::{Entropy, random};
use aws_lc_rs::signature::Ed25519KeyPair;
use claims::ClaimMembers;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::json;
use std::fmt;
use std::sync::Arc;
use verified::VerifiedTokens;
use zeroize::Zeroizing;

/// The media type of an access token, without `application/`.
const TYPE: &str = "at+jwt";
/// The largest token that is parsed, in bytes; ours have some 600.
const TOKEN_MAX_BYTES: usize = 8 * 1024;
/// The `client_id` of the token of a sign-in: an account that signs in with a password does so at the service itself, and there are no
/// other clients to tell apart. RFC 9068 requires the claim.
pub const CLIENT_ID: &str = "tenantry";
/// How far ahead of ours the clock of another instance may be, in seconds.
const CLOCK_SKEW_SECONDS: i64 = 60;

/// The key that signs tokens.
pub enum SigningKey {
    /// HMAC with SHA-256.
    Hs256(Zeroizing<Vec<u8>>),
    /// HMAC with SHA-384.
    Hs384(Zeroizing<Vec<u8>>),
    /// HMAC with SHA-512.
    Hs512(Zeroizing<Vec<u8>>),
    /// Ed25519, from a PKCS#8 document such as [`generate_ed25519`] makes. Others can check the tokens with the
    /// public key.
    EdDsa(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hs256(_) => "Hs256(..)",
            Self::Hs384(_) => "Hs384(..)",
            Self::Hs512(_) => "Hs512(..)",
            Self::EdDsa(_) => "EdDsa(..)",
        })
    }
}

/// A new Ed25519 key, as a PKCS#8 document.
#[must_use]
pub fn generate_ed25519(entropy: &dyn Entropy) -> Zeroizing<Vec<u8>> {
    ed25519_of(&Zeroizing::new(random::<32>(entropy)))
}

/// The signing key of `seed`, as a PKCS#8 document.
#[must_use]
pub fn ed25519_of(seed: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let document = Ed25519KeyPair::from_seed_unchecked(seed).and_then(|key| Ok(key.to_pkcs8v1()?));
    Zeroizing::new(document.expect("every 32 bytes are an Ed25519 key").as_ref().to_vec())
}

/// Issues and checks access tokens.
pub struct TokenKeys {
    issuer: String,
    audience: String,
    header: Header,
    encoding: EncodingKey,
    /// The keys that are accepted, all of one algorithm; the first is that of `encoding`.
    accepted: Vec<DecodingKey>,
    validation: Validation,
    verified: VerifiedTokens<VerifiedToken>,
    /// The public keys, for keys that have one.
    jwks: Vec<serde_json::Value>,
}

impl TokenKeys {
    /// Tokens of `issuer` for `audience`, signed with `key`.
    ///
    /// # Errors
    /// `internal` if an Ed25519 key is not a PKCS#8 document.
    pub fn new(key: &SigningKey, issuer: impl Into<String>, audience: impl Into<String>) -> Result<Self> {
        let (algorithm, encoding, decoding, jwk) = key_material(key)?;
        let mut header = Header::new(algorithm);
        header.typ = Some(TYPE.to_owned());
        header.kid = jwk.as_ref().and_then(|jwk| jwk["kid"].as_str()).map(str::to_owned);
        Ok(Self {
            issuer: issuer.into(),
            audience: audience.into(),
            header,
            encoding,
            accepted: vec![decoding],
            validation: signature_alone(algorithm),
            verified: VerifiedTokens::new(),
            jwks: Vec::from_iter(jwk),
        })
    }

    /// Accepts tokens that `other` has signed, too. The public key of `other` is published like the first.
    ///
    /// # Errors
    /// `internal` if `other` is of another algorithm, or an Ed25519 key is not a PKCS#8 document.
    pub fn also_accepting(mut self, other: &SigningKey) -> Result<Self> {
        let (algorithm, _, decoding, jwk) = key_material(other)?;
        if algorithm != self.header.alg {
            return Err(Error::internal("the keys that are accepted are of two algorithms"));
        }
        self.accepted.push(decoding);
        self.jwks.extend(jwk);
        Ok(self)
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

    /// Signs `claims`.
    ///
    /// # Errors
    /// `internal`, if the cryptography refuses.
    pub fn issue(&self, claims: &Claims) -> Result<String> {
        jsonwebtoken::encode(&self.header, claims, &self.encoding).map_err(Error::internal)
    }

    /// The claims of `token`, if it is ours and valid at `now`.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(ErrorCode::TokenInvalid.into());
        }
        let VerifiedToken { claims, nbf } = self.verified.get(token, || self.verify_signature(token))?;
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

    /// What `token` says, if it is ours, whenever it is valid.
    fn verify_signature(&self, token: &str) -> Result<VerifiedToken> {
        let decode = |key| jsonwebtoken::decode::<ClaimMembers>(token, key, &self.validation).ok();
        let token = self.accepted.iter().find_map(decode).ok_or(ErrorCode::TokenInvalid)?;
        let nbf = token.claims.nbf;
        let claims = Claims::try_from(token.claims).map_err(|_| ErrorCode::TokenInvalid)?;
        let is_ours =
            is_access_token(&token.header) && claims.iss == self.issuer && claims.aud == self.audience;
        if is_ours {
            Ok(VerifiedToken { claims: Arc::new(claims), nbf })
        } else {
            Err(ErrorCode::TokenInvalid.into())
        }
    }

    /// The public keys for checking the tokens (RFC 7517); empty for an HMAC secret.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        json!({ "keys": self.jwks })
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys").field("algorithm", &self.header.alg).finish_non_exhaustive()
    }
}

/// What a token of ours says.
#[derive(Clone)]
struct VerifiedToken {
    claims: Arc<Claims>,
    nbf: Option<i64>,
}

type Keys = (Algorithm, EncodingKey, DecodingKey, Option<serde_json::Value>);

fn key_material(key: &SigningKey) -> Result<Keys> {
    Ok(match key {
        SigningKey::Hs256(secret) => hmac_keys(Algorithm::HS256, secret),
        SigningKey::Hs384(secret) => hmac_keys(Algorithm::HS384, secret),
        SigningKey::Hs512(secret) => hmac_keys(Algorithm::HS512, secret),
        SigningKey::EdDsa(pkcs8) => ed25519_keys(pkcs8)?,
    })
}

fn hmac_keys(algorithm: Algorithm, secret: &[u8]) -> Keys {
    (algorithm, EncodingKey::from_secret(secret), DecodingKey::from_secret(secret), None)
}

fn ed25519_keys(pkcs8: &[u8]) -> Result<Keys> {
    let public = ed25519_public_key(pkcs8)?;
    Ok((Algorithm::EdDSA, EncodingKey::from_ed_der(pkcs8), public.decoding_key(), Some(public.jwk())))
}

/// Makes the library check only algorithm and signature. It would read the system clock, and accept fractions
/// and strings as times and lists as `iss` and `aud`: all these are checked here.
fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

/// Whether the header is that of an access token (RFC 9068, 4), with no extension that has to be understood
/// (RFC 7515, 4.1.11).
fn is_access_token(header: &Header) -> bool {
    let named = header.typ.as_deref().unwrap_or_default();
    let named = named.strip_prefix("application/").unwrap_or(named);
    named.eq_ignore_ascii_case(TYPE) && header.crit.is_none()
}

#[cfg(test)]
mod tests;
