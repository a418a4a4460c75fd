//! The operator key: opaque, 256 bits, known to the service only as its hash.

use crate::error::{Error, Result};
use crate::ids::{Entropy, random};
use crate::store::Installation;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The prefix of operator keys, so that people and secret scanners recognize them.
pub const OPERATOR_KEY_PREFIX: &str = "tenantry_operator_";

/// The name of the installation value with the hash.
pub const HASH: &str = "operator_key_hash";

/// A new operator key.
#[must_use]
pub fn generate(entropy: &dyn Entropy) -> String {
    format!("{OPERATOR_KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>(entropy)))
}

/// The hash of a key, which is all that the service keeps.
#[must_use]
pub fn hash(key: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
    out
}

/// The stored hash, if a key was ever created.
///
/// # Errors
/// `store_unavailable`.
pub async fn stored_hash(installation: &dyn Installation) -> Result<Option<[u8; 32]>> {
    let value = installation.get_value(HASH).await?;
    Ok(value.and_then(|bytes| bytes.try_into().ok()))
}

/// Makes `key` the operator key of an installation that has none. Returns the hash that is stored afterwards.
///
/// # Errors
/// `store_unavailable`.
pub async fn init_hash(installation: &dyn Installation, key: &str) -> Result<[u8; 32]> {
    let stored = installation.init_value(HASH, &hash(key)).await?;
    stored.try_into().map_err(|_| Error::internal("the stored hash of the operator key is not 32 bytes"))
}

/// Makes `key` the operator key of the installation, replacing any earlier one.
///
/// # Errors
/// `store_unavailable`.
pub async fn store_hash(installation: &dyn Installation, key: &str) -> Result<[u8; 32]> {
    let hash = hash(key);
    installation.put_value(HASH, &hash).await?;
    Ok(hash)
}
