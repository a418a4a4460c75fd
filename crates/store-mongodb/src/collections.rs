//! Collections of an organization and their indexes.
//!
//! In the placements `collection` and `database` they are collections and indexes of the server's; what is asked of
//! one carries its UUID ([`command`]). In the placement `shared` the organization's container lists them ([`shared`]).
//! What a newcomer gets wrong: programs of the organization's own make and drop collections and indexes, too, so no list
//! of ours says what there is where the server can be asked.

mod command;
mod handle;
mod indexes;
mod info;
mod make;
mod metadata_document;
mod scan_hint;
mod shared;
mod shared_indexes;

pub(super) use command::{Amount, Command, Sieve};
pub(super) use handle::{CollectionHandle, UuidCache};
pub(super) use scan_hint::{CachedIndexes, INDEXES_GOOD_FOR};
pub(super) use shared::SharedCollection;

use super::MongoDb;
use super::engine_error::EngineError;
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use tenantry_documents::document::EntryBudget;
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::{Error, ErrorCode, Result};
use tenantry_domain::organization::{Organization, Placement, Usage};
use tenantry_domain::store::{CollectionInfo, Collections, InsertOutcome};

/// Collections that are asked about at the same time.
const AT_ONCE: usize = 8;

#[async_trait]
impl Collections for MongoDb {
    async fn list_collections(
        &self,
        organization: &Organization,
        after: Option<&CollectionName>,
        limit: u32,
    ) -> Result<Vec<CollectionInfo>> {
        let mut names = self.collection_names_of(organization).await?;
        names.retain(|name| after.is_none_or(|after| name > after));
        names.truncate(limit as usize);
        if organization.placement == Placement::Shared {
            return Ok(self.shared_info(organization, names).await?);
        }
        let mut infos = Vec::with_capacity(names.len());
        for name in &names {
            infos.push(self.get_collection(organization, name));
        }
        // One that is gone by now is left out.
        let infos = stream::iter(infos).buffered(AT_ONCE).try_collect::<Vec<_>>().await?;
        Ok(infos.into_iter().flatten().collect())
    }

    async fn list_unnamed_collections(&self, organization: &Organization) -> Result<Vec<String>> {
        Ok(self.unnamed_collections_of(organization).await?)
    }

    async fn get_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<CollectionInfo>> {
        let mut at = match self.resolve_collection(organization, name).await.map_err(Error::from) {
            Ok(at) => at,
            Err(error) if error.code() == ErrorCode::CollectionNotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if at.share.is_some() {
            return Ok(self.shared_info(organization, vec![name.clone()]).await?.pop());
        }
        match self.plain_info(&mut at).await.map_err(Error::from) {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.code() == ErrorCode::CollectionNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn insert_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<InsertOutcome> {
        if name.is_default() {
            return Ok(InsertOutcome::Exists);
        }
        Ok(match organization.placement {
            Placement::Shared => self.insert_shared_collection(organization, name).await?,
            Placement::Collection | Placement::Database => self.make_collection(organization, name).await?,
        })
    }

    async fn delete_collection(&self, organization: &Organization, name: &CollectionName) -> Result<bool> {
        if name.is_default() {
            return Err(ErrorCode::CollectionIsDefault.into());
        }
        let was_there = match organization.placement {
            Placement::Shared => self.delete_shared_collection(organization, name).await?,
            Placement::Collection | Placement::Database => {
                self.drop_collection_of(organization, name).await?
            }
        };
        self.forget_index_bytes(organization);
        self.usage.invalidate(organization).await;
        Ok(was_there)
    }

    async fn list_indexes(&self, organization: &Organization, name: &CollectionName) -> Result<Vec<Index>> {
        let mut at = self.resolve_collection(organization, name).await?;
        Ok(self.indexes_at(&mut at).await?)
    }

    async fn insert_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
    ) -> Result<InsertOutcome> {
        self.make_index(organization, name, index, EntryBudget::of_document()).await
    }

    async fn restore_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
    ) -> Result<InsertOutcome> {
        self.make_index(organization, name, index, EntryBudget::unbounded()).await
    }

    async fn delete_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &IndexName,
    ) -> Result<bool> {
        let mut at = self.resolve_collection(organization, name).await?;
        let was_there = match at.share {
            Some(_) => self.delete_shared_index(&mut at, index).await?,
            None => self.delete_plain_index(&mut at, index).await?,
        };
        self.indexes.forget(&at);
        self.forget_index_bytes(organization);
        if was_there {
            self.usage.invalidate(organization).await;
        }
        Ok(was_there)
    }

    async fn get_usage(&self, organization: &Organization) -> Result<Usage> {
        let collections = self.collection_names_of(organization).await?.len() as u64;
        let size = self.measure_documents(organization).await?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let index_bytes = self.index_bytes_of(organization).await?;
        Ok(Usage { documents: count(size.documents), bytes: count(size.bytes), collections, index_bytes })
    }
}

impl MongoDb {
    async fn make_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
        budget: EntryBudget,
    ) -> Result<InsertOutcome> {
        let mut at = self.resolve_collection(organization, name).await?;
        let inserted = match at.share {
            Some(_) => self.insert_shared_index(&mut at, index, budget).await,
            None => self.insert_plain_index(&mut at, index, budget).await,
        };
        self.indexes.forget(&at);
        self.forget_index_bytes(organization);
        Ok(inserted?)
    }
}

/// Whether there is no such collection.
pub(super) fn is_missing(failure: &EngineError) -> bool {
    matches!(failure, EngineError::Refused(error) if error.code() == ErrorCode::CollectionNotFound)
}
