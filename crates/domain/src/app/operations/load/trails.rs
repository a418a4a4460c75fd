//! Audit trails of an archive: each becomes a chain of its own, with its entries as they are.

use super::{ImportProgress, Interrupted, part};
use crate::archive::{ArchivedTrail, ArchivedTrailEnd, damaged};
use crate::audit::AuditEntry;
use crate::audit::carried::CarriedTrail;
use crate::error::{Error, Result};
use crate::limits::PAGE_MAX_ITEMS;
use std::collections::BTreeSet;

impl ImportProgress<'_> {
    /// Entries of an interrupted trail are found by its name, which follows from the operation.
    pub(super) fn begin_trail(&mut self, trail: ArchivedTrail) -> Result<()> {
        let operation = self.organization.operation.as_deref();
        let operation = operation.ok_or_else(|| Error::internal("an import without its operation"))?;
        let kept_as = CarriedTrail::name(operation.id, self.organization.trails.len());
        self.trail = Some(CarriedTrail { kept_as, chain: trail.chain, entries: 0, last: 0, hash: [0; 32] });
        Ok(())
    }

    pub(super) async fn add_entry(&mut self, entry: AuditEntry) -> Result<(), Interrupted> {
        let trail = self.trail.as_ref().ok_or_else(|| Error::internal("an entry without a trail"))?;
        self.entries.push(AuditEntry { chain: trail.kept_as, ..entry });
        if self.entries.len() >= PAGE_MAX_ITEMS as usize { self.flush_entries().await } else { Ok(()) }
    }

    /// Writes the entries read so far.
    async fn flush_entries(&mut self) -> Result<(), Interrupted> {
        let batch = std::mem::take(&mut self.entries);
        if batch.is_empty() {
            return Ok(());
        }
        self.refuse_repeated(&batch).await?;
        let loader = self.loader;
        let restored = async { loader.audit.restore_entries(&batch).await };
        self.hold(restored).await??;
        self.counts.audit_entries += batch.len() as u64;
        part("part_trail");
        Ok(())
    }

    /// No event is twice in a chain; an archive whose hashes somebody has recomputed could say otherwise.
    async fn refuse_repeated(&mut self, batch: &[AuditEntry]) -> Result<(), Interrupted> {
        let ids: BTreeSet<_> = batch.iter().map(|entry| entry.id).collect();
        let (loader, chain, listed) = (self.loader, batch[0].chain, ids.iter().copied().collect::<Vec<_>>());
        let known = self.hold(async { loader.audit.list_chained(chain, &listed).await }).await??;
        if ids.len() == batch.len() && known.is_empty() {
            return Ok(());
        }
        Err(damaged(self.source.line(), "An event is twice in the audit trail before this line.").into())
    }

    pub(super) async fn end_trail(&mut self, end: &ArchivedTrailEnd) -> Result<(), Interrupted> {
        self.flush_entries().await?;
        let trail = self.trail.take().ok_or_else(|| Error::internal("the end of no trail"))?;
        let (entries, last, hash) = (end.entries, end.last, end.hash);
        self.organization.trails.push(CarriedTrail { entries, last, hash, ..trail });
        Ok(())
    }
}
