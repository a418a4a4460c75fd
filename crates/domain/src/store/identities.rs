//! The port of identities.

use super::BoundedInsert;
use crate::audit::AuditEvent;
use crate::error::Result;
use crate::identity::Identity;
use crate::ids::{AccountId, IdentityId};
use async_trait::async_trait;
use std::sync::Arc;

/// Records of identities: the links between accounts and identity providers.
#[async_trait]
pub trait Identities: Send + Sync {
    /// Adds a record, unless its account has `limit` already, however many are added at the same moment.
    /// `Exists` also for a moment after a record of this id was removed.
    async fn insert_identity(
        &self,
        identity: &Identity,
        limit: u32,
        event: Option<&AuditEvent>,
    ) -> Result<BoundedInsert>;

    /// The record of that id.
    async fn get_identity(&self, id: IdentityId) -> Result<Option<Arc<Identity>>>;

    /// Like [`Self::get_identity`], but may return a recent record.
    async fn get_recent_identity(&self, id: IdentityId) -> Result<Option<Arc<Identity>>> {
        self.get_identity(id).await
    }

    /// Up to `limit` identities of that account in the order of their ids.
    async fn list_identities(&self, account_id: AccountId, limit: u32) -> Result<Vec<Arc<Identity>>>;

    /// Removes the record of that id, if it is that account's; whether there was one.
    async fn delete_identity(
        &self,
        id: IdentityId,
        account_id: AccountId,
        event: Option<&AuditEvent>,
    ) -> Result<bool>;
}
