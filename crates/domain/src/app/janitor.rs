//! What the service does by itself, at intervals: purge what is due, forget what has expired.

use super::App;
use crate::error::Result;
use crate::limits::JANITOR_BATCH;
use crate::operation::Actor;
use std::sync::Arc;

impl App {
    /// One round. It is short: what is left over comes in the next.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn keep_house(self: &Arc<Self>) -> Result<()> {
        let now = self.now();
        for organization in self.store.organizations.list_organizations_to_purge(now, JANITOR_BATCH).await? {
            tracing::info!(organization = %organization.id, "retention has ended: purging");
            self.purge_if_free(organization.id, Actor::System).await?;
        }
        self.store.sessions.delete_expired_sessions(now, JANITOR_BATCH).await?;
        self.store.requests.delete_expired_requests(now, JANITOR_BATCH).await?;
        self.store.throttles.delete_idle_throttles(now, JANITOR_BATCH).await?;
        Ok(())
    }
}
