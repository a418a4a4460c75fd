//! Collections of an organization and their indexes.

use super::Sqlite;
use async_trait::async_trait;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::index::{Index, IndexName};
use tenantry_domain::organization::{Organization, Usage};
use tenantry_domain::store::{CollectionInfo, Collections, Inserted};
use tenantry_domain::{Error, Result};

fn missing<T>() -> Result<T> {
    Err(Error::internal("not built yet"))
}

#[async_trait]
impl Collections for Sqlite {
    async fn list_collections(
        &self,
        _: &Organization,
        _: Option<&CollectionName>,
        _: u32,
    ) -> Result<Vec<CollectionInfo>> {
        missing()
    }
    async fn get_collection(&self, _: &Organization, _: &CollectionName) -> Result<Option<CollectionInfo>> {
        missing()
    }
    async fn insert_collection(&self, _: &Organization, _: &CollectionName) -> Result<Inserted> {
        missing()
    }
    async fn delete_collection(&self, _: &Organization, _: &CollectionName) -> Result<bool> {
        missing()
    }
    async fn list_indexes(&self, _: &Organization, _: &CollectionName) -> Result<Vec<Index>> {
        missing()
    }
    async fn insert_index(&self, _: &Organization, _: &CollectionName, _: &Index) -> Result<Inserted> {
        missing()
    }
    async fn delete_index(&self, _: &Organization, _: &CollectionName, _: &IndexName) -> Result<bool> {
        missing()
    }
    async fn get_usage(&self, _: &Organization) -> Result<Usage> {
        missing()
    }
}
