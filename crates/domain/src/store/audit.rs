//! The port of the audit trail.

use crate::audit::{AuditAction, AuditChain, AuditEntry, AuditEvent};
use crate::error::Result;
use crate::ids::AuditEventId;
use async_trait::async_trait;

/// Whether entries could be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum AppendOutcome {
    /// They were, all of them.
    Done,
    /// Another process has appended to the chain meanwhile; a part of them may have been appended.
    Taken,
}

/// Which entries to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditQuery {
    /// Whose chain.
    pub chain: AuditChain,
    /// Only those of this action.
    pub action: Option<AuditAction>,
    /// Only those of this actor, as [`Actor::to_text`] writes it.
    ///
    /// [`Actor::to_text`]: crate::actor::Actor::to_text
    pub actor: Option<String>,
    /// Only those whose id is at least this.
    pub from: Option<AuditEventId>,
    /// Only those whose id is below this.
    pub before: Option<AuditEventId>,
}

/// Events, at first as they were written and then as entries of their chains.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Adds an event that rides in no other record.
    async fn insert_event(&self, event: &AuditEvent) -> Result<()>;

    /// Up to `limit` events of all records that are not known to be in a chain yet, the oldest (by id) first, as
    /// far as the engine finds them at once.
    async fn list_unchained(&self, limit: u32) -> Result<Vec<AuditEvent>>;

    /// Those of `ids` that are in the chain.
    async fn list_chained(&self, chain: AuditChain, ids: &[AuditEventId]) -> Result<Vec<AuditEventId>>;

    /// Appends consecutive entries of one chain; no two entries of a chain ever have one number or one event.
    /// Their events are unchained no more.
    async fn append_entries(&self, entries: &[AuditEntry]) -> Result<AppendOutcome>;

    /// Adds consecutive entries as another engine has them, wherever their chain begins; entries that are there
    /// already stay.
    async fn restore_entries(&self, entries: &[AuditEntry]) -> Result<()>;

    /// Removes these events from where they were written; they are in a chain.
    async fn clear_events(&self, ids: &[AuditEventId]) -> Result<()>;

    /// The last entry of the chain.
    async fn get_last_entry(&self, chain: AuditChain) -> Result<Option<AuditEntry>>;

    /// The first entry of the first chain after `after`, in the order of their names.
    async fn get_next_chain(&self, after: Option<AuditChain>) -> Result<Option<AuditEntry>>;

    /// Up to `limit` entries, the newest (by id) first.
    async fn list_entries(&self, query: &AuditQuery, limit: u32) -> Result<Vec<AuditEntry>>;

    /// Up to `limit` entries in the order of the chain, after the number `after`.
    async fn list_chain(&self, chain: AuditChain, after: u64, limit: u32) -> Result<Vec<AuditEntry>>;

    /// Removes the texts and actors of the entries from one number to another, both included.
    async fn redact_entries(&self, chain: AuditChain, from: u64, to: u64) -> Result<()>;

    /// Removes the entries up to a number, which is included.
    async fn delete_entries(&self, chain: AuditChain, to: u64) -> Result<()>;
}
