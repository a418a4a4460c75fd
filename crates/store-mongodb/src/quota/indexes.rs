//! Claims of what a new index takes.
//!
//! # Pitfalls
//! A writer uses the cached indexes, which are some seconds old. Documents that were written without the new index
//! are counted once more when all writers know of it.

use super::claim::{Claims, PendingClaim};
use super::count::{claimed_by, count_running_error, later};
use super::limits::is_limited;
use super::measure::measure_new_index;
use super::size::Size;
use super::usage::UsageRecords;
use crate::collections::handle::CollectionHandle;
use crate::collections::index_build::BuildOutcome;
use crate::collections::index_cache::INDEX_CACHE_TTL;
use crate::engine_error::EngineResult;
use mongodb::bson::doc;
use std::time::Duration;
use tenantry_documents::document::EntryBudget;
use tenantry_documents::index::Index;
use tenantry_domain::organization::Organization;
use tenantry_domain::{Error, ErrorCode};

/// Claims of indexes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct IndexClaims {
    usage: UsageRecords,
    claims: Claims,
}

impl IndexClaims {
    pub(super) const fn new(usage: UsageRecords, claims: Claims) -> Self {
        Self { usage, claims }
    }

    /// Announces an index beside the finished ones: its entries must fit the quota, and those of each document the
    /// limit.
    pub(crate) async fn begin(
        &self,
        handle: &mut CollectionHandle<'_>,
        serving: &[Index],
        index: &Index,
        budget: EntryBudget,
    ) -> EngineResult<PendingClaim> {
        let index_bytes = measure_new_index(handle, serving, index, budget).await?;
        let size = Size::default().with_entries(index_bytes);
        match self.claims.begin(handle.organization(), size, true).await? {
            Ok(change) => Ok(change),
            Err(room) => Err(self.refusal(handle.organization(), room, size).await?.into()),
        }
    }

    /// The error for an index without room. If an unfinished index has taken the room, the outcome is unknown: it may
    /// be the same index, whose reply was lost and which is requested again.
    async fn refusal(&self, organization: &Organization, room: Size, wanted: Size) -> EngineResult<Error> {
        let usage = self.usage.get(organization.id).await?;
        let unsettled = usage.map_or(0, |usage| claimed_by(usage.index_claims()));
        let room_then = Size { index_bytes: room.index_bytes.saturating_add(unsettled), ..room };
        if unsettled > 0 && room_then.fits(wanted) {
            return Ok(count_running_error());
        }
        Ok(room.refuses(wanted, &organization.quota).unwrap_or_else(|| ErrorCode::QuotaExceeded.into()))
    }

    /// Records how the build of an announced index ended.
    pub(crate) async fn end(&self, organization: &Organization, change: PendingClaim, outcome: BuildOutcome) {
        if outcome == BuildOutcome::Unknown {
            // Its claim stays until a count has found out.
            return self.count_after_claim(organization, change).await;
        }
        let is_made = outcome == BuildOutcome::Made;
        let added = if is_made { change.size() } else { Size::default() };
        let is_noted = self.claims.note_end(change, added).await;
        if !is_made || !is_limited(organization) || organization.quota.index_bytes.is_none() {
            return;
        }
        let mut set = doc! { "due": later(INDEX_CACHE_TTL + Duration::from_secs(1)) };
        if !is_noted {
            // A count has dropped the claim, with the index or without it. Too high is better than too low until the
            // next count, which nobody has to wait for.
            let counted = doc! { "$ifNull": ["$index_bytes", 0_i64] };
            set.insert("index_bytes", doc! { "$add": [counted, added.index_bytes] });
            set.insert("version", doc! { "$add": [{ "$ifNull": ["$version", 0_i64] }, 1_i64] });
            set.insert("due", "$$NOW");
        }
        if let Err(failure) = self.usage.update(organization.id, doc! { "$set": set }).await {
            tracing::warn!(organization = %organization.id, ?failure, "a count is too low for a while");
        }
    }

    /// Schedules a count for when an abandoned claim has expired.
    async fn count_after_claim(&self, organization: &Organization, change: PendingClaim) {
        if !change.is_counted() {
            return;
        }
        let due = doc! { "$set": { "due": later(self.usage.claims_last() + Duration::from_secs(1)) } };
        if let Err(failure) = self.usage.update(organization.id, due).await {
            tracing::warn!(organization = %organization.id, ?failure, "a count is too high for a while");
        }
    }
}
