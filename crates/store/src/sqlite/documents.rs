//! Documents of an organization.

mod change;
mod entries;
mod find;
mod walk;

pub(super) use change::used;
pub(super) use entries::{Keys, taken};

use super::Sqlite;
use async_trait::async_trait;
use std::time::Duration;
use tenantry_domain::Result;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::document::{DocumentId, Revision, StoredDocument};
use tenantry_domain::filter::Filter;
use tenantry_domain::organization::Organization;
use tenantry_domain::query::{Counted, Deleted, DocumentQuery, Found};
use tenantry_domain::store::{Documents, Written};
use walk::Deadline;

#[async_trait]
impl Documents for Sqlite {
    async fn insert_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        documents: Vec<StoredDocument>,
    ) -> Result<Vec<Result<()>>> {
        let (name, quota) = (collection.clone(), organization.quota);
        let container = self.container(organization).await?;
        container.write(move |scope| change::insert(scope, &name, quota, &documents)).await
    }

    async fn get_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
    ) -> Result<Option<StoredDocument>> {
        let container = self.container(organization).await?;
        container.point(|connection| find::get(connection, collection, id)).await
    }

    async fn update_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        document: StoredDocument,
        expected: Revision,
    ) -> Result<Written> {
        let (name, quota) = (collection.clone(), organization.quota);
        let container = self.container(organization).await?;
        container.write(move |scope| change::update(scope, &name, quota, &document, expected)).await
    }

    async fn delete_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
        expected: Option<Revision>,
    ) -> Result<Written> {
        let (name, id) = (collection.clone(), id.clone());
        let container = self.container(organization).await?;
        container.write(move |scope| change::delete(scope, &name, &id, expected)).await
    }

    async fn find_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        query: &DocumentQuery,
    ) -> Result<Found> {
        let (name, query) = (collection.clone(), query.clone());
        let container = self.container(organization).await?;
        container.scan(move |scope| find::find(scope, &name, &query)).await
    }

    async fn count_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<Counted> {
        let (name, filter) = (collection.clone(), filter.clone());
        let container = self.container(organization).await?;
        container.scan(move |scope| find::count(scope, &name, &filter, time)).await
    }

    /// Finds some and removes them, in turn: the writer looks at each again.
    async fn delete_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<Deleted> {
        let deadline = Deadline::after(time);
        let container = self.container(organization).await?;
        let (mut next, mut documents) = (None, 0);
        loop {
            let (name, wanted) = (collection.clone(), filter.clone());
            let found = container
                .scan(move |scope| find::matching(scope, &name, &wanted, next.as_ref(), deadline))
                .await?;
            if !found.numbers.is_empty() {
                let (name, wanted) = (collection.clone(), filter.clone());
                let numbers = found.numbers;
                documents += container
                    .write(move |scope| change::delete_those(scope, &name, &wanted, &numbers))
                    .await?;
            }
            next = found.next;
            if next.is_none() || deadline.is_over() {
                return Deleted::in_time(documents, next.is_some());
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::statement::Statement;
    use super::{change, entries, find, walk};

    pub(in crate::sqlite) const STATEMENTS: [&[Statement]; 4] =
        [change::STATEMENTS, entries::STATEMENTS, find::STATEMENTS, walk::STATEMENTS];
}
