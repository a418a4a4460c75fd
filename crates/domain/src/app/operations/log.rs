//! Operations for clients to watch: those under way and those in the log.

use crate::app::auth::{Auth, Operator, OrganizationRef, Principal};
use crate::error::{ErrorCode, Result};
use crate::ids::{AccountId, OperationId, OrganizationId};
use crate::limits::{LOG_PAGE_EXAMINED, PAGE_MAX_ITEMS};
use crate::operation::{Actor, OperationKind, OperationRecord, OperationState};
use crate::page::{Page, PageLimit};
use crate::permission::Permission;
use crate::store::{self, OrganizationQuery, Store};
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

/// Which operations of all organizations to list.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Only those of this organization, which may be deleted.
    pub organization: Option<OrganizationRef>,
    /// Only those of this kind.
    pub kind: Option<OperationKind>,
    /// Only those of this state.
    pub state: Option<OperationState>,
    /// Only those older than this one.
    pub before: Option<OperationId>,
}

impl LogQuery {
    /// How many records are read for a page of `limit`.
    const fn examined(&self, limit: PageLimit) -> u32 {
        if self.kind.is_none() && self.state.is_none() { limit.items() } else { LOG_PAGE_EXAMINED }
    }

    fn selects(&self, record: &OperationRecord) -> bool {
        self.kind.is_none_or(|kind| record.kind == kind)
            && self.state.is_none_or(|state| record.state == state)
    }

    /// The page of those that it selects among the records `found`, one more than may be examined if there are more. It
    /// may have fewer items than `limit`, and still not be the last.
    fn page(&self, mut found: Vec<OperationRecord>, limit: PageLimit) -> Page<OperationRecord, OperationId> {
        let examined = self.examined(limit) as usize;
        let has_more = found.len() > examined;
        found.truncate(examined);
        let last = found.last().map(|record| record.id).filter(|_| has_more);
        found.retain(|record| self.selects(record));
        let page = Page::of(found, limit, |record| record.id);
        Page { next: page.next.or(last), ..page }
    }
}

impl Operations {
    pub(in crate::app) fn new(store: &Store, auth: &Arc<Auth>) -> Self {
        Self { log: store.operations.clone(), organizations: store.organizations.clone(), auth: auth.clone() }
    }

    /// The right to the log of that organization: the operator's, also when it is deleted (by its id also when it is
    /// gone), and that of callers with the permission `audit:read`.
    ///
    /// # Errors
    /// `organization_not_found`, `role_insufficient`, `permission_missing`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn allow_log(&self, caller: &Principal, which: &OrganizationRef) -> Result<LogAccess> {
        if let Principal::Operator(_) = caller {
            return Ok(LogAccess(self.resolve(which).await?));
        }
        let organization = self.auth.visible(caller, which).await?;
        caller.require(Permission::AuditRead)?;
        Ok(LogAccess(organization.id))
    }

    /// The operation of that id, for the operator or those who may change its organization, or who creates it.
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
                let is_of_own_organization = member.require(Permission::OrganizationsWrite).is_ok()
                    && record.organization_id == member.organization.id;
                is_of_own_organization || is_own_create(record, member.account.id)
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
        let found = self.list_of(access.0, before, limit.items() + 1).await?;
        Ok(Page::of(found, limit, |record| record.id))
    }

    /// The finished operations of all organizations that `query` selects, newest first.
    ///
    /// # Errors
    /// `organization_not_found` for one that there never was.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_all_operations(
        &self,
        _: Operator,
        query: &LogQuery,
        limit: PageLimit,
    ) -> Result<Page<OperationRecord, OperationId>> {
        let wanted = query.examined(limit) + 1;
        let found = match &query.organization {
            Some(which) => self.list_of(self.resolve(which).await?, query.before, wanted).await?,
            None => self.log.list_operations(query.before, wanted).await?,
        };
        Ok(query.page(found, limit))
    }

    async fn list_of(
        &self,
        id: OrganizationId,
        before: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<OperationRecord>> {
        let found = self.log.list_operations_of(id, before, limit).await?;
        // Every organization that ever existed has at least its create in the log.
        if found.is_empty() && before.is_none() {
            self.organizations.get_organization(id).await?.ok_or(ErrorCode::OrganizationNotFound)?;
        }
        Ok(found)
    }

    /// The organization that the operator means: by an id any that ever was, by an identifier the one that has it, or
    /// else the one that had it and was deleted last.
    async fn resolve(&self, which: &OrganizationRef) -> Result<OrganizationId> {
        let identifier = match which {
            OrganizationRef::Id(id) => return Ok(*id),
            OrganizationRef::Identifier(identifier) => identifier,
        };
        if let Some(live) = self.organizations.find_organization(identifier).await? {
            return Ok(live.id);
        }
        let query = OrganizationQuery {
            identifier_prefix: Some(identifier.to_string()),
            show_deleted: true,
            ..OrganizationQuery::default()
        };
        // In the order of identifiers, so those that had this one come first.
        let found = self.organizations.list_organizations(&query, PAGE_MAX_ITEMS).await?;
        let deleted = found.iter().filter(|organization| which.names(organization));
        let last = deleted.max_by_key(|organization| organization.deleted_at);
        last.map(|organization| organization.id).ok_or_else(|| ErrorCode::OrganizationNotFound.into())
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

/// Whether it is the create of an organization by that account, which is signed in elsewhere while it runs.
fn is_own_create(record: &OperationRecord, account: AccountId) -> bool {
    record.kind == OperationKind::Create && record.actor == Actor::Account(account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn record(number: u8, kind: OperationKind) -> OperationRecord {
        OperationRecord {
            id: OperationId::from_bytes([number; 12]),
            organization_id: OrganizationId::from_bytes([1; 12]),
            kind,
            state: OperationState::Succeeded,
            actor: Actor::Operator,
            done: 1,
            steps: 1,
            refused: None,
            documents: None,
            member: None,
            role: None,
            imported: None,
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: None,
        }
    }

    /// A filter that leaves nearly everything out ends a page where the examined records end, and says where to go on.
    #[test]
    fn log_page_of_filter_goes_on_after_examined_records() {
        let limit = PageLimit::parse("2").unwrap();
        let query = LogQuery { kind: Some(OperationKind::Purge), ..LogQuery::default() };
        let examined = LOG_PAGE_EXAMINED as usize;
        let mut found: Vec<_> = (0..=examined).map(|_| record(9, OperationKind::Create)).collect();
        found[examined - 1] = record(7, OperationKind::Rename);
        let page = query.page(found.clone(), limit);
        assert_eq!((page.items.len(), page.next), (0, Some(OperationId::from_bytes([7; 12]))));
        found.truncate(examined);
        assert_eq!(query.page(found.clone(), limit).next, None);
        for (index, number) in [(0, 3), (1, 2), (2, 1)] {
            found[index] = record(number, OperationKind::Purge);
        }
        let page = query.page(found, limit);
        assert_eq!(page.items.iter().map(|record| record.id.as_bytes()[0]).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(page.next, Some(OperationId::from_bytes([2; 12])));
    }

    #[test]
    fn log_page_without_filter_has_limit_items() {
        let (limit, query) = (PageLimit::parse("2").unwrap(), LogQuery::default());
        let found =
            |count: u8| (0..count).rev().map(|number| record(number, OperationKind::Create)).collect();
        let page = query.page(found(3), limit);
        assert_eq!((page.items.len(), page.next), (2, Some(OperationId::from_bytes([1; 12]))));
        assert_eq!(query.page(found(2), limit).next, None);
    }
}
