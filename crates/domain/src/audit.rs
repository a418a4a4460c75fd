//! The audit trail: who did what, in an organization or to the installation.
//!
//! An event rides in the write that makes the change: in the record itself or, of an operation, in its entry in the
//! log. So there is no change without its event, and no event without its change. Soon afterwards it is linked into
//! the chain of its organization ([`chain`]).
//!
//! # Pitfalls
//! The text of an event is stored and hashed as it was written. Nothing may write it again from its fields.

pub mod carried;
pub mod chain;
mod changes;
pub mod checkpoint;
pub mod collect;
mod origin;
mod place;

pub use chain::AuditEntry;
pub use origin::{Origin, RequestOrigin};
pub use place::{AuditChain, AuditHash};

use crate::account::{Account, Role};
use crate::actor::Actor;
use crate::error::{Error, Result};
use crate::ids::{AccountId, ApiKeyId, AuditEventId, Entropy, InvitationId, OrganizationId, SessionId};
use crate::operation::{Operation, OperationKind};
use crate::organization::Organization;
use crate::permission::PermissionSet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

macro_rules! actions {
    ($($name:ident $text:literal $doc:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum AuditAction {
            $(#[doc = $doc] #[serde(rename = $text)] $name,)*
            /// A stored name that is none of these: somebody has changed it, or a later version has written it.
            #[serde(rename = "unknown")]
            Unknown,
        }

        impl AuditAction {
            /// Every action that is written.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Unknown => "unknown",
                }
            }

            /// What it means, for the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $doc,)*
                    Self::Unknown => "The stored name of the action is unreadable.",
                }
            }
        }
    };
}

actions! {
    OrganizationCreated "organization.created" "An organization was created.";
    OrganizationRenamed "organization.renamed" "An organization got another name, or the account that asked for it other credentials.";
    OrganizationUpdated "organization.updated" "The settings of an organization were changed.";
    OrganizationSuspended "organization.suspended" "An organization was suspended.";
    OrganizationReactivated "organization.reactivated" "A suspended organization was reactivated.";
    OrganizationDeleted "organization.deleted" "An organization was deleted; its data is kept until the purge.";
    OrganizationRestored "organization.restored" "A deleted organization was restored.";
    OrganizationPurged "organization.purged" "The data of an organization was removed permanently.";
    OrganizationImported "organization.imported" "An organization was made from an archive.";
    OrganizationExported "organization.exported" "An export of an organization began.";
    PasswordReset "password.reset" "The operator gave an owner a new password.";
    PasswordChanged "password.changed" "An account changed its password.";
    AccountRemoved "account.removed" "An account removed itself, and leaves its organizations.";
    ResetIssued "password.reset_issued" "The operator made a link with which a member gives their account a new password.";
    EmailVerified "email.verified" "The address of an account was proven, perhaps with a new password.";
    EmailChanged "email.changed" "An account got another address by a link that was sent there.";
    LinkIssued "link.issued" "The operator made a link with which a member proves an address.";
    LinkRequested "link.requested" "An account, or somebody who named its address, asked for a link by mail.";
    LinkRevoked "link.revoked" "A link of an account was revoked.";
    MemberAdded "member.added" "An account joined an organization.";
    MemberRoleChanged "member.role_changed" "A member got another role.";
    MemberRemoved "member.removed" "A member left or was removed.";
    RoleCreated "role.created" "An organization defined a role.";
    RoleUpdated "role.updated" "A role of an organization got other permissions, or another description.";
    RoleDeleted "role.deleted" "A role of an organization was deleted.";
    InvitationCreated "invitation.created" "An address was invited.";
    InvitationRenewed "invitation.renewed" "An invitation got a new link.";
    InvitationRevoked "invitation.revoked" "An invitation was revoked.";
    SessionStarted "session.started" "An account signed in, or switched to this organization.";
    SessionEnded "session.ended" "An account signed out.";
    SessionsEnded "session.all_ended" "An account ended all its sessions, perhaps but one.";
    RefreshReused "session.refresh_reused" "A refresh token was used twice, which ended the session.";
    IdentityLinked "identity.linked" "An account was linked to a person of an identity provider.";
    IdentityUnlinked "identity.unlinked" "A link to an identity provider was ended, or undone with what it was made for.";
    SignInFailed "sign_in.failed" "Wrong passwords or unknown addresses, counted per minute and network.";
    KeyCreated "key.created" "A key was made.";
    KeyConfirmed "key.confirmed" "An API key that an archive brought along is good again.";
    KeyRotated "key.rotated" "A key got a new secret.";
    KeyRevoked "key.revoked" "A key was revoked.";
    TokenIssued "token.issued" "A service key was exchanged for a token of the organization.";
    SigningKeyPublished "signing_key.published" "A key that will sign tokens was published.";
    SigningKeyRotated "signing_key.rotated" "The operator had the next key take over the signing of tokens.";
    SigningKeyRetired "signing_key.retired" "A key that signs tokens, and every token of it, was ended.";
    OperatorKeyReplaced "operator_key.replaced" "The operator key was replaced: the earlier one is no longer valid.";
    InstallationRestored "installation.restored" "The installation was restored from a backup: credentials from before are refused until that is confirmed.";
    RestoreConfirmed "installation.restore_confirmed" "A restore was confirmed: credentials from before work again.";
    InstallationAdopted "installation.adopted" "The organizations of another program were adopted.";
    AdoptionConfirmed "installation.adoption_confirmed" "An adoption was confirmed: it cannot be taken back any more.";
    AccessDenied "access.denied" "Requests that the caller's permissions do not allow, counted per minute and network.";
}

