//! Removes what a killed or overtaken process left: containers without documents that no organization has. A
//! container with documents belongs to somebody; it is reported and stays.

use crate::engine_error::EngineResult;
use crate::organization_records::OrganizationRecords;
use crate::placements::Placements;
use crate::quota::usage::UsageRecords;
use tenantry_domain::Result;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::store::CleanupReport;

/// See [`self`].
pub(crate) struct Cleanup {
    placements: Placements,
    organizations: OrganizationRecords,
    usage: UsageRecords,
}

impl Cleanup {
    pub(crate) const fn new(
        placements: Placements,
        organizations: OrganizationRecords,
        usage: UsageRecords,
    ) -> Self {
        Self { placements, organizations, usage }
    }

    /// Goes through all containers and all usage records.
    pub(crate) async fn tidy(&self) -> Result<CleanupReport> {
        let mut tidied = CleanupReport::default();
        for strategy in self.placements.all() {
            strategy.tidy(&mut tidied).await?;
        }
        self.tidy_usage().await?;
        Ok(tidied)
    }

    /// Removes the usage records of organizations that are gone.
    async fn tidy_usage(&self) -> EngineResult<()> {
        let mut all = self.usage.cursor().await?;
        while let Some(document) = self.usage.next(&mut all).await? {
            let Ok(id) = document.get_object_id("_id") else { continue };
            let id = OrganizationId::from_bytes(id.bytes());
            if !self.organizations.exists(id).await? {
                self.usage.delete(id).await?;
            }
        }
        Ok(())
    }
}
