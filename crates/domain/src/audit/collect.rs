//! Links events into their chains.
//!
//! Several processes may do this at the same time: of two that append to one chain, the database accepts one, and the
//! other begins again with the next round.

use super::{AuditChain, AuditEntry, AuditEvent};
use crate::error::Result;
use crate::store::{AppendOutcome, Audit};
use std::collections::{BTreeMap, BTreeSet};

/// Events that are linked at once.
pub const COLLECT_BATCH: u32 = 500;

/// Links the events that are not in a chain yet, up to [`COLLECT_BATCH`]. Returns how many it found; if that many,
/// there may be more.
///
/// # Errors
/// `store_unavailable`.
pub async fn collect_events(audit: &dyn Audit) -> Result<usize> {
    let events = audit.list_unchained(COLLECT_BATCH).await?;
    let found = events.len();
    let mut chains: BTreeMap<AuditChain, Vec<AuditEvent>> = BTreeMap::new();
    for event in events {
        chains.entry(event.chain()).or_default().push(event);
    }
    for (chain, events) in chains {
        append(audit, chain, events).await?;
    }
    Ok(found)
}

async fn append(audit: &dyn Audit, chain: AuditChain, events: Vec<AuditEvent>) -> Result<()> {
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    // The last entry first: what is appended after this look makes the append fail.
    let mut last = audit.get_last_entry(chain).await?;
    let chained: BTreeSet<_> = audit.list_chained(chain, &ids).await?.into_iter().collect();
    if !chained.is_empty() {
        // An earlier process was stopped between the chain and the record.
        audit.clear_events(&chained.iter().copied().collect::<Vec<_>>()).await?;
    }
    let mut entries = Vec::with_capacity(events.len());
    for event in events.iter().filter(|event| !chained.contains(&event.id)) {
        let entry = AuditEntry::link(event, last.as_ref())?;
        last = Some(entry.clone());
        entries.push(entry);
    }
    if entries.is_empty() {
        return Ok(());
    }
    if audit.append_entries(&entries).await? == AppendOutcome::Taken {
        tracing::debug!(%chain, "another process appends to this audit chain");
    }
    Ok(())
}
