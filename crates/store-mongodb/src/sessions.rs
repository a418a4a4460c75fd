//! Sessions. Beside the record a document has `ends_at`: when it ends, idle or absolutely, whichever is first.

use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::names::{SESSIONS, SESSIONS_BY_ACCOUNT, SESSIONS_BY_END};
use crate::record_codec::{encode, moment, object_id};
use crate::records::{Records, with_event};
use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Hint;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::ids::{AccountId, OrganizationId, SessionId};
use tenantry_domain::session::Session;
use tenantry_domain::store::{self, UpdateOutcome};

/// See [`store::Sessions`].
pub(crate) struct Sessions {
    records: Records,
}

impl Sessions {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, SESSIONS) }
    }
}

#[async_trait]
impl store::Sessions for Sessions {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_session(&self, session: &Session, event: Option<&AuditEvent>) -> Result<()> {
        let document = with_event(document(session)?, event)?;
        self.records.call(self.records.collection().insert_one(document)).await?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_session(&self, id: SessionId) -> Result<Option<Arc<Session>>> {
        Ok(self.records.find_one(doc! { "_id": object_id(id.as_bytes()) }).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn update_session(&self, session: &Session) -> Result<UpdateOutcome> {
        Ok(self.records.replace(session.version, document(session)?, &[], None).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_session(&self, id: SessionId, event: Option<&AuditEvent>) -> Result<()> {
        self.records.delete_one(doc! { "_id": object_id(id.as_bytes()) }, event).await?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_sessions_of_account(
        &self,
        account_id: AccountId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<Arc<Session>>> {
        let mut filter = owned_by(account_id);
        if let Some(after) = after {
            filter.insert("_id", doc! { "$gt": object_id(after.as_bytes()) });
        }
        let find = self.records.collection().find(filter).sort(doc! { "_id": 1 });
        Ok(self.records.list(find.hint(Hint::Name(SESSIONS_BY_ACCOUNT.to_owned())), limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_excess_sessions(
        &self,
        account_id: AccountId,
        keep: u32,
        limit: u32,
    ) -> Result<Vec<SessionId>> {
        let find = self.records.collection().find(owned_by(account_id));
        let find = find.sort(doc! { "ends_at": -1, "_id": -1 }).skip(u64::from(keep));
        let find = find.hint(Hint::Name(SESSIONS_BY_END.to_owned()));
        let (_, ids) = self.records.delete_found(find, Document::new(), limit).await?;
        Ok(session_ids(&ids))
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn delete_sessions_of(
        &self,
        organization_id: OrganizationId,
        limit: u32,
    ) -> Result<Vec<SessionId>> {
        let filter = doc! { "organization_id": object_id(organization_id.as_bytes()) };
        Ok(self.delete_found(filter, limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_expired_sessions(&self, now: Timestamp, limit: u32) -> Result<Vec<SessionId>> {
        Ok(self.delete_found(doc! { "ends_at": { "$lt": moment(now) } }, limit).await?)
    }
}

impl Sessions {
    /// Removes up to `limit` sessions that `filter` matches; returns their ids.
    async fn delete_found(&self, filter: Document, limit: u32) -> EngineResult<Vec<SessionId>> {
        let (_, ids) = self.records.delete_some(filter, limit).await?;
        Ok(session_ids(&ids))
    }
}

/// Finds the sessions of that account.
fn owned_by(account_id: AccountId) -> Document {
    doc! { "account_id": object_id(account_id.as_bytes()) }
}

fn session_ids(ids: &[Bson]) -> Vec<SessionId> {
    let bytes = ids.iter().filter_map(Bson::as_object_id).map(|id| id.bytes());
    bytes.map(SessionId::from_bytes).collect()
}

fn document(session: &Session) -> EngineResult<Document> {
    let mut document = encode(session)?;
    document.insert("ends_at", moment(session.expires_at.min(session.idle_expires_at)));
    Ok(document)
}
