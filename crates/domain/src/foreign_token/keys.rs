//! The keys of issuers: a JWK Set (RFC 7517), and who brings it.

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// Keys of one issuer that are looked at.
pub const KEYS_MAX: usize = 64;

const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Brings the keys of issuers.
#[async_trait]
pub trait IssuerKeys: Send + Sync {
    /// The keys of the issuer with that index, as they are known. Never waits.
    fn current(&self, issuer: usize) -> Arc<IssuerKeySet>;

    /// Gets newer keys of that issuer, unless it was asked a moment ago. Ends when the attempt has ended, also
    /// in vain.
    async fn refresh(&self, issuer: usize);
}

/// The identity of a key: the hash of its JWK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 32]);

/// A public key.
pub(super) struct IssuerKey {
    pub(super) id: KeyId,
    pub(super) decoding: DecodingKey,
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
}

/// The public keys of an issuer.
#[derive(Default)]
pub struct IssuerKeySet {
    keys: Vec<IssuerKey>,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Value>,
}

impl IssuerKeySet {
    /// Reads a JWK Set. Keys for other purposes and of unknown kinds are left out, as RFC 7517 demands (5).
    ///
    /// # Errors
    /// A sentence, also if no key is left.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let JwkSet { keys } = serde_json::from_slice(text).map_err(|_| "It is not a JWK Set.".to_owned())?;
        if keys.len() > KEYS_MAX {
            return Err(format!("It has more than {KEYS_MAX} keys."));
        }
        let keys: Vec<IssuerKey> = keys.into_iter().filter_map(IssuerKey::new).collect();
        if keys.is_empty() {
            return Err("It has no public key for signatures.".to_owned());
        }
        Ok(Self { keys })
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn has(&self, id: KeyId) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }

    /// The keys that may have signed a token with that `kid` and algorithm. A token without `kid` may be of the
    /// only key for its algorithm.
    pub(super) fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> Vec<&IssuerKey> {
        let fits = |key: &&IssuerKey| {
            key.algorithms.contains(&algorithm) && (kid.is_none() || key.kid.as_deref() == kid)
        };
        let found: Vec<_> = self.keys.iter().filter(fits).collect();
        if kid.is_none() && found.len() > 1 { Vec::new() } else { found }
    }
}

impl std::fmt::Debug for IssuerKeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuerKeySet").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl IssuerKey {
    /// The key of a JWK; `None` if it is not a public key for signatures.
    fn new(value: Value) -> Option<Self> {
        let id = digest(&SHA256, value.to_string().as_bytes());
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let is_for_signatures = match &jwk.common.public_key_use {
            None => true,
            Some(purpose) => *purpose == PublicKeyUse::Signature,
        };
        let may_verify =
            jwk.common.key_operations.as_ref().is_none_or(|allowed| allowed.contains(&KeyOperations::Verify));
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => RSA.to_vec(),
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                vec![Algorithm::EdDSA]
            }
            // A symmetric key, or one of another kind.
            _ => return None,
        };
        if let Some(named) = &jwk.common.key_algorithm {
            let named: Algorithm = named.to_string().parse().ok()?;
            algorithms.retain(|algorithm| *algorithm == named);
        }
        if !is_for_signatures || !may_verify || algorithms.is_empty() {
            return None;
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(id.as_ref());
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: KeyId(bytes), decoding, kid: jwk.common.key_id, algorithms })
    }
}