impl AuditAction {
    /// Reads a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|action| action.as_str() == text).copied()
    }

    /// Reads a stored name. One that is unreadable does not hide its entry: verifying the chain tells of it.
    #[must_use]
    pub fn of_stored(text: &str) -> Self {
        Self::parse(text).unwrap_or(Self::Unknown)
    }

    /// The action of a finished operation.
    const fn of_operation(kind: OperationKind) -> Self {
        match kind {
            OperationKind::Create => Self::OrganizationCreated,
            OperationKind::Rename => Self::OrganizationRenamed,
            OperationKind::Update => Self::OrganizationUpdated,
            OperationKind::Suspend => Self::OrganizationSuspended,
            OperationKind::Reactivate => Self::OrganizationReactivated,
            OperationKind::Delete => Self::OrganizationDeleted,
            OperationKind::Restore => Self::OrganizationRestored,
            OperationKind::Purge => Self::OrganizationPurged,
            OperationKind::Import => Self::OrganizationImported,
            OperationKind::SetPassword => Self::PasswordReset,
            OperationKind::AddMember => Self::MemberAdded,
            OperationKind::ChangeRole => Self::MemberRoleChanged,
            OperationKind::RemoveMember => Self::MemberRemoved,
            OperationKind::CreateRole => Self::RoleCreated,
            OperationKind::UpdateRole => Self::RoleUpdated,
            OperationKind::DeleteRole => Self::RoleDeleted,
        }
    }
}

/// What an action was done to, if not to the organization itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum AuditTarget {
    /// An account.
    Account(AccountId),
    /// A session.
    Session(SessionId),
    /// A key.
    ApiKey(ApiKeyId),
    /// An invitation.
    Invitation(InvitationId),
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It was done.
    Succeeded,
    /// It began and was undone.
    Failed,
    /// It was refused.
    Denied,
}

impl AuditOutcome {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Denied => "denied",
        }
    }
}

/// One event. It never holds a secret: no password, token, key or link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Never changes; of an operation, the operation's.
    pub id: AuditEventId,
    /// Whose trail it belongs to; `None` means the installation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub action: AuditAction,
    /// Who did it.
    pub actor: Actor,
    /// The backend's own id of the user it acted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<AuditTarget>,
    /// Where the request came from: an address, or for counted events a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The error code of what failed or was denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How often it happened, for counted events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What else there is to know, such as a role or permissions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

