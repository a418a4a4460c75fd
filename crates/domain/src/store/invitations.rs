//! The port of invitations.

use super::{BoundedInsert, UpdateOutcome};
use crate::audit::AuditEvent;
use crate::error::Result;
use crate::ids::{InvitationId, OrganizationId};
use crate::invitation::Invitation;
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;

/// Records of invitations. An organization has at most one for each address ([`EmailAddress::key`]).
///
/// [`EmailAddress::key`]: crate::email::EmailAddress::key
#[async_trait]
pub trait Invitations: Send + Sync {
    /// Adds a record, unless its organization has `limit` of them already, however many are added at the same
    /// moment, or one for this address.
    async fn insert_invitation(
        &self,
        invitation: &Invitation,
        limit: u32,
        event: Option<&AuditEvent>,
    ) -> Result<BoundedInsert>;

    /// The record of that id, expired or used or not.
    async fn get_invitation(&self, id: InvitationId) -> Result<Option<Arc<Invitation>>>;

    /// Up to `limit` invitations of that organization in the order of their ids, after `after`.
    async fn list_invitations(
        &self,
        organization_id: OrganizationId,
        after: Option<InvitationId>,
        limit: u32,
    ) -> Result<Vec<Arc<Invitation>>>;

    /// Replaces the previous version by `invitation`, of the same organization and address.
    async fn update_invitation(
        &self,
        invitation: &Invitation,
        event: Option<&AuditEvent>,
    ) -> Result<UpdateOutcome>;

    /// Removes the record if it still has that version.
    async fn delete_invitation(
        &self,
        id: InvitationId,
        version: u64,
        event: Option<&AuditEvent>,
    ) -> Result<UpdateOutcome>;

    /// Removes up to `limit` invitations of that organization; returns how many.
    async fn delete_invitations_of(&self, organization_id: OrganizationId, limit: u32) -> Result<u32>;

    /// Removes up to `limit` invitations that expired before `now`; returns how many.
    async fn delete_expired_invitations(&self, now: Timestamp, limit: u32) -> Result<u32>;
}
