//! Responses kept for their `Idempotency-Key`.

use super::Sqlite;
use super::engine_error::{EngineError, EngineResult};
use super::statement::{encode, statements};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use tenantry_domain::idempotency::{IdempotencyClaim, IdempotencyKey, IdempotencyRecord, StoredResponse};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::limits::MAINTENANCE_BATCH;
use tenantry_domain::store::IdempotencyKeys;
use tenantry_domain::{Error, Result};

statements! {
    GET = "SELECT fingerprint, organization_id, lease_until, expires_at, status, headers, body \
        FROM requests WHERE key = ?1";
    INSERT = "INSERT INTO requests (key, fingerprint, organization_id, lease_until, expires_at, holder) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    COUNT_KEYS = "SELECT keys FROM request_holders WHERE holder = ?1";
    FORGET_EXPIRED_OF = "DELETE FROM requests WHERE rowid IN \
        (SELECT rowid FROM requests WHERE holder = ?1 AND expires_at < ?2 ORDER BY expires_at LIMIT ?3)";
    FIRST_TO_EXPIRE = "SELECT expires_at FROM requests WHERE holder = ?1 ORDER BY expires_at LIMIT 1";
    RENEW = "UPDATE requests SET lease_until = ?2, expires_at = ?3 WHERE key = ?1";
    ANSWER = "UPDATE requests SET status = ?2, headers = ?3, body = ?4 WHERE key = ?1";
    YIELD = "UPDATE requests SET lease_until = 0 WHERE key = ?1 AND status IS NULL";
    RELEASE = "DELETE FROM requests WHERE key = ?1 AND status IS NULL";
    FORGET = "DELETE FROM requests WHERE key = ?1";
    DELETE_EXPIRED = "DELETE FROM requests WHERE rowid IN \
        (SELECT rowid FROM requests WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)";
}

#[async_trait]
impl IdempotencyKeys for Sqlite {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn claim_key(&self, record: &IdempotencyRecord, now: Timestamp) -> Result<IdempotencyClaim> {
        let record = record.clone();
        self.write(move |connection| claim(connection, &record, now.as_millisecond())).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn save_response(&self, key: &IdempotencyKey, answer: &StoredResponse) -> Result<()> {
        let (key, answer) = (key.clone(), answer.clone());
        self.write(move |connection| {
            let headers = encode(&answer.headers)?;
            ANSWER.execute(connection, params![key.0, answer.status, headers, answer.body])?;
            Ok(())
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn end_lease(&self, key: &IdempotencyKey) -> Result<()> {
        let key = key.clone();
        self.write(move |connection| Ok(YIELD.execute(connection, [key.0]).map(|_| ())?)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn release_key(&self, key: &IdempotencyKey) -> Result<()> {
        let key = key.clone();
        self.write(move |connection| Ok(RELEASE.execute(connection, [key.0]).map(|_| ())?)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_expired_keys(&self, now: Timestamp, limit: u32) -> Result<u32> {
        let now = now.as_millisecond();
        self.write(move |connection| count(DELETE_EXPIRED.execute(connection, params![now, limit])?)).await
    }
}

/// A number of rows, which is at most a limit that was a `u32`.
pub(super) fn count(rows: usize) -> EngineResult<u32> {
    Ok(u32::try_from(rows).map_err(Error::internal)?)
}

/// The record of a key that was claimed before.
struct KeyRow {
    fingerprint: [u8; 32],
    organization_id: OrganizationId,
    lease_until: i64,
    expires_at: i64,
    /// Status, headers as JSON, body.
    answer: Option<(u16, String, Vec<u8>)>,
}

impl KeyRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let status: Option<u16> = row.get(4)?;
        Ok(Self {
            fingerprint: row.get(0)?,
            organization_id: OrganizationId::from_bytes(row.get(1)?),
            lease_until: row.get(2)?,
            expires_at: row.get(3)?,
            answer: status
                .map(|status| Ok::<_, rusqlite::Error>((status, row.get(5)?, row.get(6)?)))
                .transpose()?,
        })
    }
}

fn claim(connection: &Connection, record: &IdempotencyRecord, now: i64) -> EngineResult<IdempotencyClaim> {
    let key = record.key.0;
    let known = GET.first(connection, [key], KeyRow::read)?;
    let Some(known) = known.filter(|known| known.expires_at >= now) else {
        if let Some(until) = holder_is_full(connection, record, now)? {
            return Ok(IdempotencyClaim::TooMany { until });
        }
        return retry_claim(connection, record);
    };
    if known.fingerprint != record.fingerprint {
        return Ok(IdempotencyClaim::OtherRequest);
    }
    if let Some((status, headers, body)) = known.answer {
        let headers = serde_json::from_str(&headers).map_err(Error::internal)?;
        let answer = StoredResponse { status, headers, body };
        return Ok(IdempotencyClaim::Answered { made: known.organization_id, answer });
    }
    if known.lease_until > now {
        return Ok(IdempotencyClaim::InProgress);
    }
    let (lease_until, expires_at) = moments(record);
    RENEW.execute(connection, params![key, lease_until, expires_at])?;
    Ok(IdempotencyClaim::Granted(known.organization_id))
}

/// When the holder of a new key, who has as many as allowed, may have another; `None` if they may now.
fn holder_is_full(
    connection: &Connection,
    record: &IdempotencyRecord,
    now: i64,
) -> EngineResult<Option<Timestamp>> {
    let Some(holder) = record.holder else { return Ok(None) };
    let is_full = || {
        let held: Option<u32> = COUNT_KEYS.first(connection, [holder.id], |row| row.get(0))?;
        Ok::<_, EngineError>(held.unwrap_or_default() >= holder.most)
    };
    if !is_full()? {
        return Ok(None);
    }
    // Expired keys that are not removed yet do not count.
    FORGET_EXPIRED_OF.execute(connection, params![holder.id, now, MAINTENANCE_BATCH])?;
    if !is_full()? {
        return Ok(None);
    }
    let first: Option<i64> = FIRST_TO_EXPIRE.first(connection, [holder.id], |row| row.get(0))?;
    let until = Timestamp::from_millisecond(first.unwrap_or(now)).map_err(Error::internal)?;
    Ok(Some(until))
}

/// Claims a key that is new, or expired and not yet removed.
fn retry_claim(connection: &Connection, record: &IdempotencyRecord) -> EngineResult<IdempotencyClaim> {
    let (lease_until, expires_at) = moments(record);
    let (key, organization_id) = (record.key.0, record.organization_id);
    FORGET.execute(connection, [key])?;
    INSERT.execute(
        connection,
        params![
            key,
            record.fingerprint,
            organization_id.as_bytes(),
            lease_until,
            expires_at,
            record.holder.map(|holder| holder.id)
        ],
    )?;
    Ok(IdempotencyClaim::Granted(organization_id))
}

fn moments(record: &IdempotencyRecord) -> (i64, i64) {
    (record.lease_until.as_millisecond(), record.expires_at.as_millisecond())
}
