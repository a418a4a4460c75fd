//! Operations for clients to watch: those under way and those in the log.

use crate::app::auth::{Auth, OrganizationRef, Principal};
use crate::error::{ErrorCode, Result};
use crate::ids::{OperationId, OrganizationId};
use crate::operation::OperationRecord;
use crate::page::{Page, PageLimit};
use crate::permission::Permission;
use crate::store::{self, Store};
use std::sync::Arc;

/// The log of operations, and those under way.
#[derive(Clone)]
pub struct Operations {
    log: Arc<dyn store::Operations>,
    organizations: Arc<dyn store::Organizations>,
    auth: Arc<Auth>,
}

/// Proof of a right to the log of one organization, which may be gone.
pub struct LogAccess(OrganizationId);

impl Operations {
    pub(in crate::app) fn new(store: &Store, auth: &Arc<Auth>) -> Self {
        Self { log: store.operations.clone(), organizations: store.organizations.clone(), auth: auth.clone() }
    }

    /// The right to the log of that organization: the operator's, also when it is gone, and that of callers
    /// with the permission `audit:read`.
    ///
    /// # Errors
    /// `organization_not_found`, `role_insufficient`, `permission_missing`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn allow_log(&self, caller: &Principal, which: &OrganizationRef) -> Result<LogAccess> {
        if let (Principal::Operator(_), OrganizationRef::Id(id)) = (caller, which) {
            return Ok(LogAccess(*id));
        }
        let organization = self.auth.visible(caller, which).await?;
        caller.require(Permission::AuditRead)?;
        Ok(LogAccess(organization.id))
    }

    /// The operation of that id, for the operator or those who may change its organization.
    ///
    /// # Errors
    /// `operation_not_found`, also for one of another organization.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_operation(&self, caller: &Principal, id: OperationId) -> Result<OperationRecord> {
        let record = self.get(id).await?.filter(|record| match caller {
            Principal::Operator(_) => true,
            Principal::Service(service) => {
                let permissions = [Permission::OrganizationsRead, Permission::OrganizationsWrite];
                permissions.iter().any(|permission| service.require(*permission).is_ok())
                    && service.key.covers(record.organization_id)
            }
            Principal::Key(key) => {
                key.require(Permission::OrganizationsWrite).is_ok()
                    && record.organization_id == key.organization.id
            }
            Principal::Member(member) => {
                member.require(Permission::OrganizationsWrite).is_ok()
                    && record.organization_id == member.organization.id
            }
        });
        record.ok_or_else(|| ErrorCode::OperationNotFound.into())
    }

    /// The finished operations of an organization (which may be gone), newest first.
    ///
    /// # Errors
    /// `organization_not_found` if there never was one.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.0))]
    pub async fn list_operations(
        &self,
        access: &LogAccess,
        before: Option<OperationId>,
        limit: PageLimit,
    ) -> Result<Page<OperationRecord, OperationId>> {
        let organization_id = access.0;
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
