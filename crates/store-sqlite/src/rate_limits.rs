//! Counters of attempts. The rule is the domain's; this file only applies it atomically, in the writer.

use super::Sqlite;
use super::engine_error::EngineResult;
use super::idempotency::count;
use super::statement::statements;
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use tenantry_domain::rate_limit::{RateLimit, RateLimitDecision, RateLimitKey, attempt, forgive};
use tenantry_domain::store::RateLimits;
use tenantry_domain::{Error, Result};

statements! {
    GET = "SELECT arrival FROM throttles WHERE key = ?1";
    SET = "INSERT INTO throttles (key, arrival) VALUES (?1, ?2) \
        ON CONFLICT (key) DO UPDATE SET arrival = excluded.arrival";
    DELETE = "DELETE FROM throttles WHERE key = ?1";
    DELETE_IDLE = "DELETE FROM throttles WHERE key IN \
        (SELECT key FROM throttles WHERE arrival <= ?1 ORDER BY arrival LIMIT ?2)";
}

#[async_trait]
impl RateLimits for Sqlite {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn acquire(
        &self,
        key: &RateLimitKey,
        limit: RateLimit,
        now: Timestamp,
    ) -> Result<RateLimitDecision> {
        let key = *key;
        self.write(move |connection| acquire(connection, key, limit, now)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn refund(&self, key: &RateLimitKey, limit: RateLimit, now: Timestamp) -> Result<()> {
        let key = *key;
        self.write(move |connection| refund(connection, key, limit, now)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn is_counted(&self, key: &RateLimitKey, now: Timestamp) -> Result<bool> {
        let key = *key;
        self.readers
            .point(move |connection| Ok(arrival(connection, key)?.is_some_and(|arrival| arrival > now)))
            .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_idle_rate_limits(&self, now: Timestamp, limit: u32) -> Result<u32> {
        let now = now.as_millisecond();
        self.write(move |connection| count(DELETE_IDLE.execute(connection, params![now, limit])?)).await
    }
}

fn acquire(
    connection: &Connection,
    key: RateLimitKey,
    limit: RateLimit,
    now: Timestamp,
) -> EngineResult<RateLimitDecision> {
    let before = arrival(connection, key)?;
    let (taken, arrival) = attempt(before, limit, now);
    // A refused attempt leaves the counter as it is, so a flood of them writes nothing.
    if before != Some(arrival) {
        SET.execute(connection, params![key.0, arrival.as_millisecond()])?;
    }
    Ok(taken)
}

fn refund(connection: &Connection, key: RateLimitKey, limit: RateLimit, now: Timestamp) -> EngineResult<()> {
    let Some(arrival) = arrival(connection, key)? else { return Ok(()) };
    let arrival = forgive(arrival, limit);
    if arrival > now {
        SET.execute(connection, params![key.0, arrival.as_millisecond()])?;
    } else {
        DELETE.execute(connection, [key.0])?;
    }
    Ok(())
}

/// The counter's moment, if it is not idle.
fn arrival(connection: &Connection, key: RateLimitKey) -> EngineResult<Option<Timestamp>> {
    let arrival: Option<i64> = GET.first(connection, [key.0], |row| row.get(0))?;
    Ok(arrival.map(Timestamp::from_millisecond).transpose().map_err(Error::internal)?)
}
