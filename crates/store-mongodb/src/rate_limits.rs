//! Counters for rate limits. The rule is in the domain; the filter and the update here contain the one part of it
//! that concurrent requests must not break: a counter advances only if it is not above the limit.

use crate::connection::Connection;
use crate::engine_error::{EngineError, EngineResult};
use crate::names::THROTTLES;
use crate::record_codec::{binary, moment};
use crate::records::Records;
use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ReturnDocument;
use std::time::Duration;
use tenantry_domain::clock::{after, before};
use tenantry_domain::rate_limit::{RateLimit, RateLimitDecision, RateLimitKey, attempt};
use tenantry_domain::store;
use tenantry_domain::{Error, Result};

/// How often an attempt is tried while others get ahead of it. Each time one of them has succeeded, so this is far
/// more than a limit allows at once.
const MAX_ATTEMPTS: u32 = 100;

/// See [`store::RateLimits`].
pub(crate) struct RateLimits {
    records: Records,
}

impl RateLimits {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, THROTTLES) }
    }
}

#[async_trait]
impl store::RateLimits for RateLimits {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn acquire(
        &self,
        key: &RateLimitKey,
        limit: RateLimit,
        now: Timestamp,
    ) -> Result<RateLimitDecision> {
        for _ in 0..MAX_ATTEMPTS {
            match self.move_on(key, limit, now).await {
                Ok(arrival) => return Ok(attempt(arrival, limit, now).0),
                // The counter is above the limit, or another request has just created it.
                Err(failure) if failure.is_same_id() => {}
                Err(failure) => return Err(failure.into()),
            }
            let found = self.arrival(key).await?;
            let (taken, kept) = attempt(found, limit, now);
            if matches!(taken, RateLimitDecision::Refused { .. }) {
                if let Some(ahead) = found.filter(|found| *found != kept) {
                    self.set_back(key, ahead, kept).await?;
                }
                return Ok(taken);
            }
        }
        Err(Error::unavailable("too many attempts at the same moment"))
    }

    /// A counter that becomes idle by this stays until the cleanup: it means the same as none.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn refund(&self, key: &RateLimitKey, limit: RateLimit, _now: Timestamp) -> Result<()> {
        let earlier = doc! { "$subtract": ["$arrival", milliseconds(limit.period)] };
        let update = vec![doc! { "$set": { "arrival": earlier } }];
        self.records
            .call(self.records.collection().update_one(doc! { "_id": binary(&key.0) }, update))
            .await?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn is_counted(&self, key: &RateLimitKey, now: Timestamp) -> Result<bool> {
        Ok(self.arrival(key).await?.is_some_and(|arrival| arrival > now))
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_idle_rate_limits(&self, now: Timestamp, limit: u32) -> Result<u32> {
        let idle = doc! { "arrival": { "$lte": moment(now) } };
        Ok(self.records.delete_some(idle, limit).await?.0)
    }
}

impl RateLimits {
    /// Advances the counter by one attempt, if one is allowed; returns its time before. Otherwise the filter does not
    /// match, and the insert fails because the counter exists.
    async fn move_on(
        &self,
        key: &RateLimitKey,
        limit: RateLimit,
        now: Timestamp,
    ) -> EngineResult<Option<Timestamp>> {
        let last = before(after(now, limit.period * limit.burst), limit.period);
        let filter = doc! { "_id": binary(&key.0), "arrival": { "$lte": moment(last) } };
        let from = doc! { "$max": ["$arrival", moment(now)] };
        let next = doc! { "$add": [from, milliseconds(limit.period)] };
        let update = vec![doc! { "$set": { "arrival": next } }];
        let take = self.records.collection().find_one_and_update(filter, update);
        let previous = self.records.call(take.upsert(true).return_document(ReturnDocument::Before)).await?;
        previous.as_ref().map(arrival).transpose()
    }

    /// Sets a counter back to `to` that a fast clock has advanced, unless another request has changed it.
    async fn set_back(&self, key: &RateLimitKey, from: Timestamp, to: Timestamp) -> EngineResult<()> {
        let filter = doc! { "_id": binary(&key.0), "arrival": moment(from) };
        let update = doc! { "$set": { "arrival": moment(to) } };
        self.records.call(self.records.collection().update_one(filter, update)).await.map(|_| ())
    }

    /// The counter's time, if it exists.
    async fn arrival(&self, key: &RateLimitKey) -> EngineResult<Option<Timestamp>> {
        let found =
            self.records.call(self.records.collection().find_one(doc! { "_id": binary(&key.0) })).await?;
        found.as_ref().map(arrival).transpose()
    }
}

fn arrival(document: &Document) -> EngineResult<Timestamp> {
    let at = document.get("arrival").and_then(Bson::as_datetime);
    let at = at.and_then(|at| Timestamp::from_millisecond(at.timestamp_millis()).ok());
    at.ok_or_else(|| EngineError::Refused(Error::internal("a stored counter has no time")))
}

fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
