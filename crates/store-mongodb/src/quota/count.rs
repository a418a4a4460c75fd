//! Counting what an organization has, and setting its usage right.
//!
//! A count looks at every document, however long that takes. So it goes on by itself, one for each organization, and
//! whoever needs it waits a little. What a newcomer gets wrong: changes go on meanwhile. What adds something makes a count
//! void; what only removes leaves it too high at worst, and so a count of many documents stands.

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

/// How long a request waits for a count, and when it is to come back if that was not enough.
const PATIENCE: Duration = Duration::from_secs(2);
const COME_BACK: Duration = Duration::from_secs(5);
/// How long a count is begun anew for removals that got into its way.
const EXACT_FOR: Duration = Duration::from_secs(2);
/// How long a first count is begun anew for additions, and how long a later one; and the pauses between, which grow.
const FIRST_TRIED_FOR: Duration = Duration::from_secs(600);
const TRIED_FOR: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// When the first count is repeated: instances that did not yet know of the quota may have changed something during it
/// without a claim.
const FIRST_GOOD_FOR: Duration = Duration::from_secs(15);
/// When a later one is.
const GOOD_FOR: Duration = Duration::from_secs(3600);
/// When a count is tried again that changes got into the way of, at the earliest, and in how many times what it took.
const AGAIN: Duration = Duration::from_secs(60);
const AGAIN_TIMES: u32 = 10;

/// Counts what organizations have, each for itself and once at a time. Cheap to clone.
#[derive(Clone)]
pub(super) struct UsageCounter {
    usage: UsageRecords,
    meter: UsageMeter,
    placements: Placements,
    /// The counts that are under way in this process. One has ended when its sender is gone.
    under_way: Arc<Mutex<HashMap<OrganizationId, watch::Receiver<()>>>>,
}

/// The refusal of what needs a count that is under way.
pub(super) fn is_being_counted() -> Error {
    Error::unavailable("what the organization has is being counted")
        .detail("What the organization has is being counted for its quota. Try again in a while.")
        .retry_after(COME_BACK)
}

impl UsageCounter {
    pub(super) fn new(usage: UsageRecords, meter: UsageMeter, placements: Placements) -> Self {
        Self { usage, meter, placements, under_way: Arc::default() }
    }

    /// Counts, and waits for that a little; whether it has ended.
    pub(super) async fn count_in_time(&self, organization: &Organization) -> bool {
        let mut under_way = self.start(organization, false);
        // Nothing is ever sent: what comes is the end.
        tokio::time::timeout(PATIENCE, under_way.changed()).await.is_ok()
    }

    /// Begins a count that goes on when nobody waits for it any more, or finds the one that is under way.
    fn start(&self, organization: &Organization, is_due: bool) -> watch::Receiver<()> {
        let mut all = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, under_way| under_way.has_changed().is_ok());
        if let Some(under_way) = all.get(&organization.id) {
            return under_way.clone();
        }
        let (ended, under_way) = watch::channel(());
        all.insert(organization.id, under_way.clone());
        let (counter, organization) = (self.clone(), organization.clone());
        tokio::spawn(async move {
            if let Err(failure) = counter.count(&organization, is_due).await {
                tracing::warn!(organization = %organization.id, ?failure, "a count did not come to its end");
            }
            drop(ended);
        });
        under_way
    }

    /// Counts once more while others go on; one of all instances does.
    pub(super) fn count_in_background(&self, organization: &Organization) {
        let (counter, organization) = (self.clone(), organization.clone());
        tokio::spawn(async move {
            let mut due = of(organization.id);
            due.insert("$expr", doc! { "$lte": ["$due", "$$NOW"] });
            let claim = doc! { "$set": { "due": later(AGAIN) } };
            match counter.usage.call(counter.usage.collection().update_one(due, vec![claim])).await {
                Ok(claimed) if claimed.matched_count == 1 => drop(counter.start(&organization, true)),
                Ok(_) => {}
                Err(failure) => tracing::debug!(organization = %organization.id, ?failure, "nobody counts"),
            }
        });
    }

    /// Counts until a count stands, or too much gets into its way.
    async fn count(&self, organization: &Organization, is_due: bool) -> EngineResult<()> {
        self.ensure_document(organization.id).await?;
        let (began, mut pause) = (Instant::now(), PAUSE);
        loop {
            let Some(usage) = self.usage.get(organization.id).await? else { return Ok(()) };
            let is_first = !usage.is_counted();
            if !is_first && !is_due && !usage.is_doubtful(self.usage.claims_last()) {
                return Ok(());
            }
            if self.try_to_count(organization, &usage, began).await? {
                return Ok(());
            }
            if began.elapsed() > if is_first { FIRST_TRIED_FOR } else { TRIED_FOR } {
                return self.reschedule(organization.id, began.elapsed()).await;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Also where an announcement of a collection has made the document, which has no version then.
    async fn ensure_document(&self, id: OrganizationId) -> EngineResult<()> {
        let nothing = doc! { "$max": { "version": 0_i64 } };
        match self.usage.call(self.usage.collection().update_one(of(id), nothing).upsert(true)).await {
            Ok(_) => Ok(()),
            // Another instance has just made it.
            Err(failure) if failure.is_same_id() => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Counts, if nothing is being added; whether the count stands.
    async fn try_to_count(
        &self,
        organization: &Organization,
        before: &UsageDocument,
        began: Instant,
    ) -> EngineResult<bool> {
        let is_exact = || began.elapsed() < EXACT_FOR;
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
        let good_for = if before.is_counted() { GOOD_FOR } else { FIRST_GOOD_FOR };
        let update = [
            // Without their claims, removals under way are not taken off the count a second time.
            doc! { "$set": {
                "documents": documents,
                "bytes": bytes,
                "index_bytes": index_bytes + claimed_by(&kept),
                "version": before.number("version") + 1,
                "claims": { "$literal": kept },
                "counted_at": "$$NOW",
                "due": later(good_for),
            } },
            doc! { "$unset": "doubted" },
        ];
        let update = self.usage.collection().update_one(filter, update.to_vec());
        Ok(self.usage.call(update).await?.matched_count == 1)
    }

    /// The claims of indexes whose end nobody has noted, as long as the server is making one. That one is not counted yet,
    /// and will be there: its answer may be lost, not its work. Asked before the count: what ends meanwhile is counted twice,
    /// and not left out.
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

    /// Keeps a count that took long and came to nothing from being tried all the time.
    async fn reschedule(&self, id: OrganizationId, took: Duration) -> EngineResult<()> {
        let due = doc! { "$set": { "due": later(AGAIN.max(took * AGAIN_TIMES)) } };
        self.usage.update(id, due).await.map(|_| ())
    }
}

/// Bytes of these claims of indexes.
pub(super) fn claimed_by<'a>(claims: impl IntoIterator<Item = &'a Document>) -> i64 {
    claims.into_iter().filter_map(|claim| claim.get_i64("index_bytes").ok()).sum()
}

/// The number that was read; a document that was made for something else has none.
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
