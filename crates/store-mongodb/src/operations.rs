//! The log of finished operations.

use crate::connection::Connection;
use crate::names::OPERATIONS;
use crate::record_codec::{encode, object_id};
use crate::records::{Records, with_event};
use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use tenantry_domain::Result;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::ids::{OperationId, OrganizationId};
use tenantry_domain::operation::OperationRecord;
use tenantry_domain::store::{self, InsertOutcome};

/// See [`store::Operations`].
pub(crate) struct Operations {
    records: Records,
}

impl Operations {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, OPERATIONS) }
    }
}

#[async_trait]
impl store::Operations for Operations {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_operation(
        &self,
        record: &OperationRecord,
        event: Option<&AuditEvent>,
    ) -> Result<InsertOutcome> {
        Ok(self.records.insert(with_event(encode(record)?, event)?).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_operation(&self, id: OperationId) -> Result<Option<OperationRecord>> {
        Ok(self.records.find_one(doc! { "_id": object_id(id.as_bytes()) }).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_operations(&self, before: Option<OperationId>, limit: u32) -> Result<Vec<OperationRecord>> {
        self.list(doc! {}, before, limit).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn list_operations_of(
        &self,
        organization_id: OrganizationId,
        before: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<OperationRecord>> {
        self.list(doc! { "organization_id": object_id(organization_id.as_bytes()) }, before, limit).await
    }
}

impl Operations {
    /// Those that match `filter`, newest first.
    async fn list(
        &self,
        mut filter: Document,
        before: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<OperationRecord>> {
        if let Some(before) = before {
            filter.insert("_id", doc! { "$lt": object_id(before.as_bytes()) });
        }
        Ok(self.records.list(self.records.collection().find(filter).sort(doc! { "_id": -1 }), limit).await?)
    }
}
