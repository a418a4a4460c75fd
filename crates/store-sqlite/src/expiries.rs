//! Collections in which documents may expire.

use super::Sqlite;
use super::engine_error::EngineResult;
use super::statement::statements;
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::store::{Expiries, Expiry};
use tenantry_domain::{Error, Result};

statements! {
    INSERT = "INSERT INTO expiries (organization_id, collection, due_at, announced_at) VALUES (?1, ?2, ?3, ?3) \
        ON CONFLICT (organization_id, collection) DO UPDATE SET due_at = min(due_at, excluded.due_at), \
        announced_at = excluded.announced_at";
    DUE = "SELECT organization_id, collection, announced_at FROM expiries WHERE due_at <= ?1 \
        ORDER BY due_at LIMIT 1";
    UPDATE = "UPDATE expiries SET due_at = ?3 WHERE organization_id = ?1 AND collection = ?2";
    DELETE = "DELETE FROM expiries WHERE organization_id = ?1 AND collection = ?2 AND announced_at = ?3";
}

#[async_trait]
impl Expiries for Sqlite {
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization))]
    async fn insert_expiry(
        &self,
        organization: OrganizationId,
        collection: &CollectionName,
        now: Timestamp,
    ) -> Result<()> {
        let collection = collection.clone();
        self.write(move |connection| {
            let row = params![organization.as_bytes(), collection.as_str(), now.as_millisecond()];
            INSERT.execute(connection, row)?;
            Ok(())
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn claim_expiry(&self, now: Timestamp, next: Timestamp) -> Result<Option<Expiry>> {
        // So that an installation without expiring documents does not wake the writer.
        if self.readers.point(move |connection| due(connection, now)).await?.is_none() {
            return Ok(None);
        }
        self.write(move |connection| {
            let Some(found) = due(connection, now)? else { return Ok(None) };
            reschedule(connection, &found, next)?;
            Ok(Some(found))
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %expiry.organization))]
    async fn reschedule_expiry(&self, expiry: &Expiry, at: Timestamp) -> Result<()> {
        let expiry = expiry.clone();
        self.write(move |connection| reschedule(connection, &expiry, at)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %expiry.organization))]
    async fn delete_expiry(&self, expiry: &Expiry) -> Result<()> {
        let expiry = expiry.clone();
        self.write(move |connection| {
            let announced_at = expiry.announced_at.as_millisecond();
            let row = params![expiry.organization.as_bytes(), expiry.collection.as_str(), announced_at];
            DELETE.execute(connection, row)?;
            Ok(())
        })
        .await
    }
}

fn due(connection: &Connection, now: Timestamp) -> EngineResult<Option<Expiry>> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, [u8; 12]>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    };
    let Some((organization, name, announced_at)) = DUE.first(connection, [now.as_millisecond()], read)?
    else {
        return Ok(None);
    };
    Ok(Some(Expiry {
        organization: OrganizationId::from_bytes(organization),
        collection: CollectionName::parse(&name).map_err(Error::internal)?,
        announced_at: Timestamp::from_millisecond(announced_at).map_err(Error::internal)?,
    }))
}

fn reschedule(connection: &Connection, expiry: &Expiry, at: Timestamp) -> EngineResult<()> {
    let row = params![expiry.organization.as_bytes(), expiry.collection.as_str(), at.as_millisecond()];
    UPDATE.execute(connection, row)?;
    Ok(())
}
