//! Sessions in memory, by id.

use super::memory::Memory;
use super::records::Records;
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::ids::{AccountId, OrganizationId, SessionId};
use tenantry_domain::session::Session;
use tenantry_domain::store::{Sessions, UpdateOutcome};

/// See [`super`].
pub(super) struct CachedSessions {
    inner: Arc<dyn Sessions>,
    records: Arc<Records<SessionId, Session>>,
}

impl CachedSessions {
    pub(super) fn new(inner: Arc<dyn Sessions>, memory: &Arc<Memory>) -> Self {
        Self { inner, records: Records::new(memory) }
    }
}

#[async_trait]
impl Sessions for CachedSessions {
    async fn insert_session(&self, session: &Session, event: Option<&AuditEvent>) -> Result<()> {
        self.inner.insert_session(session, event).await
    }

    async fn get_session(&self, id: SessionId) -> Result<Option<Arc<Session>>> {
        self.records.get(id, || self.inner.get_session(id)).await
    }

    async fn get_recent_session(&self, id: SessionId) -> Result<Option<Arc<Session>>> {
        self.records.get_recent(id, || self.inner.get_session(id)).await
    }

    async fn update_session(&self, session: &Session) -> Result<UpdateOutcome> {
        let (inner, session) = (self.inner.clone(), session.clone());
        let id = session.id;
        self.records.write_one(id, async move { inner.update_session(&session).await }).await
    }

    async fn delete_session(&self, id: SessionId, event: Option<&AuditEvent>) -> Result<()> {
        let (inner, event) = (self.inner.clone(), event.cloned());
        self.records.write_one(id, async move { inner.delete_session(id, event.as_ref()).await }).await
    }

    async fn list_sessions_of_account(
        &self,
        account_id: AccountId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<Arc<Session>>> {
        self.inner.list_sessions_of_account(account_id, after, limit).await
    }

    async fn delete_excess_sessions(
        &self,
        account_id: AccountId,
        keep: u32,
        limit: u32,
    ) -> Result<Vec<SessionId>> {
        let inner = self.inner.clone();
        let delete = async move { inner.delete_excess_sessions(account_id, keep, limit).await };
        self.records.write_some(delete, Vec::clone).await
    }

    async fn delete_sessions_of(
        &self,
        organization_id: OrganizationId,
        limit: u32,
    ) -> Result<Vec<SessionId>> {
        let inner = self.inner.clone();
        let delete = async move { inner.delete_sessions_of(organization_id, limit).await };
        self.records.write_some(delete, Vec::clone).await
    }

    async fn delete_expired_sessions(&self, now: Timestamp, limit: u32) -> Result<Vec<SessionId>> {
        let inner = self.inner.clone();
        let delete = async move { inner.delete_expired_sessions(now, limit).await };
        self.records.write_some(delete, Vec::clone).await
    }
}
