//! Claims of documents and bytes: before a change, what it may add; after it, what it has added.

use super::claim_age::ClaimAge;
use super::count::{UsageCounter, count_running_error};
use super::limits::is_limited;
use super::size::Size;
use super::usage::{UsageDocument, UsageRecords, of};
use crate::engine_error::EngineResult;
use crate::record_codec::integer;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{Organization, QuotaLimit};

/// How often a claim is tried while others count.
const MAX_ATTEMPTS: u32 = 8;

/// An announced change. If it is dropped without an end, its claim counts for a minute.
#[must_use]
pub(crate) struct PendingClaim(Option<Claim>);

struct Claim {
    organization: OrganizationId,
    id: ObjectId,
    size: Size,
    /// Whether it is a new index.
    is_index: bool,
    /// Whether the change may add something.
    adds: bool,
    age: ClaimAge,
}

impl Claim {
    fn new(organization: &Organization, size: Size, is_index: bool, adds: bool) -> Self {
        let (organization, id) = (organization.id, ObjectId::new());
        Self { organization, id, size, is_index, adds, age: ClaimAge::new() }
    }

    /// The stored claim. That of an index includes its size, because a count may have to keep it.
    fn entry(&self) -> Document {
        let mut entry = doc! { "id": self.id, "at": "$$NOW" };
        if !self.adds {
            entry.insert("removes", true);
        }
        if self.is_index {
            entry.insert("index_bytes", self.size.index_bytes);
        }
        entry
    }

    /// The field that a running count compares.
    fn counter(&self) -> &'static str {
        if self.adds { "version" } else { "removals" }
    }
}

impl PendingClaim {
    /// The size of the claim.
    pub(super) fn size(&self) -> Size {
        self.0.as_ref().map(|claim| claim.size).unwrap_or_default()
    }

    /// Refuses to continue once the claim may count as abandoned.
    pub(crate) fn check(&self) -> EngineResult<()> {
        self.0.as_ref().map_or(Ok(()), |claim| claim.age.check())
    }

    /// Whether the change is counted at all.
    pub(crate) const fn is_counted(&self) -> bool {
        self.0.is_some()
    }
}

/// Claims of documents, bytes and index entries. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Claims {
    usage: UsageRecords,
    counter: UsageCounter,
}

impl Claims {
    pub(super) const fn new(usage: UsageRecords, counter: UsageCounter) -> Self {
        Self { usage, counter }
    }

    /// Announces a change that may add `size`, which must not be negative. If there is no room, returns how much
    /// there is.
    pub(crate) async fn begin_change(
        &self,
        organization: &Organization,
        size: Size,
    ) -> EngineResult<Result<PendingClaim, Size>> {
        self.begin(organization, size, false).await
    }

    /// Announces a batch that is never more than `most` larger than before; `adds` says whether one of its steps adds
    /// something.
    pub(crate) async fn begin_batch(
        &self,
        organization: &Organization,
        most: Size,
        adds: bool,
    ) -> EngineResult<Result<PendingClaim, Size>> {
        self.announce(organization, most, false, adds).await
    }

    /// Announces a change of documents, or a new index.
    pub(super) async fn begin(
        &self,
        organization: &Organization,
        size: Size,
        is_index: bool,
    ) -> EngineResult<Result<PendingClaim, Size>> {
        self.announce(organization, size, is_index, size != Size::default()).await
    }

    async fn announce(
        &self,
        organization: &Organization,
        size: Size,
        is_index: bool,
        adds: bool,
    ) -> EngineResult<Result<PendingClaim, Size>> {
        if !is_limited(organization) {
            return Ok(Ok(PendingClaim(None)));
        }
        let mut doubted = false;
        for _ in 0..MAX_ATTEMPTS {
            let claim = Claim::new(organization, size, is_index, adds);
            if self.note_claim(organization, &claim).await? {
                return Ok(Ok(PendingClaim(Some(claim))));
            }
            let usage = self.usage.get(organization.id).await?;
            let Some(usage) = usage.filter(UsageDocument::is_counted) else {
                if !self.counter.count_in_time(organization).await {
                    return Err(count_running_error().into());
                }
                continue;
            };
            let limit = |limit: Option<QuotaLimit>, used| {
                limit.map_or(i64::MAX, |limit| integer(limit.get())).saturating_sub(used)
            };
            let room = Size {
                documents: limit(organization.quota.documents, usage.number("documents")),
                bytes: limit(organization.quota.bytes, usage.number("bytes")),
                index_bytes: limit(organization.quota.index_bytes, usage.number("index_bytes")),
            };
            if room.fits(size) {
                continue;
            }
            if doubted || !usage.is_doubtful(self.usage.claims_last()) {
                return Ok(Err(room));
            }
            doubted = true;
            if !self.counter.count_in_time(organization).await && usage.is_too_high(self.usage.claims_last())
            {
                return Err(count_running_error().into());
            }
        }
        Err(Error::unavailable("others count what the organization has").into())
    }

