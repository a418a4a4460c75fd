//! Counts what an organization has, and corrects its usage.
//!
//! A count reads every document, however long that takes. So it runs in the background, one for each organization,
//! and requests that need it wait a little.
//!
//! # Pitfalls
//! Changes go on during a count. An addition makes it invalid; a removal at worst leaves it too high, and so a count
//! of many documents is accepted in spite of removals.

use super::measure::UsageMeter;
use super::size::Size;
use super::usage::{UsageDocument, UsageRecords, of};
use crate::engine_error::EngineResult;
use crate::placements::Placements;
use mongodb::bson::{Document, doc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::Organization;
use tokio::sync::watch;

/// How long a request waits for a count, and when it may come again if that was not enough.
const WAIT_TIMEOUT: Duration = Duration::from_secs(2);
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How long a count is repeated because of concurrent removals.
const EXACT_COUNT_TIME: Duration = Duration::from_secs(2);
/// How long a first count, and a later one, is repeated because of concurrent additions; and the pauses in between,
/// which grow.
const FIRST_COUNT_TIMEOUT: Duration = Duration::from_secs(600);
const COUNT_TIMEOUT: Duration = Duration::from_secs(5);
const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// The age at which the first count is repeated: instances that did not yet know of the quota may have changed
/// something during it without a claim.
const FIRST_COUNT_TTL: Duration = Duration::from_secs(15);
/// The age at which a later count is repeated.
const COUNT_TTL: Duration = Duration::from_secs(3600);
/// The least delay before a count that changes disturbed is repeated, and the delay as a multiple of the time it
/// took.
const MIN_RECOUNT_DELAY: Duration = Duration::from_secs(60);
const RECOUNT_DELAY_FACTOR: u32 = 10;

/// Counts what organizations have: at most one count at a time for each. Cheap to clone.
#[derive(Clone)]
pub(super) struct UsageCounter {
    usage: UsageRecords,
    meter: UsageMeter,
    placements: Placements,
    /// The running counts of this process. A count has ended when its sender is dropped.
    running: Arc<Mutex<HashMap<OrganizationId, watch::Receiver<()>>>>,
}

/// The error for a request that needs a running count.
pub(super) fn count_running_error() -> Error {
    Error::unavailable("what the organization has is being counted")
        .detail("What the organization has is being counted for its quota. Try again in a while.")
        .retry_after(RETRY_AFTER)
}

impl UsageCounter {
    pub(super) fn new(usage: UsageRecords, meter: UsageMeter, placements: Placements) -> Self {
        Self { usage, meter, placements, running: Arc::default() }
    }

    /// Counts, and waits a little for the result; returns whether the count has ended.
    pub(super) async fn count_in_time(&self, organization: &Organization) -> bool {
        let mut running = self.start(organization, false);
        // Nothing is ever sent: the only change is the end.
        tokio::time::timeout(WAIT_TIMEOUT, running.changed()).await.is_ok()
    }

    /// Starts a count that continues when nobody waits for it any more, or finds the running one.
    fn start(&self, organization: &Organization, is_due: bool) -> watch::Receiver<()> {
        let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, running| running.has_changed().is_ok());
        if let Some(running) = all.get(&organization.id) {
            return running.clone();
        }
        let (ended, running) = watch::channel(());
        all.insert(organization.id, running.clone());
        let (counter, organization) = (self.clone(), organization.clone());
        tokio::spawn(async move {
            if let Err(failure) = counter.count(&organization, is_due).await {
                tracing::warn!(organization = %organization.id, ?failure, "a count did not come to its end");
            }
            drop(ended);
        });
        running
    }

    /// Counts in the background; only one instance does.
    pub(super) fn count_in_background(&self, organization: &Organization) {
        let (counter, organization) = (self.clone(), organization.clone());
        tokio::spawn(async move {
            let mut due = of(organization.id);
            due.insert("$expr", doc! { "$lte": ["$due", "$$NOW"] });
            let claim = doc! { "$set": { "due": later(MIN_RECOUNT_DELAY) } };
            match counter.usage.call(counter.usage.collection().update_one(due, vec![claim])).await {
                Ok(claimed) if claimed.matched_count == 1 => drop(counter.start(&organization, true)),
                Ok(_) => {}
                Err(failure) => tracing::debug!(organization = %organization.id, ?failure, "nobody counts"),
            }
        });
    }

    /// Counts until a count is valid, or too many changes disturb it.
    async fn count(&self, organization: &Organization, is_due: bool) -> EngineResult<()> {
        self.ensure_document(organization.id).await?;
        let (began, mut backoff) = (Instant::now(), MIN_BACKOFF);
        loop {
            let Some(usage) = self.usage.get(organization.id).await? else { return Ok(()) };
            let is_first = !usage.is_counted();
            if !is_first && !is_due && !usage.is_doubtful(self.usage.claims_last()) {
                return Ok(());
            }
            if self.try_to_count(organization, &usage, began).await? {
                return Ok(());
            }
            if began.elapsed() > if is_first { FIRST_COUNT_TIMEOUT } else { COUNT_TIMEOUT } {
                return self.reschedule(organization.id, began.elapsed()).await;
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// Also where an announcement of a collection has created the document, which then has no version.
    async fn ensure_document(&self, id: OrganizationId) -> EngineResult<()> {
        let nothing = doc! { "$max": { "version": 0_i64 } };
        match self.usage.call(self.usage.collection().update_one(of(id), nothing).upsert(true)).await {
            Ok(_) => Ok(()),
            // Another instance has just created it.
            Err(failure) if failure.is_same_id() => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Counts, unless something is being added; returns whether the count is valid.
    async fn try_to_count(
        &self,
        organization: &Organization,
        before: &UsageDocument,
        began: Instant,
    ) -> EngineResult<bool> {
        let is_exact = || began.elapsed() < EXACT_COUNT_TIME;
        let (claims, _) = before.entries("claims", self.usage.claims_last());
        if claims.iter().any(|claim| is_exact() || !claim.contains_key("removes")) {
            return Ok(false);
        }
        let kept = self.claims_to_keep(organization, before).await?;
        let Size { documents, bytes, index_bytes } = self.meter.measure(organization).await?;
        let mut filter = of(organization.id);
        filter.insert("version", same(before.number("version")));
        if is_exact() {
            filter.insert("removals", same(before.number("removals")));
        }
        let ttl = if before.is_counted() { COUNT_TTL } else { FIRST_COUNT_TTL };
        let update = [
            // Without their claims, so that running removals are not subtracted a second time.
            doc! { "$set": {
                "documents": documents,
                "bytes": bytes,
                "index_bytes": index_bytes + claimed_by(&kept),
                "version": before.number("version") + 1,
                "claims": { "$literal": kept },
                "counted_at": "$$NOW",
                "due": later(ttl),
            } },
            doc! { "$unset": "doubted" },
        ];
        let update = self.usage.collection().update_one(filter, update.to_vec());
        Ok(self.usage.call(update).await?.matched_count == 1)
    }

    /// The claims of unfinished indexes, while the server is building one. That index is not counted yet, and will
    /// exist: the reply may be lost, not the build. Checked before the count: an index that is finished meanwhile is
    /// counted twice, and not left out.
    async fn claims_to_keep(
        &self,
        organization: &Organization,
        before: &UsageDocument,
    ) -> EngineResult<Vec<Document>> {
        let claims: Vec<Document> = before.index_claims().into_iter().cloned().collect();
        if claims.is_empty() || self.placements.of(organization).is_building_index(organization).await? {
            return Ok(claims);
        }
        Ok(Vec::new())
    }

    /// Keeps a long count without a result from being repeated all the time.
    async fn reschedule(&self, id: OrganizationId, took: Duration) -> EngineResult<()> {
        let due = doc! { "$set": { "due": later(MIN_RECOUNT_DELAY.max(took * RECOUNT_DELAY_FACTOR)) } };
        self.usage.update(id, due).await.map(|_| ())
    }
}

/// Bytes of these claims of indexes.
pub(super) fn claimed_by<'a>(claims: impl IntoIterator<Item = &'a Document>) -> i64 {
    claims.into_iter().filter_map(|claim| claim.get_i64("index_bytes").ok()).sum()
}

/// Matches the number that was read, which is missing in a document that was created for another purpose.
fn same(number: i64) -> Document {
    if number == 0 {
        doc! { "$in": [0_i64, null] }
    } else {
        doc! { "$eq": number }
    }
}

pub(super) fn later(than: Duration) -> Document {
    let millis = i64::try_from(than.as_millis()).unwrap_or(i64::MAX);
    doc! { "$add": ["$$NOW", millis] }
}