impl AuditEvent {
    /// The event of an operation that is finished at `now`. Its id is the operation's, so repeating the last step
    /// writes the same event.
    #[must_use]
    pub fn of_operation(organization: &Organization, operation: &Operation, now: Timestamp) -> Self {
        let member = operation.arguments.member();
        let origin = operation.origin.clone().unwrap_or_default();
        let event = Self {
            id: AuditEventId::from_bytes(*operation.id.as_bytes()),
            organization_id: Some(organization.id),
            at: now,
            action: AuditAction::of_operation(operation.kind()),
            actor: operation.actor,
            subject: None,
            target: member.map(|member| AuditTarget::Account(member.account_id)),
            address: origin.address,
            request_id: origin.request_id,
            outcome: if operation.refused.is_some() { AuditOutcome::Failed } else { AuditOutcome::Succeeded },
            code: operation.refused.map(|refusal| refusal.code().code().to_owned()),
            count: None,
            details: BTreeMap::new(),
        };
        let change = operation.arguments.role();
        let role = member.and_then(|member| member.role).or(change.map(|change| Role::Own(change.name)));
        let event = event.detail("issuer", origin.issuer).detail("role", role.as_ref().map(Role::as_str));
        let scope = |set: Option<PermissionSet>| set.map(PermissionSet::to_scope);
        let event =
            event.detail("permissions_before", scope(change.and_then(|change| change.permissions_before)));
        let event = event.detail("permissions", scope(change.and_then(|change| change.permissions)));
        let event =
            event.detail("name", operation.arguments.naming().map(|naming| naming.identifier.as_str()));
        let event = event.with_changes(organization, operation);
        if operation.refused.is_some() { event } else { event.imported(organization, operation) }
    }

    /// The event of a command of the operator that concerns the installation as a whole.
    #[must_use]
    pub fn of_installation(action: AuditAction, now: Timestamp, entropy: &dyn Entropy) -> Self {
        Self {
            id: AuditEventId::new(now, entropy),
            organization_id: None,
            at: now,
            action,
            actor: Actor::Operator,
            subject: None,
            target: None,
            address: None,
            request_id: None,
            outcome: AuditOutcome::Succeeded,
            code: None,
            count: None,
            details: BTreeMap::new(),
        }
    }

    /// The event of an import with what it brought along.
    fn imported(self, organization: &Organization, operation: &Operation) -> Self {
        let Some(counts) = operation.imported else { return self };
        let event = counts
            .named()
            .into_iter()
            .fold(self, |event, (name, count)| event.detail(name, (count > 0).then(|| count.to_string())));
        let trails = organization.trails.iter().enumerate();
        trails.fold(event, |event, (index, trail)| {
            event.detail(&carried::detail_name(index), Some(trail.to_text()))
        })
    }

    /// The event with one more detail, if there is one.
    #[must_use]
    pub fn detail(mut self, name: &str, value: Option<impl Into<String>>) -> Self {
        if let Some(value) = value {
            self.details.insert(name.to_owned(), value.into());
        }
        self
    }

    /// The event as done to `target`.
    #[must_use]
    pub fn on(self, target: AuditTarget) -> Self {
        Self { target: Some(target), ..self }
    }

    /// Whose trail it belongs to.
    #[must_use]
    pub fn chain(&self) -> AuditChain {
        AuditChain(self.organization_id)
    }

    /// Its text, as it is stored and hashed.
    ///
    /// # Errors
    /// `internal`.
    pub fn to_text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }

    /// Reads a stored text.
    ///
    /// # Errors
    /// `internal` for a text that no version of the service wrote.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(Error::internal)
    }
}

/// The organization in whose trail the change of an account stands that concerns no single one: where it signed in
/// last, or else its first.
#[must_use]
pub fn home_of(account: &Account) -> Option<OrganizationId> {
    let last = account.last_organization.filter(|id| account.membership(*id).is_some());
    last.or_else(|| account.memberships.first().map(|membership| membership.organization_id))
}

#[cfg(test)]
mod tests;
