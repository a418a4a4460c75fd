//! Accounts in memory, by id and by e-mail address.

use super::memory::Memory;
use super::records::Records;
use async_trait::async_trait;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::account::{Account, MemberRecord};
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::email::EmailKey;
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::role::RoleName;
use tenantry_domain::store::{Accounts, InsertOutcome, UpdateOutcome};

/// See [`super`].
pub(super) struct CachedAccounts {
    inner: Arc<dyn Accounts>,
    records: Arc<Records<AccountId, Account>>,
    memory: Arc<Memory>,
}

impl CachedAccounts {
    pub(super) fn new(inner: Arc<dyn Accounts>, memory: &Arc<Memory>) -> Self {
        Self { inner, records: Records::new(memory), memory: memory.clone() }
    }

    /// The account that had this address at the last lookup, if it still has it.
    async fn find_cached(&self, email: &EmailKey) -> Result<Option<Arc<Account>>> {
        let Some(holder) = self.memory.holder(&self.memory.email(email)) else { return Ok(None) };
        let id = AccountId::from_bytes(holder);
        let found = self.records.get(id, || self.inner.get_account(id)).await?;
        Ok(found.filter(|found| found.email_key.as_ref() == Some(email)))
    }
}

#[async_trait]
impl Accounts for CachedAccounts {
    async fn insert_account(&self, account: &Account) -> Result<InsertOutcome> {
        self.inner.insert_account(account).await
    }

    async fn get_account(&self, id: AccountId) -> Result<Option<Arc<Account>>> {
        self.records.get(id, || self.inner.get_account(id)).await
    }

    async fn get_recent_account(&self, id: AccountId) -> Result<Option<Arc<Account>>> {
        self.records.get_recent(id, || self.inner.get_account(id)).await
    }

    async fn find_account(&self, email: &EmailKey) -> Result<Option<Arc<Account>>> {
        if let Some(found) = self.find_cached(email).await? {
            return Ok(Some(found));
        }
        let mark = self.records.mark();
        let found = self.inner.find_account(email).await?;
        if let Some(found) = &found {
            self.records.insert_found(found.id, found, mark);
            self.memory.set_holder(self.memory.email(email), found.id.as_bytes());
        }
        Ok(found)
    }

    async fn find_duplicate_account(&self, mailbox: &EmailKey) -> Result<Option<Arc<Account>>> {
        self.inner.find_duplicate_account(mailbox).await
    }

    async fn list_accounts_of(
        &self,
        organization_id: OrganizationId,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<Arc<Account>>> {
        self.inner.list_accounts_of(organization_id, after, limit).await
    }

    async fn list_account_ids_of(
        &self,
        organization_id: OrganizationId,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountId>> {
        self.inner.list_account_ids_of(organization_id, after, limit).await
    }

    async fn get_members(
        &self,
        organization_id: OrganizationId,
        accounts: &[AccountId],
    ) -> Result<Vec<MemberRecord>> {
        if !self.memory.coherence.is_exclusive() {
            return self.inner.get_members(organization_id, accounts).await;
        }
        let mut members = Vec::with_capacity(accounts.len());
        for id in accounts {
            let account = self.get_account(*id).await?;
            members.extend(account.and_then(|account| MemberRecord::of(&account, organization_id)));
            // A record that memory lacks is decoded on this thread.
            tokio::task::consume_budget().await;
        }
        Ok(members)
    }

    async fn is_role_used(&self, organization_id: OrganizationId, role: RoleName) -> Result<bool> {
        self.inner.is_role_used(organization_id, role).await
    }

    async fn list_accounts_being_removed(&self, limit: u32) -> Result<Vec<Arc<Account>>> {
        self.inner.list_accounts_being_removed(limit).await
    }

    async fn update_account(&self, account: &Account, event: Option<&AuditEvent>) -> Result<UpdateOutcome> {
        let account_id = account.id;
        let (inner, account, event) = (self.inner.clone(), account.clone(), event.cloned());
        let update = async move { inner.update_account(&account, event.as_ref()).await };
        self.records.write_one(account_id, update).await
    }

    async fn delete_account(&self, id: AccountId, version: u64) -> Result<UpdateOutcome> {
        let inner = self.inner.clone();
        self.records.write_one(id, async move { inner.delete_account(id, version).await }).await
    }
}
