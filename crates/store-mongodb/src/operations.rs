//! The log of finished operations.

use super::MongoDb;
use super::document::{encode, object_id};
use async_trait::async_trait;
use mongodb::bson::doc;
use tenantry_domain::Result;
use tenantry_domain::ids::{OperationId, OrganizationId};
use tenantry_domain::operation::OperationRecord;
use tenantry_domain::store::{InsertOutcome, Operations};

#[async_trait]
impl Operations for MongoDb {
    async fn insert_operation(&self, record: &OperationRecord) -> Result<InsertOutcome> {
        Ok(self.insert(&self.operations, encode(record)?).await?)
    }

    async fn get_operation(&self, id: OperationId) -> Result<Option<OperationRecord>> {
        Ok(self.find_one(&self.operations, doc! { "_id": object_id(id.as_bytes()) }).await?)
    }

    async fn list_operations_of(
        &self,
        organization_id: OrganizationId,
        before: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<OperationRecord>> {
        let mut filter = doc! { "organization_id": object_id(organization_id.as_bytes()) };
        if let Some(before) = before {
            filter.insert("_id", doc! { "$lt": object_id(before.as_bytes()) });
        }
        Ok(self.list(self.operations.find(filter).sort(doc! { "_id": -1 }), limit).await?)
    }
}
