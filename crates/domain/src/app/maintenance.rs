//! What the service does by itself, at intervals: purge what is due, forget what has expired.

use super::App;
use crate::error::Result;
use crate::limits::JANITOR_BATCH;
use crate::store::Store;
use std::sync::Arc;

impl App {
    /// One round: all that is due and expired now, in batches, so that requests get their turn in between.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn maintain(self: &Arc<Self>) -> Result<()> {
        let now = self.now();
        let Store { sessions, idempotency_keys, rate_limits, .. } = &self.store;
        while sessions.delete_expired_sessions(now, JANITOR_BATCH).await?.len() == JANITOR_BATCH as usize {}
        while idempotency_keys.delete_expired_requests(now, JANITOR_BATCH).await? == JANITOR_BATCH {}
        while rate_limits.delete_idle_throttles(now, JANITOR_BATCH).await? == JANITOR_BATCH {}
        for organization in self.store.organizations.list_organizations_to_purge(now, JANITOR_BATCH).await? {
            tracing::info!(organization = %organization.id, "retention has ended: purging");
            // One that cannot be purged now must not keep the others.
            if let Err(error) = self.purge_if_free(organization.id).await {
                tracing::error!(organization = %organization.id, %error, "a purge that is due did not finish");
            }
        }
        Ok(())
    }
}
