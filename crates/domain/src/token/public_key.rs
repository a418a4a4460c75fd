//! The public half of an Ed25519 key, as others check signatures with it.

use super::header::signature_alone;
use crate::error::{Error, Result};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use serde::de::DeserializeOwned;
use serde_json::json;

/// A public Ed25519 key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    bytes: Vec<u8>,
    kid: String,
}

/// The public key of a PKCS#8 document.
///
/// # Errors
/// `internal` for another document.
pub fn ed25519_public_key(pkcs8: &[u8]) -> Result<PublicKey> {
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|cause| {
        Error::internal(format!("the signing key is not an Ed25519 key in PKCS#8: {cause}"))
    })?;
    Ok(PublicKey::new(pair.public_key().as_ref().to_vec()))
}

impl PublicKey {
    fn new(bytes: Vec<u8>) -> Self {
        let kid = thumbprint(&URL_SAFE_NO_PAD.encode(&bytes));
        Self { bytes, kid }
    }

    /// The key with that member `x` of a JWK (RFC 8037); `None` if it is no key.
    #[must_use]
    pub fn from_x(x: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(x).ok()?;
        (bytes.len() == 32).then(|| Self::new(bytes))
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The member `x` of its JWK (RFC 8037).
    #[must_use]
    pub fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.bytes)
    }

    /// The key as others read it (RFC 7517).
    #[must_use]
    pub fn jwk(&self) -> serde_json::Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": self.x(), "kid": self.kid, "alg": "EdDSA", "use": "sig" })
    }

    pub(super) fn decoding_key(&self) -> DecodingKey {
        DecodingKey::from_ed_der(&self.bytes)
    }

    /// The header and the claims of a text that this key has signed; `None` for any other text.
    pub(crate) fn verify<T: DeserializeOwned + Clone>(&self, text: &str) -> Option<(Header, T)> {
        let validation = signature_alone(Algorithm::EdDSA);
        let token = jsonwebtoken::decode::<T>(text, &self.decoding_key(), &validation).ok()?;
        Some((token.header, token.claims))
    }
}

/// The name of an Ed25519 key: RFC 7638, with the members that RFC 8037 names.
pub(super) fn thumbprint(x: &str) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()))
}
