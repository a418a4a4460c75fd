//! One set of collections for many organizations: each document has its organization's id, which comes first
//! in every index and, by [`of`], in every query.

use super::metadata;
use crate::MongoDb;
use crate::document::object_id;
use crate::engine_error::EngineResult;
use mongodb::bson::{Document, doc};
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::store::NewContainer;

/// What finds the documents of that organization and no others.
fn of(id: OrganizationId) -> Document {
    doc! { "org_id": object_id(id.as_bytes()) }
}

impl MongoDb {
    pub(super) async fn create_share(&self, container: &NewContainer) -> EngineResult<()> {
        let first = metadata(container.organization_id, container.created_at);
        self.shared_containers.insert(first).await.map(|_| ())
    }

    pub(super) async fn count_share(&self, id: OrganizationId) -> EngineResult<u64> {
        let first = doc! { "_id": object_id(id.as_bytes()) };
        if self.connection.call(self.shared_containers.collection().find_one(first)).await?.is_none() {
            return Err(Error::unavailable("the organization has no share").into());
        }
        self.documents_of(id).await
    }

    /// How many documents the organization has among the others.
    pub(super) async fn documents_of(&self, id: OrganizationId) -> EngineResult<u64> {
        self.connection.call(self.shared_documents.collection().count_documents(of(id))).await
    }

    /// The documents first, so that a share that is there says that there is still something to do.
    pub(super) async fn drop_share(&self, id: OrganizationId) -> EngineResult<()> {
        self.shared_documents.delete_all(&of(id)).await?;
        self.drop_indexes_of(id).await?;
        let first = doc! { "_id": object_id(id.as_bytes()) };
        self.connection.call(self.shared_containers.collection().delete_one(first)).await.map(|_| ())
    }
}
