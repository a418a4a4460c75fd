//! The chain of a trail: each entry names its predecessor by SHA-256, so that no entry can be changed, inserted or
//! removed in between without all later hashes being wrong.
//!
//! A purge removes the text of the entries and leaves their digests: the chain can still be verified. Retention
//! removes entries from the beginning: the first one left names a predecessor that is gone.

pub use super::place::{AuditChain, AuditHash, ChainHead};

use super::{AuditAction, AuditEvent, AuditOutcome};
use crate::error::Result;
use crate::ids::AuditEventId;
use aws_lc_rs::digest::{Context, SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the first entry of a chain has as the hash of its predecessor.
pub const FIRST_PREVIOUS: AuditHash = [0; 32];
/// Tells these hashes from all others.
const PURPOSE: &[u8] = b"tenantry audit entry v1\0";

/// An event in its chain. As JSON it is a line of an exported chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Whose chain.
    pub chain: AuditChain,
    /// Its place in it, from 1 on without gaps.
    pub sequence: u64,
    /// The event's id.
    pub id: AuditEventId,
    /// When the event happened.
    pub at: Timestamp,
    /// What happened.
    pub action: AuditAction,
    /// Who did it, as lists are filtered by it; gone after a purge.
    pub actor: Option<String>,
    /// The event's text; gone after a purge.
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

impl AuditEntry {
    /// The entry of `event` after `last`.
    ///
    /// # Errors
    /// `internal`.
    pub fn link(event: &AuditEvent, last: Option<&Self>) -> Result<Self> {
        let text = event.to_text()?;
        let mut entry = Self {
            chain: event.chain(),
            sequence: last.map_or(0, |last| last.sequence) + 1,
            id: event.id,
            at: event.at,
            action: event.action,
            actor: Some(event.actor.to_text()),
            digest: sha256(text.as_bytes()),
            text: Some(text),
            previous: last.map_or(FIRST_PREVIOUS, |last| last.hash),
            hash: [0; 32],
        };
        entry.hash = entry.computed_hash();
        Ok(entry)
    }

    /// The entry as a purge leaves it.
    #[must_use]
    pub fn redacted(self) -> Self {
        Self { text: None, actor: None, ..self }
    }

    /// Its place in the chain.
    #[must_use]
    pub const fn head(&self) -> ChainHead {
        ChainHead { sequence: self.sequence, hash: self.hash }
    }

    /// The event; `None` after a purge.
    ///
    /// # Errors
    /// `internal`.
    pub fn event(&self) -> Result<Option<AuditEvent>> {
        self.text.as_deref().map(AuditEvent::parse).transpose()
    }

    /// Whether it tells why the entries before it have no text: a purge, or an import that was undone.
    fn ends_redaction(&self) -> bool {
        let is_failed = || matches!(self.event(), Ok(Some(event)) if event.outcome == AuditOutcome::Failed);
        match self.action {
            AuditAction::OrganizationPurged => self.text.is_some(),
            AuditAction::OrganizationImported => is_failed(),
            _ => false,
        }
    }

    fn computed_hash(&self) -> AuditHash {
        let mut context = Context::new(&SHA256);
        let chain = self.chain.to_string();
        let milliseconds = self.at.as_millisecond().to_be_bytes();
        let parts: [&[u8]; 8] = [
            PURPOSE,
            chain.as_bytes(),
            &self.sequence.to_be_bytes(),
            self.id.as_bytes(),
            &milliseconds,
            self.action.as_str().as_bytes(),
            &self.digest,
            &self.previous,
        ];
        for part in parts {
            // The length first, so that no two lists of parts are one text.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.finish().as_ref().try_into().unwrap_or_default()
    }

    /// What is wrong with the entry on its own: its text, the columns beside it, its hash.
    fn own_fault(&self) -> Option<ChainFault> {
        if self.text.is_none() && self.actor.is_some() {
            return Some(ChainFault::Columns);
        }
        if let Some(text) = &self.text {
            if sha256(text.as_bytes()) != self.digest {
                return Some(ChainFault::Text);
            }
            let same = AuditEvent::parse(text).is_ok_and(|event| {
                event.id == self.id
                    && event.chain() == self.chain
                    && event.at.as_millisecond() == self.at.as_millisecond()
                    && event.action == self.action
                    && self.actor.as_deref() == Some(&event.actor.to_text())
            });
            if !same {
                return Some(ChainFault::Columns);
            }
        }
        (self.computed_hash() != self.hash).then_some(ChainFault::Hash)
    }
}

fn sha256(bytes: &[u8]) -> AuditHash {
    digest(&SHA256, bytes).as_ref().try_into().unwrap_or_default()
}

/// Why a chain is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// The text was changed.
    #[error("its text was changed")]
    Text,
    /// What lists are filtered by does not agree with the text.
    #[error("its fields do not agree with its text")]
    Columns,
    /// The hash is not that of the entry.
    #[error("its hash is not the hash of the entry")]
    Hash,
    /// It does not follow the entry before it.
    #[error("it does not follow the entry before it: entries are missing, inserted or changed")]
    Link,
    /// It is from another chain.
    #[error("it is from another chain")]
    Foreign,
    /// It has no text, and no purge has removed it: a purge redacts a trail from its beginning.
    #[error("its text is missing, and no purge removed it")]
    Erased,
    /// No purge follows the entries without a text.
    #[error(
        "the entries up to it have no text, and no purge follows them. If one is under way, verify again after it"
    )]
    NoPurge,
}

