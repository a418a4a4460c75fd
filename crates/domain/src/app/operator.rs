//! The operator key: opaque, 256 bits, known to the service only as its hash.

use crate::api_key::{ApiKeyKind, ApiKeyText};
use crate::audit::{AuditAction, AuditEvent};
use crate::error::{Error, Result};
use crate::ids::{ApiKeyId, Entropy, random};
use crate::store::{Installation, UpdateOutcome};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use zeroize::Zeroizing;

/// What an operator key of the first versions begins with; they stay valid.
pub const OPERATOR_KEY_PREFIX: &str = "tenantry_operator_";

/// The name of the installation value with the hash.
pub const HASH: &str = "operator_key_hash";

/// How often a replacement is tried while somebody else replaces the key.
const ATTEMPTS: u32 = 8;

/// A new operator key.
#[must_use]
pub fn generate(entropy: &dyn Entropy) -> Zeroizing<String> {
    // Its id leads to no record, and tells operator keys apart.
    let id = ApiKeyId::from_bytes(random(entropy));
    Zeroizing::new(ApiKeyText::generate(ApiKeyKind::Operator, id, entropy).as_str().to_owned())
}

/// Whether `text` has the form of an operator key.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    let is_old = text
        .strip_prefix(OPERATOR_KEY_PREFIX)
        .is_some_and(|secret| !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic()));
    is_old || has_checksum(text)
}

/// Whether `text` has the form of the operator keys that are made today.
#[must_use]
pub fn has_checksum(text: &str) -> bool {
    ApiKeyText::parse(text).is_ok_and(|key| key.kind() == ApiKeyKind::Operator)
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

/// Makes `key` the operator key of the installation, replacing any earlier one, and notes that in the audit trail of the
/// installation.
///
/// # Errors
/// `store_unavailable`.
pub async fn replace_hash(
    installation: &dyn Installation,
    key: &str,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<()> {
    let event = AuditEvent::of_installation(AuditAction::OperatorKeyReplaced, now, entropy);
    for _ in 0..ATTEMPTS {
        let current = installation.get_value(HASH).await?;
        let replaced = installation.update_value(HASH, current.as_deref(), &hash(key), Some(&event)).await?;
        if replaced == UpdateOutcome::Done {
            return Ok(());
        }
    }
    Err(Error::unavailable("the operator key changes all the time"))
}
