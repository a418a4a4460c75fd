//! Operations for clients to watch: those under way and those in the log.

use crate::app::auth::{Operator, Principal};
use crate::error::{ErrorCode, Result};
use crate::ids::{OperationId, OrganizationId};
use crate::operation::OperationRecord;
use crate::page::{Page, PageLimit};
use crate::store::{self, Store};
use std::sync::Arc;

/// The log of operations, and those under way.
#[derive(Clone)]
pub struct Operations {
    log: Arc<dyn store::Operations>,
    organizations: Arc<dyn store::Organizations>,
}

impl Operations {
    pub(in crate::app) fn new(store: &Store) -> Self {
        Self { log: store.operations.clone(), organizations: store.organizations.clone() }
    }

    /// The operation with this id, for the operator or an admin of its organization.
    ///
    /// # Errors
    /// `operation_not_found`, also for one of another organization.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_operation(&self, caller: &Principal, id: OperationId) -> Result<OperationRecord> {
        let record = self.get(id).await?.filter(|record| match caller {
            Principal::Operator(_) => true,
            Principal::Member(member) => {
                member.role.is_admin() && record.organization_id == member.organization.id
            }
        });
        record.ok_or_else(|| ErrorCode::OperationNotFound.into())
    }

    /// The finished operations of an organization (which may be gone), newest first.
    ///
    /// # Errors
    /// `organization_not_found` if there never was one.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    pub async fn list_operations(
        &self,
        _: &Operator,
        organization_id: OrganizationId,
        before: Option<OperationId>,
        limit: PageLimit,
    ) -> Result<Page<OperationRecord, OperationId>> {
        let found = self.log.list_operations_of(organization_id, before, limit.items() + 1).await?;
        // Every organization that ever existed has at least its create in the log.
        if found.is_empty() && before.is_none() {
            self.organizations
                .get_organization(organization_id)
                .await?
                .ok_or(ErrorCode::OrganizationNotFound)?;
        }
        Ok(Page::of(found, limit, |record| record.id))
    }

    pub(super) async fn get(&self, id: OperationId) -> Result<Option<OperationRecord>> {
        if let Some(record) = self.log.get_operation(id).await? {
            return Ok(Some(record));
        }
        let holder = self.organizations.find_organization_of_operation(id).await?;
        let running = holder.as_ref().and_then(|organization| {
            let operation = organization.operation.as_deref().filter(|operation| operation.id == id)?;
            Some(OperationRecord::running(organization, operation))
        });
        // Between the two reads it may have finished and moved from the record to the log.
        match running {
            Some(record) => Ok(Some(record)),
            None => self.log.get_operation(id).await,
        }
    }
}
