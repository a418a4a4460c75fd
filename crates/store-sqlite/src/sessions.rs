//! Sessions.

use super::Sqlite;
use super::audit::save_event;
use super::engine_error::EngineResult;
use super::organizations::written;
use super::statement::{Statement, encode, integer, statements};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, named_params, params};
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::ids::{AccountId, OrganizationId, SessionId};
use tenantry_domain::session::Session;
use tenantry_domain::store::{Sessions, UpdateOutcome};

statements! {
    INSERT = "INSERT INTO sessions (id, version, account_id, organization_id, ends_at, record) \
        VALUES (:id, :version, :account_id, :organization_id, :ends_at, :record)";
    UPDATE = "UPDATE sessions SET version = :version, account_id = :account_id, \
        organization_id = :organization_id, ends_at = :ends_at, record = :record \
        WHERE id = :id AND version = :version - 1";
    GET = "SELECT record FROM sessions WHERE id = ?1";
    DELETE = "DELETE FROM sessions WHERE id = ?1";
    LIST_OF_ACCOUNT = "SELECT record FROM sessions WHERE account_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    HAS_EXCESS = "SELECT 1 FROM sessions WHERE account_id = ?1 LIMIT 1 OFFSET ?2";
    DELETE_EXCESS = "DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE account_id = ?1 \
        ORDER BY ends_at DESC LIMIT ?3 OFFSET ?2) RETURNING id";
    DELETE_OF = "DELETE FROM sessions WHERE rowid IN \
        (SELECT rowid FROM sessions WHERE organization_id = ?1 LIMIT ?2) RETURNING id";
    DELETE_ENDED = "DELETE FROM sessions WHERE rowid IN \
        (SELECT rowid FROM sessions WHERE ends_at < ?1 ORDER BY ends_at LIMIT ?2) RETURNING id";
}

#[async_trait]
impl Sessions for Sqlite {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_session(&self, session: &Session, event: Option<&AuditEvent>) -> Result<()> {
        let (session, event) = (session.clone(), event.cloned());
        self.write(move |connection| {
            save(connection, INSERT, &session)?;
            save_event(connection, event.as_ref())
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_session(&self, id: SessionId) -> Result<Option<Arc<Session>>> {
        self.readers.point(move |connection| GET.record(connection, [id.as_bytes()])).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn update_session(&self, session: &Session) -> Result<UpdateOutcome> {
        let session = session.clone();
        self.write(move |connection| written(save(connection, UPDATE, &session)?)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_session(&self, id: SessionId, event: Option<&AuditEvent>) -> Result<()> {
        let event = event.cloned();
        self.write(move |connection| {
            let deleted = DELETE.execute(connection, [id.as_bytes()])?;
            if deleted > 0 { save_event(connection, event.as_ref()) } else { Ok(()) }
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_sessions_of_account(
        &self,
        account_id: AccountId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<Arc<Session>>> {
        self.readers
            .scan(move |connection| {
                // No id is empty, so an empty key sorts before the first one.
                let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
                LIST_OF_ACCOUNT.records(connection, params![account_id.as_bytes(), after, limit])
            })
            .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_excess_sessions(
        &self,
        account_id: AccountId,
        keep: u32,
        limit: u32,
    ) -> Result<Vec<SessionId>> {
        let has_excess = move |connection: &Connection| {
            Ok(HAS_EXCESS.finds(connection, params![account_id.as_bytes(), keep])?)
        };
        // Nearly always there is none, and each sign-in asks.
        if !self.readers.point(has_excess).await? {
            return Ok(Vec::new());
        }
        self.write(move |connection| {
            removed(connection, DELETE_EXCESS, params![account_id.as_bytes(), keep, limit])
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn delete_sessions_of(
        &self,
        organization_id: OrganizationId,
        limit: u32,
    ) -> Result<Vec<SessionId>> {
        self.write(move |connection| {
            removed(connection, DELETE_OF, params![organization_id.as_bytes(), limit])
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_expired_sessions(&self, now: Timestamp, limit: u32) -> Result<Vec<SessionId>> {
        let now = now.as_millisecond();
        self.write(move |connection| removed(connection, DELETE_ENDED, params![now, limit])).await
    }
}

fn save(connection: &Connection, statement: Statement, session: &Session) -> EngineResult<usize> {
    let ends_at = session.expires_at.min(session.idle_expires_at);
    let changed = statement.execute(
        connection,
        named_params! {
            ":id": session.id.as_bytes(),
            ":version": integer(session.version),
            ":account_id": session.account_id.as_bytes(),
            ":organization_id": session.organization_id.as_bytes(),
            ":ends_at": ends_at.as_millisecond(),
            ":record": encode(session)?,
        },
    )?;
    Ok(changed)
}

/// Runs a statement that deletes and returns ids.
fn removed(
    connection: &Connection,
    statement: Statement,
    params: impl rusqlite::Params,
) -> EngineResult<Vec<SessionId>> {
    Ok(statement.all(connection, params, |row| Ok(SessionId::from_bytes(row.get(0)?)))?)
}
