//! `Idempotency-Key`: the same key and body get the same answer, however often they are sent.
//!
//! The key's record fixes the id of what the request makes before it is made. So even a crash between the
//! change and the saved answer cannot make a second one: the repeated request finds the first by its id.

use crate::error::{Error, ErrorCode, Result};
use crate::ids::OrganizationId;
use crate::limits::IDEMPOTENCY_KEY_MAX_BYTES;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A key within the scope of whoever sent it, hashed: nobody meets another's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestKey(pub [u8; 32]);

impl RequestKey {
    /// The key `text` of a caller who is told from others by `scope`.
    ///
    /// # Errors
    /// `invalid_header` unless it is 1 to 255 visible ASCII characters.
    pub fn parse(scope: &str, text: &str) -> Result<Self> {
        let fits = (1..=IDEMPOTENCY_KEY_MAX_BYTES).contains(&text.len());
        if !fits || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::new(ErrorCode::InvalidHeader).detail(format!(
                "`Idempotency-Key` must be 1 to {IDEMPOTENCY_KEY_MAX_BYTES} visible ASCII characters."
            )));
        }
        Ok(Self(sha256(&[scope.as_bytes(), &[0], text.as_bytes()].concat())))
    }
}

/// What an answer was, to be given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`, `ETag`, `Location` and the like, as name and value.
    pub headers: Vec<(String, String)>,
    /// The body, to the byte.
    pub body: Vec<u8>,
}

/// A request that claimed its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The key.
    pub key: RequestKey,
    /// A keyed hash of the request, so that another request with the same key is told apart.
    pub fingerprint: [u8; 32],
    /// The id of the organization this request makes.
    pub organization_id: OrganizationId,
    /// Until when nobody else may take the key up.
    pub lease_until: Timestamp,
    /// When the key is forgotten.
    pub expires_at: Timestamp,
    /// The answer, once there is one.
    pub answer: Option<SavedAnswer>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The key is this request's; make the organization with this id.
    Granted(OrganizationId),
    /// It has been answered before.
    Answered(SavedAnswer),
    /// Another request with this key is still running.
    InProgress,
    /// The key was used for another request.
    OtherRequest,
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}