    /// Announces a change that adds nothing; there is always room for it.
    pub(crate) async fn begin_removal(&self, organization: &Organization) -> EngineResult<PendingClaim> {
        let begun = self.begin_change(organization, Size::default()).await?;
        begun.map_err(|_| Error::internal("no room for nothing").into())
    }

    /// Records the end of a change. A failure to do so is no reason to undo the change.
    pub(crate) async fn end_change(&self, change: PendingClaim, added: Size) {
        self.note_end(change, added).await;
    }

    /// Records the end of a change. Returns whether the claim was still there: a count may have dropped it as
    /// abandoned.
    pub(super) async fn note_end(&self, change: PendingClaim, added: Size) -> bool {
        let Some(claim) = change.0 else { return true };
        let mut filter = of(claim.organization);
        filter.insert("claims.id", claim.id);
        let unused = claim.size.plus(added.negative());
        let update = doc! {
            "$inc": {
                "documents": -unused.documents,
                "bytes": -unused.bytes,
                "index_bytes": -unused.index_bytes,
                claim.counter(): 1_i64,
            },
            "$pull": { "claims": { "id": claim.id } },
        };
        match self.usage.call(self.usage.collection().update_one(filter, update)).await {
            Ok(updated) => updated.matched_count == 1,
            Err(failure) => {
                tracing::warn!(organization = %claim.organization, ?failure, "a claim stays for a minute");
                false
            }
        }
    }

    /// Records the claim if there is room for it; returns whether there was.
    async fn note_claim(&self, organization: &Organization, claim: &Claim) -> EngineResult<bool> {
        let mut filter = of(organization.id);
        let limits = [
            ("documents", organization.quota.documents, claim.size.documents),
            ("bytes", organization.quota.bytes, claim.size.bytes),
            ("index_bytes", organization.quota.index_bytes, claim.size.index_bytes),
        ];
        for (field, limit, wanted) in limits {
            // A change that adds nothing always fits, even above the limit.
            if let (Some(limit), 1..) = (limit, wanted) {
                // Builds before 2026-11-29 count without `index_bytes`, which then counts as zero.
                filter.insert(field, doc! { "$not": { "$gt": integer(limit.get()) - wanted } });
            }
        }
        if claim.adds {
            filter.insert("counted_at", doc! { "$exists": true });
        }
        let sum =
            |field: &str, added: i64| doc! { "$add": [{ "$ifNull": [format!("${field}"), 0_i64] }, added] };
        let update = doc! { "$set": {
            "documents": sum("documents", claim.size.documents),
            "bytes": sum("bytes", claim.size.bytes),
            "index_bytes": sum("index_bytes", claim.size.index_bytes),
            claim.counter(): sum(claim.counter(), 1),
            "claims": { "$concatArrays": [{ "$ifNull": ["$claims", []] }, [claim.entry()]] },
        } };
        let update = self
            .usage
            .collection()
            .find_one_and_update(filter, vec![update])
            .upsert(!claim.adds)
            .projection(doc! { "due": { "$lte": ["$due", "$$NOW"] }, "counted_at": 1 })
            .return_document(ReturnDocument::After);
        let noted: Option<Document> = match self.usage.call(update).await {
            Ok(noted) => noted,
            // Another process has just created the document.
            Err(failure) if failure.is_same_id() => None,
            Err(failure) => return Err(failure),
        };
        let is_due =
            |noted: &Document| noted.contains_key("counted_at") && matches!(noted.get_bool("due"), Ok(true));
        if noted.as_ref().is_some_and(is_due) {
            self.counter.count_in_background(organization);
        }
        Ok(noted.is_some())
    }
}
