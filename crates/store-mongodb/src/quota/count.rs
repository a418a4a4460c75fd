//! Counting what an organization has, and setting its usage right.
//!
//! A count looks at every document, however long that takes. So it goes on by itself, one for each organization, and
//! whoever needs it waits a little. What a newcomer gets wrong: changes go on meanwhile. What adds something makes a count
//! void; what only removes leaves it too high at worst, and so a count of many documents stands.

use super::size::Size;
use super::usage::{UsageDocument, of};
use crate::MongoDb;
use crate::engine_error::EngineResult;
use mongodb::bson::{Document, doc};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, Weak};
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

/// The counts that are under way in this process. One has ended when its sender is gone.
#[derive(Default)]
pub(super) struct Counts(Mutex<HashMap<OrganizationId, watch::Receiver<()>>>);

/// The refusal of what needs a count that is under way.
pub(super) fn is_being_counted() -> Error {
    Error::unavailable("what the organization has is being counted")
        .detail("What the organization has is being counted for its quota. Try again in a while.")
        .retry_after(COME_BACK)
}

impl MongoDb {
    /// Counts, and waits for that a little; whether it has ended.
    pub(super) async fn count_in_time(&self, organization: &Organization) -> bool {
        let Some(mut under_way) = self.start_count(organization, false) else { return false };
        // Nothing is ever sent: what comes is the end.
        tokio::time::timeout(PATIENCE, under_way.changed()).await.is_ok()
    }

    /// Begins a count that goes on when nobody waits for it any more, or finds the one that is under way.
    fn start_count(&self, organization: &Organization, is_due: bool) -> Option<watch::Receiver<()>> {
        let engine = self.this.get().and_then(Weak::upgrade)?;
        let mut all = self.quotas.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, under_way| under_way.has_changed().is_ok());
        if let Some(under_way) = all.get(&organization.id) {
            return Some(under_way.clone());
        }
        let (ended, under_way) = watch::channel(());
        all.insert(organization.id, under_way.clone());
        let organization = organization.clone();
        tokio::spawn(async move {
            if let Err(failure) = engine.count(&organization, is_due).await {
                tracing::warn!(organization = %organization.id, ?failure, "a count did not come to its end");
            }
            drop(ended);
        });
        Some(under_way)
    }

    /// Counts once more while others go on; one of all instances does.
    pub(super) fn count_in_background(&self, organization: &Organization) {
        let Some(engine) = self.this.get().and_then(Weak::upgrade) else { return };
        let organization = organization.clone();
        tokio::spawn(async move {
            let mut due = of(organization.id);
            due.insert("$expr", doc! { "$lte": ["$due", "$$NOW"] });
            let claim = doc! { "$set": { "due": later(AGAIN) } };
            match engine.connection.call(engine.usage.collection().update_one(due, vec![claim])).await {
                Ok(claimed) if claimed.matched_count == 1 => drop(engine.start_count(&organization, true)),
                Ok(_) => {}
                Err(failure) => tracing::debug!(organization = %organization.id, ?failure, "nobody counts"),
            }
        });
    }

    /// Counts until a count stands, or too much gets into its way.
    async fn count(&self, organization: &Organization, is_due: bool) -> EngineResult<()> {
        self.make_usage_document(organization.id).await?;
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
    async fn make_usage_document(&self, id: OrganizationId) -> EngineResult<()> {
        let nothing = doc! { "$max": { "version": 0_i64 } };
        match self.connection.call(self.usage.collection().update_one(of(id), nothing).upsert(true)).await {
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
        let Size { documents, bytes, index_bytes } = self.measure(organization).await?;
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
        Ok(self
            .connection
            .call(self.usage.collection().update_one(filter, update.to_vec()))
            .await?
            .matched_count
            == 1)
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
        if claims.is_empty() || self.is_making_index(organization).await? {
            return Ok(claims);
        }
        Ok(Vec::new())
    }

    /// Keeps a count that took long and came to nothing from being tried all the time.
    async fn reschedule(&self, id: OrganizationId, took: Duration) -> EngineResult<()> {
        let due = doc! { "$set": { "due": later(AGAIN.max(took * AGAIN_TIMES)) } };
        self.connection.call(self.usage.collection().update_one(of(id), vec![due])).await.map(|_| ())
    }

    /// Counts documents and bytes of an organization, one by one.
    pub(crate) async fn measure_documents(&self, organization: &Organization) -> EngineResult<Size> {
        let mut all = Size::default();
        for name in self.collection_names_of(organization).await? {
            all = all.plus(self.measure_collection(organization, &name).await?);
        }
        Ok(all)
    }

    /// The same, and the bytes of its index entries where there is a quota for them.
    async fn measure(&self, organization: &Organization) -> EngineResult<Size> {
        let all = self.measure_documents(organization).await?;
        match organization.quota.index_bytes {
            Some(_) => Ok(all.with_entries(self.measure_entries(organization).await?)),
            None => Ok(all),
        }
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
