//! Access tokens of identity providers that the settings trust.
//!
//! Such a token says who somebody is and which organization they mean; what they may do is in our records. Which
//! issuer may speak for which organization, to whom its tokens are addressed, how they are signed and where the
//! keys are: all of that is in the settings ([`issuer`]), and nothing of it comes from the token.
//!
//! # Pitfalls
//! The sender writes the header and, until the signature is checked, the claims. They choose among what the settings
//! name, and nothing else: no algorithm, no key, no address.

mod claims;
pub mod issuer;
pub mod keys;

pub use claims::ForeignClaims;
pub use issuer::{OrganizationPin, TokenType, TrustedIssuer};
pub use keys::{IssuerKeySet, IssuerKeys};

use crate::error::{ErrorCode, Result};
use crate::ids::OrganizationId;
use crate::limits::FOREIGN_TOKEN_LIFETIME_MAX;
use crate::token::verified::VerifiedTokens;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claims::AddressedClaims;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation};
use keys::KeyId;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The largest token that is parsed, in bytes: providers put groups and names into theirs.
const TOKEN_MAX_BYTES: usize = 16 * 1024;
/// How far ahead of ours the clock of an issuer may be, in seconds.
const CLOCK_SKEW_SECONDS: i64 = 60;
/// Bytes of a `kid`.
const KID_MAX_BYTES: usize = 256;
/// Members of a header that bring or name a key, or demand to be understood.
const REFUSED_MEMBERS: [&str; 6] = ["jku", "jwk", "x5u", "x5c", "crit", "b64"];

/// The issuers of the settings, and their keys.
pub struct TrustedIssuers {
    issuers: Vec<TrustedIssuer>,
    keys: Arc<dyn IssuerKeys>,
    verified: VerifiedTokens<VerifiedToken>,
}

/// A token that is an issuer's and valid now.
#[derive(Debug, Clone)]
pub struct ForeignToken {
    /// What it says.
    pub claims: Arc<ForeignClaims>,
    /// The organization that it is for.
    pub organization_id: OrganizationId,
    /// Whether the settings make its issuer the authority for the address in it, and it says that the address is
    /// verified.
    pub has_authority: bool,
}

/// What never changes about a token while the service runs: who signed it, what it says, and for whom.
#[derive(Clone)]
struct VerifiedToken {
    issuer: usize,
    key: KeyId,
    claims: Arc<ForeignClaims>,
    organization_id: OrganizationId,
}

/// The parts of a header that matter.
struct TokenHeader {
    algorithm: Algorithm,
    kid: Option<String>,
    is_of: Option<TokenType>,
}

/// Why a token is not accepted with the keys that are known.
enum ForeignTokenError {
    Invalid,
    /// It names a key that this issuer may have got since.
    UnknownKey(usize),
}

impl TrustedIssuers {
    /// These issuers; `keys` knows them by their index.
    #[must_use]
    pub fn new(issuers: Vec<TrustedIssuer>, keys: Arc<dyn IssuerKeys>) -> Self {
        Self { issuers, keys, verified: VerifiedTokens::new() }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// What `token` says, if one of the issuers signed it for us and it is valid at `now`. An unknown `kid` of a
    /// configured issuer has its keys fetched, which only the requests with such a token wait for.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<ForeignToken> {
        let verified = match self.verify_with_known_keys(token) {
            Ok(verified) => verified,
            Err(ForeignTokenError::Invalid) => return Err(ErrorCode::TokenInvalid.into()),
            Err(ForeignTokenError::UnknownKey(issuer)) => {
                self.keys.refresh(issuer).await;
                self.verify_with_known_keys(token).map_err(|_| ErrorCode::TokenInvalid)?
            }
        };
        check_times(&verified.claims, now)?;
        let has_authority = self.issuers[verified.issuer].is_authority_for(&verified.claims);
        let VerifiedToken { claims, organization_id, .. } = verified;
        Ok(ForeignToken { claims, organization_id, has_authority })
    }

