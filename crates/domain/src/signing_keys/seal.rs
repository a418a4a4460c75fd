//! Sealing the set of keys for the store: encrypted and authenticated under a key that is derived from the secret of the
//! service. Who reads the store gets no private key, and who writes to it adds no public one.

use super::SigningKeySet;
use crate::error::{Error, Result};
use crate::ids::{Entropy, random};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::fmt;
use zeroize::Zeroizing;

/// The first byte of a sealed set: the version of its form.
const VERSION: u8 = 1;
/// What is authenticated beside the set, so that no other use of the key is mistaken for it.
const PURPOSE: &[u8] = b"tenantry signing keys v1";

/// A key that seals.
pub struct KeySeal(LessSafeKey);

impl KeySeal {
    /// The seal of these bytes.
    ///
    /// # Panics
    /// Never: every 32 bytes are a key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are an AES-256 key");
        Self(LessSafeKey::new(key))
    }

    fn open(&self, nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = self.0.open_in_place(nonce, Aad::from(PURPOSE), &mut buffer).ok()?.len();
        buffer.truncate(length);
        Some(buffer)
    }
}

impl fmt::Debug for KeySeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySeal(..)")
    }
}

/// The seal in use and, while the secret is being replaced, the other one that opens.
#[derive(Debug)]
pub struct KeySeals {
    current: KeySeal,
    other: Option<KeySeal>,
}

/// A stored set that none of the seals opens: it was sealed under another secret, or was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored signing keys do not open with the secret of this service")]
pub struct UnsealError;

impl KeySeals {
    /// What is sealed from now on is sealed by `current`.
    #[must_use]
    pub const fn new(current: KeySeal, other: Option<KeySeal>) -> Self {
        Self { current, other }
    }

    /// The set as it is stored.
    ///
    /// # Errors
    /// `internal`.
    pub fn seal(&self, set: &SigningKeySet, entropy: &dyn Entropy) -> Result<Vec<u8>> {
        let mut text = Zeroizing::new(serde_json::to_vec(set).map_err(Error::internal)?);
        let nonce: [u8; NONCE_LEN] = random(entropy);
        let tag = self.current.0.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(PURPOSE),
            &mut text,
        );
        let tag = tag.map_err(|_| Error::internal("the signing keys cannot be sealed"))?;
        Ok([&[VERSION], &nonce[..], &text, tag.as_ref()].concat())
    }

    /// A stored set, and whether the seal in use has sealed it.
    ///
    /// # Errors
    /// [`UnsealError`].
    pub fn open(&self, stored: &[u8]) -> Result<(SigningKeySet, bool), UnsealError> {
        let sealed = stored.strip_prefix(&[VERSION]).ok_or(UnsealError)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(UnsealError)?;
        let (text, is_current) = match self.current.open(*nonce, sealed) {
            Some(text) => (text, true),
            None => {
                (self.other.as_ref().and_then(|seal| seal.open(*nonce, sealed)).ok_or(UnsealError)?, false)
            }
        };
        let set = serde_json::from_slice(&text).map_err(|_| UnsealError)?;
        Ok((set, is_current))
    }
}
