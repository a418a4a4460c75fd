//! Maintenance at intervals: purges what is due and removes what has expired.

use super::account_removal::AccountRemoval;
use super::audit::AuditTrail;
use super::clock_and_entropy::ClockAndEntropy;
use super::key_uses::KeyUses;
use super::organizations::Organizations;
use super::signing_keys::SigningKeys;
use crate::error::Result;
use crate::limits::MAINTENANCE_BATCH;
use crate::organization::Status;
use crate::store::{self, Store};
use std::sync::Arc;

/// The work that no request asks for.
pub struct Maintenance {
    sessions: Arc<dyn store::Sessions>,
    api_keys: Arc<dyn store::ApiKeys>,
    key_uses: Arc<KeyUses>,
    invitations: Arc<dyn store::Invitations>,
    idempotency_keys: Arc<dyn store::IdempotencyKeys>,
    rate_limits: Arc<dyn store::RateLimits>,
    organization_records: Arc<dyn store::Organizations>,
    organizations: Arc<Organizations>,
    audit: Arc<AuditTrail>,
    account_removal: Arc<AccountRemoval>,
    signing_keys: Arc<SigningKeys>,
    sources: ClockAndEntropy,
}

impl Maintenance {
    pub(super) fn new(
        store: &Store,
        organizations: &Arc<Organizations>,
        account_removal: &Arc<AccountRemoval>,
        key_uses: &Arc<KeyUses>,
        audit: &Arc<AuditTrail>,
        signing_keys: &Arc<SigningKeys>,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            sessions: store.sessions.clone(),
            api_keys: store.api_keys.clone(),
            key_uses: key_uses.clone(),
            invitations: store.invitations.clone(),
            idempotency_keys: store.idempotency_keys.clone(),
            rate_limits: store.rate_limits.clone(),
            organization_records: store.organizations.clone(),
            organizations: organizations.clone(),
            audit: audit.clone(),
            account_removal: account_removal.clone(),
            signing_keys: signing_keys.clone(),
            sources: sources.clone(),
        }
    }

    /// How many organizations have each status.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn count_organizations(&self) -> Result<Vec<(Status, u64)>> {
        let mut counts = Vec::new();
        for status in Status::ALL {
            counts.push((status, self.organization_records.count_organizations(status).await?));
        }
        Ok(counts)
    }

    /// One round: everything that is due or expired now, in batches, so that requests run in between.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn run(&self) -> Result<()> {
        let now = self.sources.now();
        self.key_uses.save(&*self.api_keys).await?;
        let Self { sessions, invitations, idempotency_keys, rate_limits, .. } = self;
        while sessions.delete_expired_sessions(now, MAINTENANCE_BATCH).await?.len()
            == MAINTENANCE_BATCH as usize
        {}
        while invitations.delete_expired_invitations(now, MAINTENANCE_BATCH).await? == MAINTENANCE_BATCH {}
        while idempotency_keys.delete_expired_keys(now, MAINTENANCE_BATCH).await? == MAINTENANCE_BATCH {}
        while rate_limits.delete_idle_rate_limits(now, MAINTENANCE_BATCH).await? == MAINTENANCE_BATCH {}
        self.signing_keys.maintain().await?;
        self.audit.trim().await?;
        self.account_removal.resume().await?;
        for organization in
            self.organization_records.list_organizations_to_purge(now, MAINTENANCE_BATCH).await?
        {
            tracing::info!(organization = %organization.id, "retention has ended: purging");
            // One that cannot be purged now must not hold up the others.
            if let Err(error) = self.organizations.purge_if_free(organization.id).await {
                tracing::error!(organization = %organization.id, %error, "a purge that is due did not finish");
            }
        }
        Ok(())
    }
}
