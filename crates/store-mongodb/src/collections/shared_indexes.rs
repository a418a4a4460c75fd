//! Indexes of collections that are shares: indexes of the one collection that has all their documents.
//!
//! Each begins with the organization and the collection. One that is not unique and has one key is common to all
//! organizations that want it. Any other is the organization's own and has the documents of its collection alone: a
//! unique one must not keep others from writing, and neither must one of several keys, which refuses documents with two
//! arrays. What a newcomer gets wrong: what an organization's own index is called on the server carries the id of the
//! entry in the container that it was made for, so one who comes late drops or makes nothing but that. A common one may
//! be listed at the moment at which it is dropped: whoever drops it looks once more, and makes it again.

use super::handle::CollectionHandle;
use super::indexes::{BUILDING, CONFLICTS, INDEX_NOT_FOUND, compare, explain_denial, keys, specification};
use super::shared::{
    IndexState, SharedCollection, SharedIndex, field_of, has, has_room_for_index, shares_in,
};
use crate::MongoDb;
use crate::document::object_id;
use crate::engine_error::{EngineError, EngineResult};
use crate::names::SHARED_DOCUMENTS;
use crate::quota::Outcome;
use aws_lc_rs::digest::{SHA256, digest};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::options::Hint;
use std::collections::{BTreeMap, BTreeSet};
use tenantry_documents::document::EntryBudget;
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::limits::SHARED_INDEXES_MAX;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::InsertOutcome;
use tenantry_domain::{Error, ErrorCode};

/// Indexes of the collection that has all documents, in all. MongoDB bears 64.
const MOST: usize = 60;
/// How the names of indexes begin: of those that are common, and of an organization's own.
const COMMON: &str = "common_";
const OWN: &str = "own_";
/// How often an index is tried that another one of the same name or keys is in the way of, which goes.
const ROUNDS: u32 = 5;

impl SharedIndex {
    /// Whether all organizations that want it have the same one.
    fn is_common(&self) -> bool {
        !self.index.unique && self.index.keys.len() == 1
    }

    /// What it is called on the server.
    pub(super) fn physical_name(&self) -> String {
        if !self.is_common() {
            return format!("{OWN}{}", self.id);
        }
        let hash = digest(&SHA256, self.index.keys_text().as_bytes());
        let digits: String = hash.as_ref()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{COMMON}{digits}")
    }

    fn specification(&self, organization: OrganizationId, key: &str) -> Document {
        let mut all = doc! { "org_id": 1, "collection": 1 };
        all.extend(keys("document.", &self.index));
        let mut specification = specification(&self.physical_name(), all, self.index.unique);
        if !self.is_common() {
            let own = doc! { "org_id": object_id(organization.as_bytes()), "collection": key };
            specification.insert("partialFilterExpression", own);
        }
        specification
    }
}

impl MongoDb {
    pub(super) async fn insert_shared_index(
        &self,
        at: &mut CollectionHandle<'_>,
        index: &Index,
        budget: EntryBudget,
    ) -> EngineResult<InsertOutcome> {
        for _ in 0..ROUNDS {
            if let Some(gone) = self.find_conflict(at, index) {
                self.drop_entry(at, &gone).await?;
                *at = self.resolve_collection(at.organization, at.name).await?;
                continue;
            }
            let serving: Vec<Index> = at.share.iter().flat_map(SharedCollection::serving).cloned().collect();
            if let Some(settled) = compare(&serving, index)? {
                self.make_common_again(at, index).await?;
                return Ok(settled);
            }
            let claim = self.begin_index(at, &serving, index, budget).await?;
            let noted = self.find_or_note(at, index).await;
            let built = match &noted {
                Ok(Some(entry)) => Some(self.build_entry(at, entry).await.map_err(Error::from)),
                _ => None,
            };
            let outcome = built.as_ref().map_or(Outcome::NotMade, Outcome::of);
            self.end_index(at.organization, claim, outcome).await;
            built.transpose()?;
            if noted?.is_some() {
                return Ok(InsertOutcome::New);
            }
            // Another entry has been made meanwhile.
            *at = self.resolve_collection(at.organization, at.name).await?;
        }
        Err(Error::unavailable("others change the indexes of the collection all the time").into())
    }

    /// An index of the same name or keys that is being dropped.
    fn find_conflict(&self, at: &CollectionHandle<'_>, index: &Index) -> Option<SharedIndex> {
        let mut all = at.share.iter().flat_map(|share| &share.indexes);
        let dropping = all.find(|other| {
            let collides = other.index.name == index.name || other.index.keys == index.keys;
            other.state == IndexState::Dropping && collides
        });
        dropping.cloned()
    }

