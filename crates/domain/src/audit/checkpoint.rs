//! Checkpoints: signed statements of where a chain ends. Who keeps one elsewhere can tell later whether the end of
//! the chain was cut off, or the whole chain computed again.

use super::chain::{AuditChain, AuditHash, ChainHead};
use crate::error::{Error, Result};
use crate::token::{PublicKey, ed25519_public_key};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};

/// The media type of a checkpoint, without `application/`: no token has it.
const TYPE: &str = "tenantry-checkpoint+jwt";

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The service that made it.
    pub iss: String,
    /// Whose chain.
    pub chain: String,
    /// The number of the last entry.
    pub sequence: u64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
}

impl Checkpoint {
    /// The place that it names; `None` if it names none.
    #[must_use]
    pub fn head(&self) -> Option<ChainHead> {
        let mut hash: AuditHash = [0; 32];
        hex::decode_to_slice(&self.hash, &mut hash).ok()?;
        Some(ChainHead { sequence: self.sequence, hash })
    }
}

/// The Ed25519 key that signs checkpoints, also where tokens are signed with a shared secret.
pub struct CheckpointKey {
    encoding: EncodingKey,
    public: PublicKey,
    issuer: String,
}

impl CheckpointKey {
    /// The key in a PKCS#8 document.
    ///
    /// # Errors
    /// `internal` for another document.
    pub fn new(pkcs8: &[u8], issuer: impl Into<String>) -> Result<Self> {
        let public = ed25519_public_key(pkcs8)?;
        Ok(Self { encoding: EncodingKey::from_ed_der(pkcs8), public, issuer: issuer.into() })
    }

    /// The public key (RFC 7517).
    #[must_use]
    pub fn jwk(&self) -> serde_json::Value {
        self.public.jwk()
    }

    /// A checkpoint of the chain that ends at `head`, as a compact JWS (RFC 7515).
    ///
    /// # Errors
    /// `internal`.
    pub fn sign(&self, chain: AuditChain, head: ChainHead, now: Timestamp) -> Result<String> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(self.public.kid().to_owned());
        let checkpoint = Checkpoint {
            iss: self.issuer.clone(),
            chain: chain.to_string(),
            sequence: head.sequence,
            hash: head.hash_text(),
            iat: now.as_second(),
        };
        jsonwebtoken::encode(&header, &checkpoint, &self.encoding).map_err(Error::internal)
    }
}

/// Reads a checkpoint that the key `x` (the member of its JWK) has signed; `None` for any other text.
#[must_use]
pub fn verify_checkpoint(text: &str, x: &str) -> Option<Checkpoint> {
    let key = PublicKey::from_x(x)?;
    let (header, checkpoint) = key.verify::<Checkpoint>(text)?;
    (header.typ.as_deref() == Some(TYPE) && header.crit.is_none()).then_some(checkpoint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::ed25519_of;

    fn key(seed: u8) -> CheckpointKey {
        CheckpointKey::new(&ed25519_of(&[seed; 32]), "tenantry").unwrap()
    }

    fn signed(key: &CheckpointKey) -> String {
        let head = ChainHead { sequence: 7, hash: [5; 32] };
        key.sign(AuditChain::INSTALLATION, head, Timestamp::from_second(1_800_000_000).unwrap()).unwrap()
    }

    fn x(key: &CheckpointKey) -> String {
        key.jwk()["x"].as_str().unwrap().to_owned()
    }

    #[test]
    fn checkpoint_reads_back_with_its_key_only() {
        let text = signed(&key(1));
        let checkpoint = verify_checkpoint(&text, &x(&key(1))).unwrap();
        assert_eq!(checkpoint.head(), Some(ChainHead { sequence: 7, hash: [5; 32] }));
        assert_eq!(checkpoint.chain, "installation");
        assert_eq!(verify_checkpoint(&text, &x(&key(2))), None);
    }

    #[test]
    fn checkpoint_with_changed_character_is_rejected() {
        let text = signed(&key(1));
        for index in 0..text.len() - 1 {
            let mut bytes = text.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(verify_checkpoint(&changed, &x(&key(1))), None, "character {index}");
        }
    }
}
