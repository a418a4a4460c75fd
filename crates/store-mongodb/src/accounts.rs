//! Accounts, and which organizations each is a member of.

use crate::connection::Connection;
use crate::names::ACCOUNTS;
use crate::record_codec::{encode, object_id};
use crate::records::Records;
use async_trait::async_trait;
use mongodb::bson::doc;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::account::Account;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::email::EmailKey;
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::store::{self, InsertOutcome, UpdateOutcome};

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
        Ok(self.records.insert(encode(account)?).await?)
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

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_accounts_being_removed(&self, limit: u32) -> Result<Vec<Arc<Account>>> {
        let find = self.records.collection().find(doc! { "removing_since": { "$exists": true } });
        Ok(self.records.list(find.sort(doc! { "removing_since": 1 }), limit).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn update_account(&self, account: &Account, event: Option<&AuditEvent>) -> Result<UpdateOutcome> {
        Ok(self.records.replace(account.version, encode(account)?, &[], event).await?)
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete_account(&self, id: AccountId, version: u64) -> Result<UpdateOutcome> {
        Ok(self.records.delete(object_id(id.as_bytes()), version).await?)
    }
}
