//! Claims of what a new index takes, and how much the index entries of an organization take.
//!
//! # Pitfalls
//! A writer goes by the indexes as they are remembered for some seconds. What was written without the new index is
//! counted once more when all know of it.

use super::claim::Change;
use super::count::{claimed_by, is_being_counted, later};
use super::limits::is_limited;
use super::size::Size;
use super::usage::of;
use crate::MongoDb;
use crate::collections::{CollectionHandle, INDEXES_GOOD_FOR};
use crate::engine_error::EngineResult;
use mongodb::bson::doc;
use std::time::Duration;
use tenantry_documents::document::EntryBudget;
use tenantry_documents::index::Index;
use tenantry_domain::organization::Organization;
use tenantry_domain::{Error, ErrorCode};

/// How long the entries are counted for a reader of usage.
pub(super) const ASKED_FOR: Duration = Duration::from_secs(3);

/// What became of an index that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Made,
    NotMade,
    /// The answer is lost: it may be there, or still be made.
    Unknown,
}

impl Outcome {
    pub(crate) fn of<T>(made: &Result<T, Error>) -> Self {
        match made {
            Ok(_) => Self::Made,
            Err(error) if error.code() == ErrorCode::StoreUnavailable => Self::Unknown,
            Err(_) => Self::NotMade,
        }
    }
}

impl MongoDb {
    /// Announces an index beside those that serve: its entries must fit the quota, and those of each document their bound.
    pub(crate) async fn begin_index(
        &self,
        at: &mut CollectionHandle<'_>,
        serving: &[Index],
        index: &Index,
        budget: EntryBudget,
    ) -> EngineResult<Change> {
        let index_bytes = self.measure_new_index(at, serving, index, budget).await?;
        let size = Size::default().with_entries(index_bytes);
        match self.begin(at.organization, size, true).await? {
            Ok(change) => Ok(change),
            Err(room) => Err(self.refusal_of_index(at.organization, room, size).await?.into()),
        }
    }

    /// Why there is no room for an index. Where one that is not settled has it, nobody knows yet: perhaps that is the same
    /// one, which was not answered and is asked for again.
    async fn refusal_of_index(
        &self,
        organization: &Organization,
        room: Size,
        wanted: Size,
    ) -> EngineResult<Error> {
        let usage = self.usage.get(organization.id).await?;
        let unsettled = usage.map_or(0, |usage| claimed_by(usage.index_claims()));
        let room_then = Size { index_bytes: room.index_bytes.saturating_add(unsettled), ..room };
        if unsettled > 0 && room_then.refuses(wanted).is_none() {
            return Ok(is_being_counted());
        }
        Ok(room.refuses(wanted).unwrap_or_else(|| ErrorCode::QuotaExceeded.into()))
    }

    /// Notes what became of an announced index.
    pub(crate) async fn end_index(&self, organization: &Organization, change: Change, outcome: Outcome) {
        if outcome == Outcome::Unknown {
            // Its claim stays until a count has found what there is.
            return self.count_after_claim(organization, change).await;
        }
        let is_made = outcome == Outcome::Made;
        let added = if is_made { change.size() } else { Size::default() };
        let is_noted = self.note_end(change, added).await;
        if !is_made || !is_limited(organization) || organization.quota.index_bytes.is_none() {
            return;
        }
        let mut set = doc! { "due": later(INDEXES_GOOD_FOR + Duration::from_secs(1)) };
        if !is_noted {
            // A count has dropped the claim, with the index or without it: too much is better than too little until the
            // next one, and nobody has to wait for that.
            let counted = doc! { "$ifNull": ["$index_bytes", 0_i64] };
            set.insert("index_bytes", doc! { "$add": [counted, added.index_bytes] });
            set.insert("version", doc! { "$add": [{ "$ifNull": ["$version", 0_i64] }, 1_i64] });
            set.insert("due", "$$NOW");
        }
        let noted = self
            .connection
            .call(self.usage.collection().update_one(of(organization.id), vec![doc! { "$set": set }]))
            .await;
        if let Err(failure) = noted {
            tracing::warn!(organization = %organization.id, ?failure, "a count is too low for a while");
        }
    }

    /// Makes a count due for when a claim that nobody ends is not waited for any more.
    async fn count_after_claim(&self, organization: &Organization, change: Change) {
        if !change.is_counted() {
            return;
        }
        let due = doc! { "$set": { "due": later(self.usage.claims_last() + Duration::from_secs(1)) } };
        if let Err(failure) =
            self.connection.call(self.usage.collection().update_one(of(organization.id), vec![due])).await
        {
            tracing::warn!(organization = %organization.id, ?failure, "a count is too high for a while");
        }
    }

    /// Bytes of all index entries of an organization: as its quota counts them; without one as they were counted
    /// lately, or counted now if that does not take long.
    pub(crate) async fn index_bytes_of(&self, organization: &Organization) -> EngineResult<Option<u64>> {
        if organization.quota.index_bytes.is_none() {
            return self.remembered_index_bytes(organization).await;
        }
        let mut counted = None;
        if let Some(usage) = self.usage.get(organization.id).await?
            && usage.is_counted()
        {
            counted = u64::try_from(usage.number("index_bytes")).ok();
            if !usage.is_too_high(self.usage.claims_last()) {
                return Ok(counted);
            }
        }
        Ok(self.measure_entries_in_time(organization).await?.or(counted))
    }

    /// Counts them now; none if that takes too long.
    pub(super) async fn measure_entries_in_time(
        &self,
        organization: &Organization,
    ) -> EngineResult<Option<u64>> {
        match tokio::time::timeout(ASKED_FOR, self.measure_entries(organization)).await {
            Ok(measured) => measured.map(Some),
            Err(_) => Ok(None),
        }
    }
}
