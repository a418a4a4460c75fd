//! The effect of a purge on the audit trail: its entries lose their texts, and the chain stays.

use super::Steps;
use crate::audit::AuditChain;
use crate::audit::carried::CarriedTrail;
use crate::audit::collect::{COLLECT_BATCH, collect_events};
use crate::error::Result;
use crate::ids::OperationId;
use crate::limits::{ARCHIVE_TRAILS_MAX, PAGE_MAX_ITEMS};
use crate::organization::Organization;

impl Steps {
    /// Redacts the trail of an organization that is gone, unless it has come back under its id. Undoing an
    /// import ends here, too: nothing but the import has happened then.
    pub(super) async fn redact_trail(
        &self,
        organization: &Organization,
        operation: OperationId,
    ) -> Result<()> {
        while collect_events(&*self.audit).await? >= COLLECT_BATCH as usize {}
        let chain = AuditChain::from(organization.id);
        let Some(last) = self.audit.get_last_entry(chain).await? else { return Ok(()) };
        let mut after = 0;
        while !self.has_come_back(organization.id, operation).await? {
            let page = self.audit.list_chain(chain, after, PAGE_MAX_ITEMS).await?;
            let (Some(first), Some(end)) = (page.first(), page.last()) else { break };
            if first.sequence > last.sequence {
                break;
            }
            if page.iter().any(|entry| entry.text.is_some()) {
                self.audit.redact_entries(chain, first.sequence, end.sequence.min(last.sequence)).await?;
            }
            after = end.sequence;
        }
        Ok(())
    }

    /// Removes the trails that an import brought along: of an organization that is purged, those in its record; of an
    /// import that is undone, with all that it had written. No other life of the id has trails of these names.
    pub(super) async fn remove_carried_trails(
        &self,
        organization: &Organization,
        operation: OperationId,
    ) -> Result<()> {
        let written = (0..ARCHIVE_TRAILS_MAX).map(|index| CarriedTrail::name(operation, index));
        let written: Vec<_> = written.chain(organization.trails.iter().map(|trail| trail.kept_as)).collect();
        for chain in written {
            let mut after = 0;
            // A page at a time: other writers come in between.
            while let Some(last) = self.audit.list_chain(chain, after, PAGE_MAX_ITEMS).await?.last() {
                after = last.sequence;
                self.audit.delete_entries(chain, after).await?;
            }
        }
        Ok(())
    }
}
