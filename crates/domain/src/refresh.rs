//! Refresh tokens: opaque to clients, known to the store only as hashes.
//!
//! A token is `session ‖ generation ‖ secret ‖ mac`. The MAC tells a used token from a forged one without
//! keeping every hash. The next token's secret is derived from the current *token's* secret and a salt that
//! the session keeps: so a used token that is sent again within the grace period gets the same successor, and
//! neither the stored record alone nor a token alone is enough to derive one.

use crate::ids::SessionId;
use crate::session::TokenHash;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The prefix of refresh tokens, so that people and secret scanners recognize them.
const PREFIX: &str = "tenantry_refresh_";
/// Bytes of session id, generation, secret and mac.
const BYTES: usize = 12 + 4 + 32 + 16;

/// A refresh token whose mac is right. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session it belongs to.
    pub session_id: SessionId,
    /// The number of exchanges before it.
    pub generation: u32,
    secret: [u8; 32],
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken(..)")
    }
}

impl RefreshToken {
    /// The first token of a session.
    #[must_use]
    pub const fn first(session_id: SessionId, secret: [u8; 32]) -> Self {
        Self { session_id, generation: 0, secret }
    }

    /// The next token; the same for the same salt.
    #[must_use]
    pub fn successor(&self, salt: &[u8; 32]) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.secret), salt);
        let mut secret = [0; 32];
        secret.copy_from_slice(tag.as_ref());
        Self { session_id: self.session_id, generation: self.generation.wrapping_add(1), secret }
    }

    /// The hash that the store keeps.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, &self.body()).as_ref());
        out
    }

    /// The text a client keeps.
    #[must_use]
    pub fn text(&self, mac_key: &[u8; 32]) -> String {
        let mut bytes = self.body();
        bytes.extend_from_slice(&mac(mac_key, &bytes));
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads what [`Self::text`] wrote with the same key; nothing else is a refresh token.
    #[must_use]
    pub fn parse(text: &str, mac_key: &[u8; 32]) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let bytes: [u8; BYTES] = bytes.try_into().ok()?;
        let (body, tag) = bytes.split_at(BYTES - 16);
        if !bool::from(subtle::ConstantTimeEq::ct_eq(&mac(mac_key, body)[..], tag)) {
            return None;
        }
        Some(Self {
            session_id: SessionId::from_bytes(body[..12].try_into().ok()?),
            generation: u32::from_be_bytes(body[12..16].try_into().ok()?),
            secret: body[16..].try_into().ok()?,
        })
    }

    fn body(&self) -> Vec<u8> {
        [&self.session_id.as_bytes()[..], &self.generation.to_be_bytes(), &self.secret].concat()
    }
}

fn mac(key: &[u8; 32], body: &[u8]) -> [u8; 16] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), body);
    let mut out = [0; 16];
    out.copy_from_slice(&tag.as_ref()[..16]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [1; 32];

    #[test]
    fn refresh_token_round_trips_and_rejects_any_change() {
        let token = RefreshToken::first(SessionId::from_bytes([7; 12]), [9; 32]);
        let text = token.text(&KEY);
        assert_eq!(RefreshToken::parse(&text, &KEY), Some(token));
        assert_eq!(RefreshToken::parse(&text, &[2; 32]), None);
        for at in PREFIX.len()..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(RefreshToken::parse(std::str::from_utf8(&changed).unwrap(), &KEY), None, "{at}");
        }
    }

    #[test]
    fn refresh_token_successor_is_deterministic_for_its_salt() {
        let token = RefreshToken::first(SessionId::from_bytes([7; 12]), [9; 32]);
        assert_eq!(token.successor(&[3; 32]), token.successor(&[3; 32]));
        assert_ne!(token.successor(&[3; 32]).hash(), token.successor(&[4; 32]).hash());
    }
}
