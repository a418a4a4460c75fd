//! Collections of an organization and their indexes.

pub(super) mod catalog;
mod collection_schemas;
mod index_build;
pub(super) mod index_builds;
mod indexes;
pub(super) mod recent_schemas;
mod records;
pub(super) mod removal;
pub(super) mod scope;
pub(super) mod stored_index;

use super::Sqlite;
use super::containers::tenant_db::Container;
use async_trait::async_trait;
use scope::Scope;
use std::sync::Arc;
use tenantry_documents::document::EntryBudget;
use tenantry_documents::index::{Index, IndexName};
use tenantry_documents::schema::SchemaDefinition;
use tenantry_domain::Result;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::{Organization, Usage};
use tenantry_domain::store::{CollectionInfo, Collections, InsertOutcome, SchemaChange};

#[async_trait]
impl Collections for Sqlite {
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn list_collections(
        &self,
        organization: &Organization,
        after: Option<&CollectionName>,
        limit: u32,
    ) -> Result<Vec<CollectionInfo>> {
        let after = after.cloned();
        let container = self.container(organization).await?;
        container.scan(move |scope| records::list(scope.connection, after.as_ref(), limit)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn list_unnamed_collections(&self, organization: &Organization) -> Result<Vec<String>> {
        let container = self.container(organization).await?;
        container.scan(move |scope| records::list_unnamed(scope.connection)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn get_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<CollectionInfo>> {
        let container = self.container(organization).await?;
        container.point(|connection| records::get(connection, name)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn insert_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<InsertOutcome> {
        let (name, quota) = (name.clone(), organization.quota);
        let container = self.container_with_file(organization).await?;
        container.write(move |scope| records::insert(scope, &name, quota)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn delete_collection(&self, organization: &Organization, name: &CollectionName) -> Result<bool> {
        let name = name.clone();
        let container = self.container_with_file(organization).await?;
        let deleted = container.write(move |scope| records::delete(scope, &name)).await;
        container.schemas().invalidate();
        let deleted = deleted?;
        Ok(clear_later(&container, deleted))
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn list_indexes(&self, organization: &Organization, name: &CollectionName) -> Result<Vec<Index>> {
        let name = name.clone();
        let container = self.container(organization).await?;
        container.scan(move |scope| indexes::list(scope, &name)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn insert_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
    ) -> Result<InsertOutcome> {
        let container = self.container_with_file(organization).await?;
        index_build::build(&container, name, index, organization.quota, EntryBudget::of_document()).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn restore_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
    ) -> Result<InsertOutcome> {
        let container = self.container_with_file(organization).await?;
        index_build::build(&container, name, index, organization.quota, EntryBudget::unbounded()).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn delete_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &IndexName,
    ) -> Result<bool> {
        let (name, index) = (name.clone(), index.clone());
        let container = self.container_with_file(organization).await?;
        let deleted = container.write(move |scope| indexes::delete(scope, &name, &index)).await?;
        Ok(clear_later(&container, deleted))
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn get_schema(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<Arc<SchemaDefinition>>> {
        let container = self.container(organization).await?;
        container.glance(|scope| Ok(scope.collection(name)?.schema.clone())).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn get_recent_schema(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<Arc<SchemaDefinition>>> {
        let container = self.container(organization).await?;
        let changes = match container.schemas().get(name) {
            Ok(schema) => return Ok(schema),
            Err(changes) => changes,
        };
        let schema = container.glance(|scope| Ok(scope.collection(name)?.schema.clone())).await?;
        container.schemas().insert(name, schema.clone(), changes);
        Ok(schema)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn set_schema(
        &self,
        organization: &Organization,
        name: &CollectionName,
        schema: Option<&SchemaDefinition>,
        expected: Option<&SchemaDefinition>,
    ) -> Result<SchemaChange> {
        let (name, schema, expected) = (name.clone(), schema.cloned(), expected.cloned());
        let container = self.container_with_file(organization).await?;
        let set =
            move |scope: Scope<'_>| collection_schemas::set(scope, &name, schema.as_ref(), expected.as_ref());
        let change = container.write(set).await;
        container.schemas().invalidate();
        change
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn get_usage(&self, organization: &Organization) -> Result<Usage> {
        let container = self.container(organization).await?;
        container.scan(|scope| records::usage(scope.connection)).await
    }
}

/// Starts the removal of leftover data if anything was removed; returns whether it was.
fn clear_later(container: &Arc<Container>, removed: Option<bool>) -> bool {
    if removed == Some(true) {
        container.clear_remains();
    }
    removed.is_some()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::statement::Statement;
    use super::{catalog, collection_schemas, index_build, indexes, records, removal, scope};

    pub(crate) const STATEMENTS: [&[Statement]; 7] = [
        index_build::STATEMENTS,
        catalog::STATEMENTS,
        collection_schemas::STATEMENTS,
        scope::STATEMENTS,
        indexes::STATEMENTS,
        records::STATEMENTS,
        removal::STATEMENTS,
    ];
}