    /// The entry of an index that is to be made: one who has begun may have died. None if the list has changed.
    async fn find_or_note(
        &self,
        at: &CollectionHandle<'_>,
        index: &Index,
    ) -> EngineResult<Option<SharedIndex>> {
        let Some(share) = &at.share else { return Ok(None) };
        if let Some(begun) = share.indexes.iter().find(|other| other.index == *index) {
            return Ok(Some(begun.clone()));
        }
        if share.indexes.iter().any(|other| other.index.name == index.name || other.index.keys == index.keys)
        {
            return Err(Error::from(ErrorCode::IndexExists).into());
        }
        let entry = SharedIndex { id: ObjectId::new(), index: index.clone(), state: IndexState::Building };
        self.check_number_of_own(at.organization).await?;
        self.check_number(&entry).await?;
        let list = format!("{}.indexes", field_of(at.name));
        let mut filter = has(at.organization.id, at.name, &share.key);
        let collides = doc! { "$or": [{ "name": index.name.as_str() }, { "keys": index.keys_text() }] };
        filter.insert(&list, doc! { "$not": { "$elemMatch": collides } });
        filter.extend(has_room_for_index());
        let update = doc! { "$push": { &list: entry.write() } };
        let noted = self
            .connection
            .call(self.shared_containers.collection().update_one(filter, update))
            .await?
            .matched_count
            == 1;
        Ok(noted.then_some(entry))
    }

    /// Makes sure that an index is there that is listed: one of all that want it may just have dropped it.
    async fn make_common_again(&self, at: &mut CollectionHandle<'_>, index: &Index) -> EngineResult<()> {
        let entry = at.share.iter().flat_map(|share| &share.indexes).find(|entry| entry.index == *index);
        match entry.filter(|entry| entry.is_common()).cloned() {
            Some(entry) => self.build_entry(at, &entry).await,
            None => Ok(()),
        }
    }

    /// Refuses an index that would be one too many of the organization's.
    async fn check_number_of_own(&self, organization: &Organization) -> EngineResult<()> {
        let number: usize = self.shares(organization).await?.values().map(|share| share.indexes.len()).sum();
        if number < SHARED_INDEXES_MAX as usize {
            return Ok(());
        }
        let detail = format!(
            "An organization that shares its container may have {SHARED_INDEXES_MAX} indexes in all its collections. \
             Drop one that is not used, or ask for another placement."
        );
        Err(Error::from(ErrorCode::TooManyIndexes).detail(detail).into())
    }

    /// Refuses an index that would be one too many on the server.
    async fn check_number(&self, entry: &SharedIndex) -> EngineResult<()> {
        let there = self.physical_indexes().await?;
        if there.len() < MOST || there.contains(&entry.physical_name()) {
            return Ok(());
        }
        let detail =
            "All organizations that share have as many indexes as MongoDB bears. Ask for another placement.";
        Err(Error::from(ErrorCode::CapacityReached).detail(detail).into())
    }

    async fn physical_indexes(&self) -> EngineResult<BTreeSet<String>> {
        let names = self.connection.call(self.shared_documents.collection().list_index_names()).await?;
        Ok(names.into_iter().collect())
    }

    async fn build_entry(&self, at: &mut CollectionHandle<'_>, entry: &SharedIndex) -> EngineResult<()> {
        let Some(key) = at.share.as_ref().map(|share| share.key.clone()) else { return Ok(()) };
        let specification = entry.specification(at.organization.id, &key);
        match self.make_index_at(at, &specification).await {
            Ok(_) => {}
            // One of the same keys of an entry before, which its own drop has not reached yet.
            Err(EngineError::Answered { code, .. }) if CONFLICTS.contains(&code) => {
                self.remove_entry(at, entry).await?;
                return Err(Error::unavailable("an index of the same keys is still being dropped").into());
            }
            Err(failure) => {
                let refusal = Error::from(explain_denial(failure, &entry.index));
                // Nobody knows what becomes of one that was not answered; whoever asks again finds the entry.
                if refusal.code() != ErrorCode::StoreUnavailable {
                    self.remove_entry(at, entry).await?;
                }
                return Err(refusal.into());
            }
        }
        if !self.set_state(at, &key, entry, IndexState::Serving).await? {
            self.drop_index_of(entry).await?;
            return Err(Error::unavailable("the index was dropped while it was made").into());
        }
        Ok(())
    }

    async fn set_state(
        &self,
        at: &CollectionHandle<'_>,
        key: &str,
        entry: &SharedIndex,
        state: IndexState,
    ) -> EngineResult<bool> {
        let list = format!("{}.indexes", field_of(at.name));
        let mut filter = has(at.organization.id, at.name, key);
        filter.insert(
            &list,
            doc! { "$elemMatch": { "id": entry.id, "state": { "$ne": IndexState::Dropping.as_str() } } },
        );
        let update = doc! { "$set": { format!("{list}.$.state"): state.as_str() } };
        Ok(self
            .connection
            .call(self.shared_containers.collection().update_one(filter, update))
            .await?
            .matched_count
            == 1)
    }

    async fn remove_entry(&self, at: &CollectionHandle<'_>, entry: &SharedIndex) -> EngineResult<()> {
        let mut filter = doc! { "_id": object_id(at.organization.id.as_bytes()) };
        let list = format!("{}.indexes", field_of(at.name));
        filter.insert(format!("{list}.id"), entry.id);
        let update = doc! { "$pull": { list: { "id": entry.id } } };
        self.connection.call(self.shared_containers.collection().update_one(filter, update)).await.map(|_| ())
    }

