//! API keys. The time of last use is a column of its own and not in the stored record, so that noting a use and
//! changing the record never overwrite each other.

use super::Sqlite;
use super::audit::save_event;
use super::engine_error::EngineResult;
use super::organizations::written;
use super::statement::{Statement, decode, encode, integer, statements};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Params, Row, named_params, params};
use std::sync::Arc;
use tenantry_domain::api_key::{ApiKey, ApiKeyOwner};
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::ids::{ApiKeyId, OrganizationId};
use tenantry_domain::store::{ApiKeys, BoundedInsert, UpdateOutcome};
use tenantry_domain::{Error, Result};

statements! {
    EXISTS = "SELECT 1 FROM api_keys WHERE id = ?1";
    COUNT_OF = "SELECT count(*) FROM api_keys WHERE organization_id IS ?1";
    INSERT = "INSERT INTO api_keys (id, version, organization_id, last_used_at, record) \
        VALUES (?1, ?2, ?3, ?4, ?5)";
    UPDATE = "UPDATE api_keys SET version = :version, record = :record \
        WHERE id = :id AND version = :version - 1";
    TOUCH = "UPDATE api_keys SET last_used_at = ?2 \
        WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)";
    GET = "SELECT record, last_used_at FROM api_keys WHERE id = ?1";
    LIST_OF = "SELECT record, last_used_at FROM api_keys WHERE organization_id IS ?1 AND id > ?2 \
        ORDER BY id LIMIT ?3";
    DELETE = "DELETE FROM api_keys WHERE id = ?1";
    DELETE_OF = "DELETE FROM api_keys WHERE rowid IN \
        (SELECT rowid FROM api_keys WHERE organization_id = ?1 LIMIT ?2) RETURNING id";
}

#[async_trait]
impl ApiKeys for Sqlite {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_api_key(
        &self,
        key: &ApiKey,
        limit: u32,
        event: Option<&AuditEvent>,
    ) -> Result<BoundedInsert> {
        let (key, event) = (key.clone(), event.cloned());
        self.write(move |connection| {
            let outcome = insert(connection, &key, limit)?;
            if outcome == BoundedInsert::New {
                save_event(connection, event.as_ref())?;
            }
            Ok(outcome)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_api_key(&self, id: ApiKeyId) -> Result<Option<Arc<ApiKey>>> {
        self.readers.point(move |connection| Ok(read(connection, GET, [id.as_bytes()])?.pop())).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_api_keys(
        &self,
        owner: ApiKeyOwner,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<Arc<ApiKey>>> {
        self.readers
            .scan(move |connection| {
                // No id is empty, so an empty key sorts before the first one.
                let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
                read(connection, LIST_OF, params![organization(&owner), after, limit])
            })
            .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn update_api_key(&self, key: &ApiKey, event: Option<&AuditEvent>) -> Result<UpdateOutcome> {
        let (key, event) = (key.clone(), event.cloned());
        self.write(move |connection| {
            let outcome = update(connection, &key)?;
            if outcome == UpdateOutcome::Done {
                save_event(connection, event.as_ref())?;
            }
            Ok(outcome)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn touch_api_key(&self, id: ApiKeyId, at: Timestamp) -> Result<()> {
        let at = at.as_millisecond();
        self.write(move |connection| Ok(TOUCH.execute(connection, params![id.as_bytes(), at]).map(drop)?))
            .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_api_key(&self, id: ApiKeyId, event: Option<&AuditEvent>) -> Result<bool> {
        let event = event.cloned();
        self.write(move |connection| {
            let is_deleted = DELETE.execute(connection, [id.as_bytes()])? > 0;
            if is_deleted {
                save_event(connection, event.as_ref())?;
            }
            Ok(is_deleted)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn delete_api_keys_of(&self, organization_id: OrganizationId, limit: u32) -> Result<Vec<ApiKeyId>> {
        self.write(move |connection| {
            let of = params![organization_id.as_bytes(), limit];
            Ok(DELETE_OF.all(connection, of, |row| Ok(ApiKeyId::from_bytes(row.get(0)?)))?)
        })
        .await
    }
}

fn insert(connection: &Connection, key: &ApiKey, limit: u32) -> EngineResult<BoundedInsert> {
    if EXISTS.finds(connection, [key.id.as_bytes()])? {
        return Ok(BoundedInsert::Exists);
    }
    let owner = organization(&key.owner);
    let held: Option<u32> = COUNT_OF.first(connection, [owner], |row| row.get(0))?;
    if held.unwrap_or_default() >= limit {
        return Ok(BoundedInsert::Full);
    }
    let last_used_at = key.last_used_at.map(Timestamp::as_millisecond);
    let (id, version, record) = (key.id.as_bytes(), integer(key.version), stored(key)?);
    INSERT.execute(connection, params![id, version, owner, last_used_at, record])?;
    Ok(BoundedInsert::New)
}

fn update(connection: &Connection, key: &ApiKey) -> EngineResult<UpdateOutcome> {
    let (id, version, record) = (key.id.as_bytes(), integer(key.version), stored(key)?);
    written(UPDATE.execute(connection, named_params! { ":id": id, ":version": version, ":record": record })?)
}

/// The organization that owns a key; none for keys of the installation.
fn organization(owner: &ApiKeyOwner) -> Option<&[u8; 12]> {
    match owner {
        ApiKeyOwner::Installation => None,
        ApiKeyOwner::Organization(id) => Some(id.as_bytes()),
    }
}

/// The record without the time of last use, which has a column.
fn stored(key: &ApiKey) -> EngineResult<String> {
    encode(&ApiKey { last_used_at: None, ..key.clone() })
}

/// The keys in the rows of a statement that selects record and last use.
pub(super) fn read<T: From<ApiKey>>(
    connection: &Connection,
    statement: Statement,
    params: impl Params,
) -> EngineResult<Vec<T>> {
    statement.read(connection, params, |row| Ok(from_row(row)?.into()))
}

fn from_row(row: &Row<'_>) -> EngineResult<ApiKey> {
    let last_used_at: Option<i64> = row.get(1)?;
    let last_used_at = last_used_at.map(Timestamp::from_millisecond).transpose().map_err(Error::internal)?;
    Ok(ApiKey { last_used_at, ..decode(row)? })
}
