//! Accounts, and which organizations each is a member of.
//!
//! An account that has roles which organizations have defined has a field with them, to be found by.

use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::names::ACCOUNTS;
use crate::record_codec::{encode, object_id};
use crate::records::{GONE, Records};
use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use serde::Deserialize;
use std::sync::Arc;
use tenantry_domain::account::{Account, MemberRecord, Membership};
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::email::{EmailAddress, EmailKey};
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::role::RoleName;
use tenantry_domain::store::{self, InsertOutcome, UpdateOutcome};
use tenantry_domain::{Error, Result};

/// The field with the organization and the name of each role that an organization has defined.
pub(crate) const OWN_ROLES: &str = "own_roles";

/// See [`store::Accounts`].
pub(crate) struct Accounts {
    records: Records,
}

impl Accounts {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, ACCOUNTS) }
    }
}

#[async_trait]
impl store::Accounts for Accounts {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert_account(&self, account: &Account) -> Result<InsertOutcome> {
        Ok(self.records.insert(document(account)?).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn get_account(&self, id: AccountId) -> Result<Option<Arc<Account>>> {
        Ok(self.records.find_one(doc! { "_id": object_id(id.as_bytes()) }).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn find_account(&self, email: &EmailKey) -> Result<Option<Arc<Account>>> {
        Ok(self.records.find_one(doc! { "email_key": email.as_str() }).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn find_duplicate_account(&self, mailbox: &EmailKey) -> Result<Option<Arc<Account>>> {
        let (from, to) = mailbox.duplicates();
        Ok(self.records.find_one(doc! { "email_key": { "$gte": from, "$lt": to } }).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn list_accounts_of(
        &self,
        organization_id: OrganizationId,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<Arc<Account>>> {
        let find = self.records.collection().find(members_of(organization_id, after));
        Ok(self.records.list(find.sort(doc! { "_id": 1 }), limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn list_account_ids_of(
        &self,
        organization_id: OrganizationId,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountId>> {
        let find = self.records.collection().find(members_of(organization_id, after));
        let find = find.projection(doc! { "_id": 1 }).sort(doc! { "_id": 1 });
        let found = self.records.documents(find, limit).await?;
        Ok(found.iter().map(account_id).collect::<EngineResult<_>>()?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn get_members(
        &self,
        organization_id: OrganizationId,
        accounts: &[AccountId],
    ) -> Result<Vec<MemberRecord>> {
        let ids: Vec<_> = accounts.iter().map(|id| object_id(id.as_bytes())).collect();
        let find = self.records.collection().find(doc! { "_id": { "$in": ids } });
        let find = find.projection(MemberDocument::projection(organization_id));
        let limit = u32::try_from(accounts.len()).map_err(Error::internal)?;
        let found: Vec<MemberDocument> = self.records.list(find, limit).await?;
        let mut members: Vec<MemberRecord> = found.into_iter().filter_map(MemberDocument::record).collect();
        members.sort_by_key(|member| accounts.iter().position(|id| *id == member.account_id));
        Ok(members)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization_id))]
    async fn is_role_used(&self, organization_id: OrganizationId, role: RoleName) -> Result<bool> {
        Ok(self.records.exists(doc! { OWN_ROLES: own_role(organization_id, role) }).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_accounts_being_removed(&self, limit: u32) -> Result<Vec<Arc<Account>>> {
        let find = self.records.collection().find(doc! { "removing_since": { "$exists": true } });
        Ok(self.records.list(find.sort(doc! { "removing_since": 1 }), limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn update_account(&self, account: &Account, event: Option<&AuditEvent>) -> Result<UpdateOutcome> {
        Ok(self.records.replace(account.version, document(account)?, &[], event).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_account(&self, id: AccountId, version: u64) -> Result<UpdateOutcome> {
        Ok(self.records.delete(object_id(id.as_bytes()), version).await?)
    }
}

/// The part of an account's document that a member of one organization needs.
#[derive(Deserialize)]
struct MemberDocument {
    id: AccountId,
    email: EmailAddress,
    removing_since: Option<Timestamp>,
    version: u64,
    #[serde(default)]
    memberships: Vec<Membership>,
}

impl MemberDocument {
    fn projection(organization_id: OrganizationId) -> Document {
        let membership = doc! { "organization_id": object_id(organization_id.as_bytes()) };
        doc! {
            "email": 1, "removing_since": 1, "version": 1, GONE: 1, "memberships": { "$elemMatch": membership },
        }
    }

    fn record(self) -> Option<MemberRecord> {
        let Self { id, email, removing_since, version, memberships } = self;
        let membership = memberships.into_iter().next()?;
        Some(MemberRecord { account_id: id, email, removing_since, version, membership })
    }
}

fn members_of(organization_id: OrganizationId, after: Option<AccountId>) -> Document {
    let mut filter = doc! { "memberships.organization_id": object_id(organization_id.as_bytes()) };
    if let Some(after) = after {
        filter.insert("_id", doc! { "$gt": object_id(after.as_bytes()) });
    }
    filter
}

fn account_id(document: &Document) -> EngineResult<AccountId> {
    let id = document.get_object_id("_id").map_err(Error::internal)?;
    Ok(AccountId::from_bytes(id.bytes()))
}

fn document(account: &Account) -> EngineResult<Document> {
    let mut document = encode(account)?;
    let own_roles: Vec<String> = account
        .memberships
        .iter()
        .filter_map(|membership| Some(own_role(membership.organization_id, membership.role.own_name()?)))
        .collect();
    if !own_roles.is_empty() {
        document.insert(OWN_ROLES, own_roles);
    }
    Ok(document)
}

fn own_role(organization_id: OrganizationId, role: RoleName) -> String {
    format!("{organization_id}/{role}")
}
