//! `Idempotency-Key`: the same key and body get the same answer, however often they are sent.
//!
//! The key's record fixes the id of what the request makes before it is made. So even a crash between the
//! change and the saved answer cannot make a second one: the repeated request finds the first by its id.

use crate::ids::OrganizationId;
use crate::limits::IDEMPOTENCY_KEY_MAX_BYTES;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A key, hashed together with the scope of its sender, so that the keys of two senders never collide.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdempotencyKey(pub [u8; 32]);

impl IdempotencyKey {
    /// The key `text` of a caller who is told from others by `scope`.
    ///
    /// None unless it is 1 to 255 visible ASCII characters.
    #[must_use]
    pub fn parse(scope: &str, text: &str) -> Option<Self> {
        let fits = (1..=IDEMPOTENCY_KEY_MAX_BYTES).contains(&text.len());
        let key = || Self(sha256(&[scope.as_bytes(), &[0], text.as_bytes()].concat()));
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(key)
    }
}

/// Whose key it is, where the number of keys is bounded: an account, or the network of callers without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyHolder {
    /// A hash: the store holds no address in clear.
    pub id: [u8; 32],
    /// How many keys it may have at a time.
    pub most: u32,
}

impl KeyHolder {
    /// The holder `name` of that kind, who may have `most` keys.
    #[must_use]
    pub fn new(kind: &str, name: &str, most: u32) -> Self {
        Self { id: sha256(&[kind.as_bytes(), &[0], name.as_bytes()].concat()), most }
    }
}

/// What an answer was, to be given again. It is small: what a repeated request can make again of its own body, of the id
/// and of the revision is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`, `ETag`, `Location` and the like, as name and value.
    pub headers: Vec<(String, String)>,
    /// The body, to the byte; nothing if it is made again of the repeated request.
    pub body: Vec<u8>,
}

/// A request that claimed its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// The key.
    pub key: IdempotencyKey,
    /// A keyed hash of the request, so that another request with the same key is told apart.
    pub fingerprint: [u8; 32],
    /// Whose key it is; none where nobody counts, as in records of before 2026-11-29.
    pub holder: Option<KeyHolder>,
    /// The id of what this request makes.
    pub organization_id: OrganizationId,
    /// Until when nobody else may take the key up.
    pub lease_until: Timestamp,
    /// When the key is forgotten.
    pub expires_at: Timestamp,
    /// The answer, once there is one.
    pub answer: Option<StoredResponse>,
}

/// The result of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdempotencyClaim {
    /// The key is this request's; make the organization with this id.
    Granted(OrganizationId),
    /// It has been answered before.
    Answered {
        /// The id that was granted for what it makes.
        made: OrganizationId,
        /// What it was answered.
        answer: StoredResponse,
    },
    /// Another request with this key is still running.
    InProgress,
    /// The key was used for another request.
    OtherRequest,
    /// It is a new key, and its holder has as many as they may.
    TooMany {
        /// When the first of these is forgotten.
        until: Timestamp,
    },
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}
