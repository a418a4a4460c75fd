//! Maintenance at intervals: purges what is due and removes what has expired.

use super::organizations::Organizations;
use super::sources::Sources;
use crate::error::Result;
use crate::limits::JANITOR_BATCH;
use crate::store::{self, Store};
use std::sync::Arc;

/// The work that no request asks for.
pub struct Maintenance {
    sessions: Arc<dyn store::Sessions>,
    idempotency_keys: Arc<dyn store::IdempotencyKeys>,
    rate_limits: Arc<dyn store::RateLimits>,
    organization_records: Arc<dyn store::Organizations>,
    organizations: Arc<Organizations>,
    sources: Sources,
}

impl Maintenance {
    pub(super) fn new(store: &Store, organizations: &Arc<Organizations>, sources: &Sources) -> Self {
        Self {
            sessions: store.sessions.clone(),
            idempotency_keys: store.idempotency_keys.clone(),
            rate_limits: store.rate_limits.clone(),
            organization_records: store.organizations.clone(),
            organizations: organizations.clone(),
            sources: sources.clone(),
        }
    }

    /// One round: everything that is due or expired now, in batches, so that requests run in between.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn run(&self) -> Result<()> {
        let now = self.sources.now();
        let Self { sessions, idempotency_keys, rate_limits, .. } = self;
        while sessions.delete_expired_sessions(now, JANITOR_BATCH).await?.len() == JANITOR_BATCH as usize {}
        while idempotency_keys.delete_expired_requests(now, JANITOR_BATCH).await? == JANITOR_BATCH {}
        while rate_limits.delete_idle_throttles(now, JANITOR_BATCH).await? == JANITOR_BATCH {}
        for organization in self.organization_records.list_organizations_to_purge(now, JANITOR_BATCH).await? {
            tracing::info!(organization = %organization.id, "retention has ended: purging");
            // One that cannot be purged now must not hold up the others.
            if let Err(error) = self.organizations.purge_if_free(organization.id).await {
                tracing::error!(organization = %organization.id, %error, "a purge that is due did not finish");
            }
        }
        Ok(())
    }
}
