//! An invitation: the offer of a role in an organization to the person who has an address and the link.

use crate::account::Role;
use crate::email::EmailAddress;
use crate::ids::{AccountId, InvitationId, OperationId, OrganizationId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The use of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationAcceptance {
    /// The operation that used it, so that a repeated step sees its own work.
    pub operation_id: OperationId,
    /// The account that joined.
    pub account_id: AccountId,
    /// When.
    pub accepted_at: Timestamp,
}

/// The record of an invitation. One compare-and-set on `version` changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Never changes.
    pub id: InvitationId,
    /// Into which organization.
    pub organization_id: OrganizationId,
    /// The only address that can use it.
    pub email: EmailAddress,
    /// The role it offers.
    pub role: Role,
    /// The SHA-256 of the secret in its link.
    #[serde(with = "hex::serde")]
    pub secret_hash: [u8; 32],
    /// The account that invites; `None` for the operator or a key.
    pub inviter: Option<AccountId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Its use: an invitation is good for one.
    pub acceptance: Option<InvitationAcceptance>,
    /// Counts the changes of this record.
    pub version: u64,
}