    fn verify_with_known_keys(&self, token: &str) -> Result<VerifiedToken, ForeignTokenError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(ForeignTokenError::Invalid);
        }
        let mut refusal = ForeignTokenError::Invalid;
        // The issuer may have withdrawn the key since, or only say more about it.
        let is_signed_now = |held: &VerifiedToken| self.keys.current(held.issuer).has(held.key);
        let verified = self.verified.get_if(token, is_signed_now, || {
            self.verify_signature(token).map_err(|refused| {
                refusal = refused;
                ErrorCode::TokenInvalid.into()
            })
        });
        verified.map_err(|_| refusal)
    }

    fn verify_signature(&self, token: &str) -> Result<VerifiedToken, ForeignTokenError> {
        let header = parse_header(token).ok_or(ForeignTokenError::Invalid)?;
        let addressed = addressed(token).ok_or(ForeignTokenError::Invalid)?;
        let mut refusal = ForeignTokenError::Invalid;
        for (index, issuer) in self.issuers.iter().enumerate() {
            let may_be_its = issuer.is_addressed(&addressed.iss, addressed.aud.as_slice())
                && header.is_of == Some(issuer.token_type)
                && issuer.algorithms.contains(&header.algorithm);
            if !may_be_its {
                continue;
            }
            let keys = self.keys.current(index);
            let candidates = keys.candidates(header.kid.as_deref(), header.algorithm);
            if candidates.is_empty() {
                refusal = ForeignTokenError::UnknownKey(index);
                continue;
            }
            for key in candidates {
                let validation = signature_alone(header.algorithm);
                let Ok(decoded) = jsonwebtoken::decode::<ForeignClaims>(token, &key.decoding, &validation)
                else {
                    continue;
                };
                // An issuer may be there for several audiences, each for other organizations.
                if let Some((claims, organization_id)) = issuer.accept(decoded.claims) {
                    let claims = Arc::new(claims);
                    return Ok(VerifiedToken { issuer: index, key: key.id, claims, organization_id });
                }
            }
        }
        Err(refusal)
    }
}

impl std::fmt::Debug for TrustedIssuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustedIssuers").field("issuers", &self.issuers).finish_non_exhaustive()
    }
}

fn check_times(claims: &ForeignClaims, now: Timestamp) -> Result<()> {
    let now = now.as_second();
    let latest = now.saturating_add(CLOCK_SKEW_SECONDS);
    let longest = i64::try_from(FOREIGN_TOKEN_LIFETIME_MAX.as_secs()).unwrap_or(i64::MAX);
    let is_from_future = claims.iat.0 > latest || claims.nbf.is_some_and(|nbf| nbf.0 > latest);
    if is_from_future || claims.exp.0.saturating_sub(claims.iat.0) > longest {
        return Err(ErrorCode::TokenInvalid.into());
    }
    if claims.exp.0 <= now {
        return Err(ErrorCode::TokenExpired.into());
    }
    Ok(())
}

fn parse_header(token: &str) -> Option<TokenHeader> {
    let mut parts = token.split('.');
    let (header, _, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let members: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    if REFUSED_MEMBERS.iter().any(|name| members.contains_key(*name)) {
        return None;
    }
    let algorithm = members.get("alg")?.as_str()?.parse().ok()?;
    let kid = match members.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= KID_MAX_BYTES => Some(kid.clone()),
        Some(_) => return None,
    };
    let is_of = match members.get("typ") {
        // RFC 7519 leaves it out or writes `JWT`.
        None => Some(TokenType::Jwt),
        Some(typ) => TokenType::of_header(typ.as_str()?),
    };
    Some(TokenHeader { algorithm, kid, is_of })
}

/// To whom the token says it is addressed, before its signature is checked.
fn addressed(token: &str) -> Option<AddressedClaims> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Makes the library check only algorithm and signature; the claims are checked here.
fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

#[cfg(test)]
mod tests;