    pub(super) async fn delete_shared_index(
        &self,
        at: &mut CollectionHandle<'_>,
        name: &IndexName,
    ) -> EngineResult<bool> {
        let Some(share) = &at.share else { return Ok(false) };
        let Some(entry) = share.indexes.iter().find(|entry| entry.index.name == *name) else {
            return Ok(false);
        };
        let was_there = self.set_state(at, &share.key, entry, IndexState::Dropping).await?;
        self.drop_entry(at, entry).await?;
        Ok(was_there)
    }

    /// Finishes the drop of an index that is marked so.
    async fn drop_entry(&self, at: &CollectionHandle<'_>, entry: &SharedIndex) -> EngineResult<()> {
        self.drop_own_index(entry).await?;
        self.remove_entry(at, entry).await?;
        if entry.is_common() { self.drop_unlisted(&entry.physical_name()).await } else { Ok(()) }
    }

    /// Drops the index of the server's that belongs to an entry which is not listed any more.
    pub(super) async fn drop_index_of(&self, entry: &SharedIndex) -> EngineResult<()> {
        if entry.is_common() {
            return self.drop_unlisted(&entry.physical_name()).await;
        }
        self.drop_own_index(entry).await
    }

    /// Drops the index of the server's that was made for the entry alone.
    async fn drop_own_index(&self, entry: &SharedIndex) -> EngineResult<()> {
        if entry.is_common() { Ok(()) } else { self.drop_physical_index(&entry.physical_name()).await }
    }

    /// Drops an index of the server's, unless somebody lists it. Who has come to list it since may have found it there
    /// still, and gets it again.
    async fn drop_unlisted(&self, name: &str) -> EngineResult<()> {
        if self.listed_indexes().await?.contains_key(name) {
            return Ok(());
        }
        self.drop_physical_index(name).await?;
        match self.listed_indexes().await?.remove(name) {
            Some(specification) => self.make_physical_index(&specification).await,
            None => Ok(()),
        }
    }

    /// The definitions of the indexes that shares list and do not drop, by what they are called on the server.
    async fn listed_indexes(&self) -> EngineResult<BTreeMap<String, Document>> {
        let all = self.shared_containers.collection().find(doc! {}).hint(Hint::Name("_id_".to_owned()));
        let mut containers = self.connection.call(all).await?;
        let mut listed = BTreeMap::new();
        while self.connection.call(containers.advance()).await? {
            let container = containers.deserialize_current()?;
            let Ok(id) = container.get_object_id("_id") else { continue };
            let id = OrganizationId::from_bytes(id.bytes());
            for share in shares_in(&container).values() {
                for entry in share.indexes.iter().filter(|entry| entry.state != IndexState::Dropping) {
                    listed.insert(entry.physical_name(), entry.specification(id, &share.key));
                }
            }
        }
        Ok(listed)
    }

    async fn make_physical_index(&self, specification: &Document) -> EngineResult<()> {
        let create = self
            .connection
            .server()
            .durably(doc! { "createIndexes": SHARED_DOCUMENTS, "indexes": [specification] });
        self.connection
            .call_within(BUILDING, self.connection.server().database().run_command(create))
            .await
            .map(|_| ())
    }

    async fn drop_physical_index(&self, name: &str) -> EngineResult<()> {
        let drop = self.connection.server().durably(doc! { "dropIndexes": SHARED_DOCUMENTS, "index": name });
        match self.connection.call(self.connection.server().database().run_command(drop)).await {
            Ok(_) | Err(EngineError::Answered { code: INDEX_NOT_FOUND, .. }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Drops the indexes that a share has for itself, before it goes.
    pub(crate) async fn drop_indexes_of(&self, id: OrganizationId) -> EngineResult<()> {
        let container = doc! { "_id": object_id(id.as_bytes()) };
        let Some(container) =
            self.connection.call(self.shared_containers.collection().find_one(container)).await?
        else {
            return Ok(());
        };
        for share in shares_in(&container).values() {
            for entry in &share.indexes {
                self.drop_own_index(entry).await?;
            }
        }
        Ok(())
    }

    /// Drops the indexes that no share has any more, and makes those common ones again that are missing. Those of the
    /// server are listed before the shares are: an index is made after its entry.
    pub(crate) async fn tidy_shared_indexes(&self) -> EngineResult<()> {
        let there = self.physical_indexes().await?;
        let listed = self.listed_indexes().await?;
        let is_ours = |name: &String| name.starts_with(COMMON) || name.starts_with(OWN);
        for name in there.iter().filter(|name| is_ours(name) && !listed.contains_key(*name)) {
            tracing::info!(index = name, "drops an index that no organization has any more");
            self.drop_unlisted(name).await?;
        }
        for (name, specification) in &listed {
            if name.starts_with(COMMON) && !there.contains(name) {
                self.make_physical_index(specification).await?;
            }
        }
        Ok(())
    }
}
