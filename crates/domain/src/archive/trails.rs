//! The lines of an archive about audit trails: the organization's own, and before it those that earlier imports
//! brought along. Each is a whole chain, which is verified while it is read.

use crate::audit::{AuditAction, AuditChain, AuditEntry, AuditHash};
use crate::ids::AuditEventId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A trail begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedTrail {
    /// The chain that its hashes are made for: the id of the organization as it was then.
    pub chain: AuditChain,
}

/// An entry of the trail that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedEntry {
    /// Its place in the chain.
    pub sequence: u64,
    /// The event's id.
    pub id: AuditEventId,
    /// When the event happened.
    pub at: Timestamp,
    /// What happened.
    pub action: AuditAction,
    /// Who did it; absent after a purge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The event's text; absent after a purge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The SHA-256 of that text.
    #[serde(with = "hex")]
    pub digest: AuditHash,
    /// The hash of the entry before it.
    #[serde(with = "hex")]
    pub previous: AuditHash,
    /// The hash of this entry.
    #[serde(with = "hex")]
    pub hash: AuditHash,
}

impl ArchivedEntry {
    /// The archived form of an entry.
    #[must_use]
    pub fn of(entry: AuditEntry) -> Self {
        let AuditEntry { chain: _, sequence, id, at, action, actor, text, digest, previous, hash } = entry;
        Self { sequence, id, at, action, actor, text, digest, previous, hash }
    }

    /// The entry in that chain.
    #[must_use]
    pub fn in_chain(self, chain: AuditChain) -> AuditEntry {
        let Self { sequence, id, at, action, actor, text, digest, previous, hash } = self;
        AuditEntry { chain, sequence, id, at, action, actor, text, digest, previous, hash }
    }
}

/// The trail is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedTrailEnd {
    /// Its chain.
    pub chain: AuditChain,
    /// How many entries it has.
    pub entries: u64,
    /// The number of the last one.
    pub last: u64,
    /// Its hash.
    #[serde(with = "hex")]
    pub hash: AuditHash,
}
