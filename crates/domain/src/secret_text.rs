//! Secrets as people copy them: keys, and the tokens of invitations and of links for a new password.
//!
//! A secret is the text `tnt_<kind>_<id>_<secret><checksum>`: 24 hex digits of id, 64 of secret (256 bits), and 8
//! that are the first four bytes of the SHA-256 of all that precedes them. The checksum is no protection: it
//! tells a mistyped secret from a wrong one without a lookup, and lets scanners recognize a leaked one. The
//! store knows only the SHA-256 of the whole text.

use crate::ids::{Entropy, random};
use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// What every secret begins with, so that people and scanners recognize one.
pub const PREFIX: &str = "tnt_";
/// Hex digits of the secret part.
const SECRET_DIGITS: usize = 64;
/// Hex digits of the checksum.
const CHECKSUM_DIGITS: usize = 8;

/// A text that begins like a secret and is none: a part is missing, or a character is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedSecret;

/// The text of a new secret of that kind, for the record of that id.
#[must_use]
pub fn generate(kind: &str, id: impl std::fmt::Display, entropy: &dyn Entropy) -> Zeroizing<String> {
    of_secret(kind, id, &Zeroizing::new(random(entropy)))
}

/// The text of that kind and id with that secret.
#[must_use]
pub fn of_secret(
    kind: &str,
    id: impl std::fmt::Display,
    secret: &[u8; SECRET_DIGITS / 2],
) -> Zeroizing<String> {
    let secret = Zeroizing::new(hex::encode(secret));
    let mut text = Zeroizing::new(format!("{PREFIX}{kind}_{id}_{}", *secret));
    let checksum = checksum(&text);
    text.push_str(&checksum);
    text
}

/// The kind and the id in the text of a secret. The checksum is checked here, so a mistyped secret costs no
/// lookup.
///
/// # Errors
/// [`MalformedSecret`].
pub fn parse(text: &str) -> Result<(&str, &str), MalformedSecret> {
    let rest = text.strip_prefix(PREFIX).ok_or(MalformedSecret)?;
    let (kind, rest) = rest.split_once('_').ok_or(MalformedSecret)?;
    let (id, secret) = rest.split_once('_').ok_or(MalformedSecret)?;
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    // In lower case, so that a secret has one spelling and one hash.
    if secret.len() != SECRET_DIGITS + CHECKSUM_DIGITS || !is_hex(secret) || !is_hex(id) {
        return Err(MalformedSecret);
    }
    let (body, given) = text.split_at(text.len() - CHECKSUM_DIGITS);
    if given == checksum(body) { Ok((kind, id)) } else { Err(MalformedSecret) }
}

/// The secret in a text that [`parse`] accepts.
#[must_use]
pub fn secret_of(text: &str) -> Option<[u8; SECRET_DIGITS / 2]> {
    let (_, secret) = text.rsplit_once('_')?;
    let mut bytes = [0; SECRET_DIGITS / 2];
    hex::decode_to_slice(secret.get(..SECRET_DIGITS)?, &mut bytes).ok()?;
    Some(bytes)
}

/// What the store keeps of a secret: 256 random bits need no slow hash.
#[must_use]
pub fn hash(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

fn checksum(body: &str) -> String {
    hex::encode(&digest(&SHA256, body.as_bytes()).as_ref()[..CHECKSUM_DIGITS / 2])
}
