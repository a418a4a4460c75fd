//! Accounts, and which organizations each is a member of.
//!
//! An account that has roles which organizations have defined has a field with them, to be found by.

use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::names::ACCOUNTS;
use crate::record_codec::{encode, object_id};
use crate::records::Records;
use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::account::Account;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::email::EmailKey;
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::role::RoleName;
use tenantry_domain::store::{self, InsertOutcome, UpdateOutcome};

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
        let mut filter = doc! { "memberships.organization_id": object_id(organization_id.as_bytes()) };
        if let Some(after) = after {
            filter.insert("_id", doc! { "$gt": object_id(after.as_bytes()) });
        }
        Ok(self.records.list(self.records.collection().find(filter).sort(doc! { "_id": 1 }), limit).await?)
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
