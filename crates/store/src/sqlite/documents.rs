//! Documents of an organization.

mod change;
mod entries;
mod find;
mod walk;

pub(super) use change::used;
pub(super) use entries::{Keys, is_taken, taken};

use super::Sqlite;
use super::containers::open::Scope;
use super::failure::Attempt;
use async_trait::async_trait;
use std::time::Duration;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::document::{DocumentId, Revision, StoredDocument};
use tenantry_domain::filter::Filter;
use tenantry_domain::organization::Organization;
use tenantry_domain::query::{Counted, Deleted, DocumentQuery, Found};
use tenantry_domain::store::{Documents, Written};
use tenantry_domain::{ErrorCode, Result};
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
        let (name, query, time) = (collection.clone(), query.clone(), query.time);
        let find = move |scope: Scope<'_>, deadline| find::find(scope, &name, &query, deadline);
        self.read(organization, time, find).await
    }

    async fn count_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<Counted> {
        let (name, filter) = (collection.clone(), filter.clone());
        let count = move |scope: Scope<'_>, deadline| find::count(scope, &name, &filter, deadline);
        self.read(organization, time, count).await
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

impl Sqlite {
    /// Reads at once and on this thread if that is soon done, else from the beginning on a blocking thread. Most queries
    /// are for few documents that an index leads to, and another thread would take longer to begin than they take.
    async fn read<T: Send + 'static>(
        &self,
        organization: &Organization,
        time: Duration,
        read: impl Fn(Scope<'_>, Deadline) -> Attempt<T> + Send + 'static,
    ) -> Result<T> {
        let container = self.container(organization).await?;
        match container.glance(|scope| read(scope, Deadline::of_a_glance())).await {
            Err(error) if error.code() == ErrorCode::QueryTooSlow => {
                container.scan(move |scope| read(scope, Deadline::after(time))).await
            }
            done => done,
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
