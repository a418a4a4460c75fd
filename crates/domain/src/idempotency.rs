//! `Idempotency-Key`: the same key and body get the same response, however often they are sent.
//!
//! The key's record fixes the id of the new resource before it is created. So even a crash between the change
//! and the saved response cannot create a second one: the repeated request finds the first by its id.

use crate::ids::OrganizationId;
use crate::limits::IDEMPOTENCY_KEY_MAX_BYTES;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A key, hashed together with the scope of its sender, so that the keys of two senders never collide.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdempotencyKey(pub [u8; 32]);

impl IdempotencyKey {
    /// The key `text` of a caller identified by `scope`.
    ///
    /// `None` unless it is 1 to 255 visible ASCII characters.
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
    /// How many keys it may have at once.
    pub most: u32,
}

impl KeyHolder {
    /// The holder `name` of that kind, who may have `most` keys.
    #[must_use]
    pub fn new(kind: &str, name: &str, most: u32) -> Self {
        Self { id: sha256(&[kind.as_bytes(), &[0], name.as_bytes()].concat()), most }
    }
}

/// A response to send again. It is small: it leaves out what a repeated request can derive from its own body,
/// the id and the revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`, `ETag`, `Location` and the like, as name and value.
    pub headers: Vec<(String, String)>,
    /// The exact body; empty if it is derived from the repeated request.
    pub body: Vec<u8>,
}

/// A request that claimed its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// The key.
    pub key: IdempotencyKey,
    /// A keyed hash of the request, to detect a different request with the same key.
    pub fingerprint: [u8; 32],
    /// Whose key it is; `None` if the holder has no limit, or in records from before 2026-11-29.
    pub holder: Option<KeyHolder>,
    /// The id of the resource that this request creates.
    pub organization_id: OrganizationId,
    /// When another request may take over the key.
    pub lease_until: Timestamp,
    /// When the key is forgotten.
    pub expires_at: Timestamp,
    /// The response, once there is one.
    pub answer: Option<StoredResponse>,
}

/// The result of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdempotencyClaim {
    /// The key belongs to this request; create the organization with this id.
    Granted(OrganizationId),
    /// The request already has a response.
    Answered {
        /// The id that was granted for the new resource.
        made: OrganizationId,
        /// The response it got.
        answer: StoredResponse,
    },
    /// Another request with this key is still running.
    InProgress,
    /// The key was used for another request.
    OtherRequest,
    /// The key is new, and its holder has as many as allowed.
    TooMany {
        /// When the first of them expires.
        until: Timestamp,
    },
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}
