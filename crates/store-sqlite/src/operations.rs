//! The log of finished operations.

use super::Sqlite;
use super::audit::save_event;
use super::statement::{encode, statements};
use async_trait::async_trait;
use rusqlite::params;
use tenantry_domain::Result;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::ids::{OperationId, OrganizationId};
use tenantry_domain::operation::OperationRecord;
use tenantry_domain::store::{InsertOutcome, Operations};

statements! {
    INSERT = "INSERT INTO operations (id, organization_id, record) VALUES (?1, ?2, ?3) \
        ON CONFLICT (id) DO NOTHING";
    GET = "SELECT record FROM operations WHERE id = ?1";
    LIST = "SELECT record FROM operations WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
    LIST_OF = "SELECT record FROM operations WHERE organization_id = ?1 AND id < ?2 \
        ORDER BY id DESC LIMIT ?3";
}

/// Above every id, which has 12 bytes.
const ABOVE_IDS: &[u8] = &[0xff; 13];

#[async_trait]
impl Operations for Sqlite {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_operation(
        &self,
        record: &OperationRecord,
        event: Option<&AuditEvent>,
    ) -> Result<InsertOutcome> {
        let (record, event) = (record.clone(), event.cloned());
        self.write(move |connection| {
            let row = params![record.id.as_bytes(), record.organization_id.as_bytes(), encode(&record)?];
            if INSERT.execute(connection, row)? == 0 {
                return Ok(InsertOutcome::Exists);
            }
            save_event(connection, event.as_ref())?;
            Ok(InsertOutcome::New)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_operation(&self, id: OperationId) -> Result<Option<OperationRecord>> {
        self.readers.point(move |connection| GET.record(connection, [id.as_bytes()])).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_operations(&self, before: Option<OperationId>, limit: u32) -> Result<Vec<OperationRecord>> {
        self.readers
            .scan(move |connection| {
                let before = before.as_ref().map_or(ABOVE_IDS, |id| id.as_bytes());
                LIST.records(connection, params![before, limit])
            })
            .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn list_operations_of(
        &self,
        organization_id: OrganizationId,
        before: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<OperationRecord>> {
        self.readers
            .scan(move |connection| {
                let before = before.as_ref().map_or(ABOVE_IDS, |id| id.as_bytes());
                LIST_OF.records(connection, params![organization_id.as_bytes(), before, limit])
            })
            .await
    }
}
