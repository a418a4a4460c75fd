//! Claims of collections: which names are about to be created. Existing collections are counted each time.

use super::claim_age::ClaimAge;
use super::limits::{collection_limit_error, most_collections};
use super::usage::{UsageRecords, of};
use crate::engine_error::EngineResult;
use crate::placements::Placements;
use crate::record_codec::integer;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, doc};
use std::collections::BTreeSet;
use std::sync::Arc;
use tenantry_domain::Error;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::Organization;
use tokio::sync::{Mutex, MutexGuard};

/// How often a claim is tried while others claim.
const MAX_ATTEMPTS: u32 = 200;

/// An announced collection.
#[must_use]
pub(crate) struct Creation {
    id: ObjectId,
    age: ClaimAge,
}

impl Creation {
    pub(crate) const fn age(&self) -> ClaimAge {
        self.age
    }
}

/// Claims of collections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct CollectionClaims {
    usage: UsageRecords,
    placements: Placements,
    /// Keeps announcements that would conflict from running at the same time in this process. They are short; nothing
    /// is ever counted while one of these is locked.
    lanes: Arc<[Mutex<()>; 32]>,
}

impl CollectionClaims {
    pub(super) fn new(usage: UsageRecords, placements: Placements) -> Self {
        Self { usage, placements, lanes: Arc::default() }
    }

    async fn lock(&self, id: OrganizationId) -> MutexGuard<'_, ()> {
        let lane = usize::from(id.as_bytes()[11]) % self.lanes.len();
        self.lanes[lane].lock().await
    }

    /// Announces a collection; `None` if it exists. `quota_exceeded`.
    ///
    /// Existing collections are listed after the announcements of others were read, and an announcement is removed
    /// only when its collection exists: so each is seen at least once.
    pub(crate) async fn begin(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<Option<Creation>> {
        let _one = self.lock(organization.id).await;
        for _ in 0..MAX_ATTEMPTS {
            let usage = self.usage.get(organization.id).await?;
            let there = self.placements.list_collections(organization).await?;
            if there.contains(name) {
                return Ok(None);
            }
            let mut names: BTreeSet<&str> = there.iter().map(CollectionName::as_str).collect();
            if let Some(usage) = &usage {
                let (others, _) = usage.entries("creations", self.usage.claims_last());
                names.extend(others.into_iter().filter_map(|other| other.get_str("name").ok()));
            }
            names.insert(name.as_str());
            if names.len() as u64 > most_collections(organization) {
                return Err(collection_limit_error(organization).into());
            }
            let before = usage.map(|usage| usage.number("creations_version"));
            if let Some(creation) = self.note(organization, name, before).await? {
                return Ok(Some(creation));
            }
        }
        Err(Error::unavailable("others keep creating collections").into())
    }

    async fn note(
        &self,
        organization: &Organization,
        name: &CollectionName,
        before: Option<i64>,
    ) -> EngineResult<Option<Creation>> {
        let creation = Creation { id: ObjectId::new(), age: ClaimAge::new() };
        let version = before.unwrap_or(0);
        let mut filter = of(organization.id);
        filter.insert("creations_version", if version == 0 { Bson::Null } else { version.into() });
        let entry = doc! { "id": creation.id, "name": name.as_str(), "at": "$$NOW" };
        let last = integer(u64::try_from(self.usage.claims_last().as_millis()).unwrap_or(u64::MAX));
        let since = doc! { "$gt": ["$$this.at", { "$subtract": ["$$NOW", last] }] };
        let others = doc! { "$filter": { "input": { "$ifNull": ["$creations", []] }, "cond": since } };
        let update = doc! { "$set": {
            "creations": { "$concatArrays": [others, [entry]] },
            "creations_version": version + 1,
        } };
        let update = self.usage.collection().update_one(filter, vec![update]).upsert(before.is_none());
        match self.usage.call(update).await {
            Ok(result) if result.matched_count == 1 || result.upserted_id.is_some() => Ok(Some(creation)),
            Ok(_) => Ok(None),
            Err(failure) if failure.is_same_id() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Removes an announcement: the collection exists, or will never exist.
    pub(crate) async fn end(&self, organization: &Organization, creation: Creation) {
        let update =
            doc! { "$pull": { "creations": { "id": creation.id } }, "$inc": { "creations_version": 1_i64 } };
        if let Err(failure) =
            self.usage.call(self.usage.collection().update_one(of(organization.id), update)).await
        {
            tracing::debug!(organization = %organization.id, ?failure, "an announcement stays for a minute");
        }
    }
}