/// Verifies a chain entry by entry.
#[derive(Debug, Clone)]
pub struct ChainVerifier {
    chain: AuditChain,
    last: Option<ChainHead>,
    entries: u64,
    redacted: u64,
    first: Option<u64>,
    /// Whether an event has followed the redacted entries that explains them.
    is_explained: bool,
}

impl ChainVerifier {
    /// For the entries of `chain` in their order, beginning with the first that is kept.
    #[must_use]
    pub const fn new(chain: AuditChain) -> Self {
        Self { chain, last: None, entries: 0, redacted: 0, first: None, is_explained: false }
    }

    /// Checks the next entry.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, entry: &AuditEntry) -> Result<(), ChainFault> {
        if entry.chain != self.chain {
            return Err(ChainFault::Foreign);
        }
        if let Some(fault) = entry.own_fault() {
            return Err(fault);
        }
        let follows = match self.last {
            Some(last) => entry.sequence == last.sequence + 1 && entry.previous == last.hash,
            // Retention may have removed what was before it.
            None => entry.sequence > 1 || (entry.sequence == 1 && entry.previous == FIRST_PREVIOUS),
        };
        if !follows {
            return Err(ChainFault::Link);
        }
        let is_redacted = entry.text.is_none();
        // A purge redacts an organization's whole trail so far, and the installation's is never purged.
        if is_redacted && (self.chain == AuditChain::INSTALLATION || self.redacted < self.entries) {
            return Err(ChainFault::Erased);
        }
        self.is_explained |= entry.ends_redaction();
        self.first.get_or_insert(entry.sequence);
        self.entries += 1;
        self.redacted += u64::from(is_redacted);
        self.last = Some(entry.head());
        Ok(())
    }

    /// Checks the chain as a whole, once it has no further entry.
    ///
    /// # Errors
    /// [`ChainFault::NoPurge`], with the last entry that was redacted.
    pub fn finish(&self) -> Result<(), (u64, ChainFault)> {
        if self.redacted == 0 || self.is_explained {
            return Ok(());
        }
        Err((self.first.unwrap_or(1) + self.redacted - 1, ChainFault::NoPurge))
    }

    /// The last entry that was checked.
    #[must_use]
    pub const fn head(&self) -> Option<ChainHead> {
        self.last
    }

    /// How many entries were checked.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// How many of them a purge has redacted.
    #[must_use]
    pub const fn redacted(&self) -> u64 {
        self.redacted
    }

    /// The sequence number of the first.
    #[must_use]
    pub const fn first(&self) -> Option<u64> {
        self.first
    }
}
