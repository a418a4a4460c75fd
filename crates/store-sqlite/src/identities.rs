//! Identities: the links between accounts and identity providers.

use super::Sqlite;
use super::audit::save_event;
use super::engine_error::EngineResult;
use super::statement::{encode, statements};
use async_trait::async_trait;
use rusqlite::{Connection, params};
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::identity::Identity;
use tenantry_domain::ids::{AccountId, IdentityId};
use tenantry_domain::store::{BoundedInsert, Identities};

statements! {
    EXISTS = "SELECT 1 FROM identities WHERE id = ?1";
    COUNT_OF = "SELECT count(*) FROM identities WHERE account_id = ?1";
    INSERT = "INSERT INTO identities (id, account_id, record) VALUES (?1, ?2, ?3)";
    GET = "SELECT record FROM identities WHERE id = ?1";
    LIST_OF = "SELECT record FROM identities WHERE account_id = ?1 ORDER BY id LIMIT ?2";
    DELETE = "DELETE FROM identities WHERE id = ?1 AND account_id = ?2";
}

#[async_trait]
impl Identities for Sqlite {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_identity(
        &self,
        identity: &Identity,
        limit: u32,
        event: Option<&AuditEvent>,
    ) -> Result<BoundedInsert> {
        let (identity, event) = (identity.clone(), event.cloned());
        self.write(move |connection| {
            let outcome = insert(connection, &identity, limit)?;
            if outcome == BoundedInsert::New {
                save_event(connection, event.as_ref())?;
            }
            Ok(outcome)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_identity(&self, id: IdentityId) -> Result<Option<Arc<Identity>>> {
        self.readers.point(move |connection| GET.record(connection, [id.as_bytes()])).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_identities(&self, account_id: AccountId, limit: u32) -> Result<Vec<Arc<Identity>>> {
        self.readers
            .scan(move |connection| LIST_OF.records(connection, params![account_id.as_bytes(), limit]))
            .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_identity(
        &self,
        id: IdentityId,
        account_id: AccountId,
        event: Option<&AuditEvent>,
    ) -> Result<bool> {
        let event = event.cloned();
        self.write(move |connection| {
            let is_deleted = DELETE.execute(connection, [id.as_bytes(), account_id.as_bytes()])? > 0;
            if is_deleted {
                save_event(connection, event.as_ref())?;
            }
            Ok(is_deleted)
        })
        .await
    }
}

fn insert(connection: &Connection, identity: &Identity, limit: u32) -> EngineResult<BoundedInsert> {
    let (id, account_id) = (identity.id.as_bytes(), identity.account_id.as_bytes());
    if EXISTS.finds(connection, [id])? {
        return Ok(BoundedInsert::Exists);
    }
    let held: Option<u32> = COUNT_OF.first(connection, [account_id], |row| row.get(0))?;
    if held.unwrap_or_default() >= limit {
        return Ok(BoundedInsert::Full);
    }
    INSERT.execute(connection, params![id, account_id, encode(identity)?])?;
    Ok(BoundedInsert::New)
}
