//! Documents of an organization.

use super::Sqlite;
use async_trait::async_trait;
use std::time::Duration;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::document::{DocumentId, Revision, StoredDocument};
use tenantry_domain::filter::Filter;
use tenantry_domain::organization::Organization;
use tenantry_domain::query::{Counted, Deleted, DocumentQuery, Found};
use tenantry_domain::store::{Documents, Written};
use tenantry_domain::{Error, Result};

fn missing<T>() -> Result<T> {
    Err(Error::internal("not built yet"))
}

#[async_trait]
impl Documents for Sqlite {
    async fn insert_documents(
        &self,
        _: &Organization,
        _: &CollectionName,
        _: Vec<StoredDocument>,
    ) -> Result<Vec<Result<()>>> {
        missing()
    }
    async fn get_document(
        &self,
        _: &Organization,
        _: &CollectionName,
        _: &DocumentId,
    ) -> Result<Option<StoredDocument>> {
        missing()
    }
    async fn update_document(
        &self,
        _: &Organization,
        _: &CollectionName,
        _: StoredDocument,
        _: Revision,
    ) -> Result<Written> {
        missing()
    }
    async fn delete_document(
        &self,
        _: &Organization,
        _: &CollectionName,
        _: &DocumentId,
        _: Option<Revision>,
    ) -> Result<Written> {
        missing()
    }
    async fn find_documents(&self, _: &Organization, _: &CollectionName, _: &DocumentQuery) -> Result<Found> {
        missing()
    }
    async fn count_matching(
        &self,
        _: &Organization,
        _: &CollectionName,
        _: &Filter,
        _: Duration,
    ) -> Result<Counted> {
        missing()
    }
    async fn delete_matching(
        &self,
        _: &Organization,
        _: &CollectionName,
        _: &Filter,
        _: Duration,
    ) -> Result<Deleted> {
        missing()
    }
}
