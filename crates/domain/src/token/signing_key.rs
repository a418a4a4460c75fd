//! The key that signs tokens, as the settings or the store give it.

use super::public_key::{PublicKey, ed25519_public_key};
use crate::error::Result;
use crate::ids::{Entropy, random};
use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use std::fmt;
use zeroize::Zeroizing;

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

impl SigningKey {
    pub(super) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hs256(_) => Algorithm::HS256,
            Self::Hs384(_) => Algorithm::HS384,
            Self::Hs512(_) => Algorithm::HS512,
            Self::EdDsa(_) => Algorithm::EdDSA,
        }
    }

    pub(super) fn encoding_key(&self) -> EncodingKey {
        match self {
            Self::Hs256(secret) | Self::Hs384(secret) | Self::Hs512(secret) => {
                EncodingKey::from_secret(secret)
            }
            Self::EdDsa(pkcs8) => EncodingKey::from_ed_der(pkcs8),
        }
    }

    pub(super) fn decoding_key(&self) -> Result<DecodingKey> {
        Ok(match self {
            Self::Hs256(secret) | Self::Hs384(secret) | Self::Hs512(secret) => {
                DecodingKey::from_secret(secret)
            }
            Self::EdDsa(pkcs8) => ed25519_public_key(pkcs8)?.decoding_key(),
        })
    }

    /// The public half, for a key that has one.
    pub(super) fn public_key(&self) -> Result<Option<PublicKey>> {
        match self {
            Self::EdDsa(pkcs8) => ed25519_public_key(pkcs8).map(Some),
            _ => Ok(None),
        }
    }

    pub(super) fn kid(&self) -> Result<Option<String>> {
        Ok(self.public_key()?.map(|public| public.kid().to_owned()))
    }
}
