//! The port of API keys.

use super::{BoundedInsert, UpdateOutcome};
use crate::api_key::{ApiKey, ApiKeyOwner};
use crate::audit::AuditEvent;
use crate::error::Result;
use crate::ids::{ApiKeyId, OrganizationId};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;

/// Records of API keys.
#[async_trait]
pub trait ApiKeys: Send + Sync {
    /// Adds a record, unless its owner has `limit` keys already, however many are added at the same moment.
    async fn insert_api_key(
        &self,
        key: &ApiKey,
        limit: u32,
        event: Option<&AuditEvent>,
    ) -> Result<BoundedInsert>;

    /// The record of that id, expired or not.
    async fn get_api_key(&self, id: ApiKeyId) -> Result<Option<Arc<ApiKey>>>;

    /// Like [`Self::get_api_key`], but may return a recent record.
    async fn get_recent_api_key(&self, id: ApiKeyId) -> Result<Option<Arc<ApiKey>>> {
        self.get_api_key(id).await
    }

    /// Up to `limit` keys of that owner in the order of their ids, after `after`.
    async fn list_api_keys(
        &self,
        owner: ApiKeyOwner,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<Arc<ApiKey>>>;

    /// Replaces the previous version by `key`; its time of last use stays as it is stored.
    async fn update_api_key(&self, key: &ApiKey, event: Option<&AuditEvent>) -> Result<UpdateOutcome>;

    /// Notes that the key was used at `at`, unless a later use is noted. The version stays; a missing record
    /// is not an error.
    async fn touch_api_key(&self, id: ApiKeyId, at: Timestamp) -> Result<()>;

    /// Removes the record; whether there was one.
    async fn delete_api_key(&self, id: ApiKeyId, event: Option<&AuditEvent>) -> Result<bool>;

    /// Removes up to `limit` keys of that organization; returns their ids.
    async fn delete_api_keys_of(&self, organization_id: OrganizationId, limit: u32) -> Result<Vec<ApiKeyId>>;
}
