//! Claims of what a new index takes, and how much the index entries of an organization take.
//!
//! # Pitfalls
//! A writer goes by the indexes as they are remembered for some seconds. What was written without the new index is
//! counted once more when all know of it.

use super::claim::Change;
use super::count::later;
use super::{Size, is_limited, of};
use crate::mongodb::MongoDb;
use crate::mongodb::collections::{INDEXES_GOOD_FOR, Located};
use crate::mongodb::failure::Attempt;
use mongodb::bson::doc;
use std::time::Duration;
use tenantry_documents::document::EntryBudget;
use tenantry_documents::index::Index;
use tenantry_domain::ErrorCode;
use tenantry_domain::organization::Organization;

/// How long the entries are counted for a reader of usage.
const ASKED_FOR: Duration = Duration::from_secs(3);

impl MongoDb {
    /// Announces an index beside those that serve: its entries must fit the quota, and those of each document their bound.
    pub(in crate::mongodb) async fn begin_index(
        &self,
        at: &mut Located<'_>,
        serving: &[Index],
        index: &Index,
        budget: EntryBudget,
    ) -> Attempt<Change> {
        let index_bytes = self.measure_new_index(at, serving, index, budget).await?;
        let size = Size::default().with_entries(index_bytes);
        match self.begin_change(at.organization, size).await? {
            Ok(change) => Ok(change),
            Err(room) => {
                let refusal = room.refuses(size);
                Err(refusal.unwrap_or_else(|| ErrorCode::QuotaExceeded.into()).into())
            }
        }
    }

    /// Notes whether an announced index was made.
    pub(in crate::mongodb) async fn end_index(
        &self,
        organization: &Organization,
        change: Change,
        is_made: bool,
    ) {
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
        let noted = self.call(self.usage.update_one(of(organization.id), vec![doc! { "$set": set }])).await;
        if let Err(failure) = noted {
            tracing::warn!(organization = %organization.id, ?failure, "a count is too low for a while");
        }
    }

    /// Bytes of all index entries of an organization: as they are counted, or counted now if that does not take long.
    pub(in crate::mongodb) async fn index_bytes_of(
        &self,
        organization: &Organization,
    ) -> Attempt<Option<u64>> {
        let mut counted = None;
        if organization.quota.index_bytes.is_some()
            && let Some(usage) = self.get_usage_document(organization.id).await?
            && usage.is_counted()
        {
            counted = u64::try_from(usage.number("index_bytes")).ok();
            if !usage.is_too_high(self.claims_last()) {
                return Ok(counted);
            }
        }
        match tokio::time::timeout(ASKED_FOR, self.measure_entries(organization)).await {
            Ok(measured) => measured.map(Some),
            Err(_) => Ok(counted),
        }
    }
}
