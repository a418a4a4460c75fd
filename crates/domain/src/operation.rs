//! Operations: multi-step changes that survive a crash.
//!
//! An operation lives inside its organization's record, so intent, lock and reservation are one
//! compare-and-set. Each step is an idempotent effect followed by one save of the record; this file decides,
//! as a pure function, which step comes next and what its save changes. `app::operations` executes it, and
//! recovery is the same machine with a higher fence.
//!
//! # Pitfalls
//! After the intent, only the steps named in [`OperationStep::may_refuse`] may refuse, and all of them come
//! before the commit point: later steps only go forward. What was done before a refusal is undone by separate
//! steps ([`OperationKind::undoing`]).

mod counts;
mod plan;
mod record;
mod refusal;
mod settings;

pub use counts::ImportCounts;
pub use plan::{RecordUpdate, StepResult, next_save, save_of_progress};
pub use record::{OperationRecord, OperationState};
pub use refusal::OperationRefusal;
pub use settings::{ChangedSettings, Settings};

pub use crate::actor::Actor;

use crate::account::{Account, CredentialChange, Role};
use crate::audit::Origin;
use crate::email::EmailAddress;
use crate::ids::{AccountId, InvitationId, OperationId};
use crate::naming::Naming;
use crate::role::RoleChange;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// A new organization, its owner and its container.
    Create,
    /// Another name, which the data follows; possibly new credentials of the admin.
    Rename,
    /// Settings of the organization, without a new name.
    Update,
    /// Nobody may use it.
    Suspend,
    /// It may be used again.
    Reactivate,
    /// Hidden, kept until `purge_at`.
    Delete,
    /// Back from a delete.
    Restore,
    /// Permanent removal.
    Purge,
    /// A new organization from an archive, with its owner and all its documents.
    Import,
    /// A new password for its owner, who has lost the old one.
    SetPassword,
    /// A new member, by an invitation.
    AddMember,
    /// Another role for a member.
    ChangeRole,
    /// A member leaves or is removed.
    RemoveMember,
    /// A role that the organization defines.
    CreateRole,
    /// Another description of such a role, or other permissions.
    UpdateRole,
    /// Such a role, which nobody has, is gone.
    DeleteRole,
}

impl OperationKind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Create,
        Self::Rename,
        Self::Update,
        Self::Suspend,
        Self::Reactivate,
        Self::Delete,
        Self::Restore,
        Self::Purge,
        Self::Import,
        Self::SetPassword,
        Self::AddMember,
        Self::ChangeRole,
        Self::RemoveMember,
        Self::CreateRole,
        Self::UpdateRole,
        Self::DeleteRole,
    ];

    /// Whether its intent only announces it: then the requested change becomes visible with a later step, or
    /// never.
    #[must_use]
    pub const fn is_deferred(self) -> bool {
        !matches!(
            self,
            Self::Update
                | Self::Suspend
                | Self::Reactivate
                | Self::Delete
                | Self::Purge
                | Self::CreateRole
                | Self::UpdateRole
                | Self::DeleteRole
        )
    }

    /// Its name on the wire and in crash points.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Rename => "rename",
            Self::Update => "update",
            Self::Suspend => "suspend",
            Self::Reactivate => "reactivate",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Purge => "purge",
            Self::Import => "import",
            Self::SetPassword => "set_password",
            Self::AddMember => "add_member",
            Self::ChangeRole => "change_role",
            Self::RemoveMember => "remove_member",
            Self::CreateRole => "create_role",
            Self::UpdateRole => "update_role",
            Self::DeleteRole => "delete_role",
        }
    }

    /// The steps it takes after its intent, in order. The last of each is `Record`.
    #[must_use]
    pub const fn steps(self) -> &'static [OperationStep] {
        match self {
            Self::Create => {
                &[OperationStep::InsertOwner, OperationStep::CreateContainer, OperationStep::Record]
            }
            Self::Rename => {
                &[OperationStep::ChangeCredentials, OperationStep::RenameContainer, OperationStep::Record]
            }
            Self::Update
            | Self::Suspend
            | Self::Reactivate
            | Self::CreateRole
            | Self::UpdateRole
            | Self::DeleteRole => &[OperationStep::Record],
            Self::Delete => &[
                OperationStep::HideContainer,
                OperationStep::ReleaseEmails,
                OperationStep::RevokeKeys,
                OperationStep::Record,
            ],
            Self::Restore => {
                &[OperationStep::ReserveEmails, OperationStep::ShowContainer, OperationStep::Record]
            }
            Self::Purge => {
                &[OperationStep::DropContainer, OperationStep::RemoveMembers, OperationStep::Record]
            }
            Self::Import => &[
                OperationStep::InsertOwner,
                OperationStep::CreateContainer,
                OperationStep::LoadArchive,
                OperationStep::Record,
            ],
            Self::SetPassword => &[OperationStep::ChangeCredentials, OperationStep::Record],
            Self::AddMember => &[
                OperationStep::UseInvitation,
                OperationStep::ChangeMembership,
                OperationStep::RemoveInvitation,
                OperationStep::Record,
            ],
            Self::ChangeRole | Self::RemoveMember => {
                &[OperationStep::ChangeMembership, OperationStep::Record]
            }
        }
    }

    /// The steps that undo it after a refusal with `done` of its steps done. Most operations are refused in
    /// their first step, which then has changed nothing. While a restore is under way, deletes of other
    /// organizations leave its members their addresses, so they are released after its refusal.
    #[must_use]
    pub const fn undoing(self, done: u32) -> &'static [OperationStep] {
        match (self, done) {
            (Self::Import, 1) => &[OperationStep::RemoveMembers, OperationStep::Record],
            (Self::Import, 2..) => {
                &[OperationStep::DropContainer, OperationStep::RemoveMembers, OperationStep::Record]
            }
            // The invitation is used up.
            (Self::AddMember, 1..) => &[OperationStep::RemoveInvitation, OperationStep::Record],
            (Self::Restore, _) => &[OperationStep::ReleaseEmails, OperationStep::Record],
            _ => &[OperationStep::Record],
        }
    }
}

/// One idempotent effect outside the organization's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationStep {
    /// Insert the owner's account (its id is in the arguments, so repeating it changes nothing), or give the
    /// account that is there its membership.
    InsertOwner,
    /// Create the container. Its save is the commit point of create.
    CreateContainer,
    /// Load the whole archive into the container and check that it was complete. Its save is the commit point
    /// of import. Only the process that began has the archive, so a process that takes over refuses.
    LoadArchive,
    /// Give the admin new credentials, if asked. Its save is the commit point of rename and of set-password.
    ChangeCredentials,
    /// Rename the container to its new visible name and count its documents. Its stored name is the older one.
    #[serde(rename = "move_container")]
    RenameContainer,
    /// Remove the container's visible name.
    HideContainer,
    /// Free the e-mail addresses of accounts that have no other organization.
    ReleaseEmails,
    /// Remove the organization's API keys and invitations: a restore revives none.
    RevokeKeys,
    /// Take those e-mail addresses back. Its save is the commit point of restore.
    ReserveEmails,
    /// Give the container its visible name back.
    ShowContainer,
    /// Remove the container, by identity.
    DropContainer,
    /// Remove memberships, sessions, and accounts that have nothing else.
    RemoveMembers,
    /// Mark the invitation as used. From then on nobody else can use, renew or revoke it.
    UseInvitation,
    /// Give the account of a member a membership or another role, or take its membership. Its save is the
    /// commit point of add-member, where it may insert the account.
    ChangeMembership,
    /// Remove the used invitation.
    RemoveInvitation,
    /// Write the finished operation into the log, with its event of the audit trail.
    Record,
}

impl OperationStep {
    /// Its name on the wire and in crash points.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InsertOwner => "insert_owner",
            Self::CreateContainer => "create_container",
            Self::LoadArchive => "load_archive",
            Self::ChangeCredentials => "change_credentials",
            Self::RenameContainer => "move_container",
            Self::HideContainer => "hide_container",
            Self::ReleaseEmails => "release_emails",
            Self::RevokeKeys => "revoke_keys",
            Self::ReserveEmails => "reserve_emails",
            Self::ShowContainer => "show_container",
            Self::DropContainer => "drop_container",
            Self::RemoveMembers => "remove_members",
            Self::UseInvitation => "use_invitation",
            Self::ChangeMembership => "change_membership",
            Self::RemoveInvitation => "remove_invitation",
            Self::Record => "record",
        }
    }

    /// Whether its effect may be refused because of the request. For creating a container, only in an import,
    /// whose archive names the id.
    #[must_use]
    pub const fn may_refuse(self) -> bool {
        matches!(
            self,
            Self::InsertOwner
                | Self::CreateContainer
                | Self::LoadArchive
                | Self::ChangeCredentials
                | Self::ReserveEmails
                | Self::UseInvitation
                | Self::ChangeMembership
        )
    }
}

/// The change of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChange {
    /// The member's account.
    pub account_id: AccountId,
    /// The role from then on; `None` means that the account is no member any more.
    pub role: Option<Role>,
}

/// A new member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMember {
    /// The account.
    pub account_id: AccountId,
    /// Its role.
    pub role: Role,
    /// The epoch of its membership. It is random: sessions of an earlier membership of the account are not
    /// valid again.
    pub epoch: u32,
    /// The invitation.
    pub invitation_id: InvitationId,
    /// The version of the invitation that was accepted.
    pub invitation_version: u64,
    /// The account itself, without a membership, if it is new.
    pub account: Option<Box<Account>>,
    /// When the identity provider's token was issued with which the invitation was accepted, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_since: Option<Timestamp>,
}

/// The arguments of an operation, fixed at its intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OperationArguments {
    /// See [`OperationKind::Create`].
    Create {
        /// The owner's account.
        owner: Box<Account>,
    },
    /// As `Create`, for an account that is there. A version that does not know this leaves the operation alone.
    CreateForAccount {
        /// The owner's account.
        account_id: AccountId,
        /// The epoch of its membership.
        epoch: u32,
    },
    /// See [`OperationKind::Rename`].
    Rename {
        /// The new name.
        to: Naming,
        /// New credentials for that account, if asked.
        credentials: Option<(AccountId, CredentialChange)>,
        /// The settings of the organization from then on.
        settings: Settings,
        /// Those of them that it changes; earlier versions did not note it.
        #[serde(default)]
        changed: ChangedSettings,
    },
    /// See [`OperationKind::Update`].
    Update {
        /// The settings that it changes; earlier versions did not note it.
        #[serde(default)]
        changed: ChangedSettings,
    },
    /// See [`OperationKind::Suspend`].
    Suspend,
    /// See [`OperationKind::Reactivate`].
    Reactivate,
    /// See [`OperationKind::Delete`].
    Delete,
    /// See [`OperationKind::Restore`].
    Restore {
        /// Its names from now on.
        to: Naming,
        /// Another address for the owner, if the old one is taken.
        owner_email: Option<EmailAddress>,
    },
    /// See [`OperationKind::Purge`].
    Purge,
    /// See [`OperationKind::Import`].
    Import {
        /// The owner's account.
        owner: Box<Account>,
        /// The settings of the organization once all its documents are loaded. Until then it has no quota: an
        /// archive may hold more than its quota allows.
        settings: Settings,
        /// Whether nobody may use it then.
        suspended: bool,
    },
    /// See [`OperationKind::SetPassword`].
    SetPassword {
        /// The owner's account and its new password.
        credentials: (AccountId, CredentialChange),
    },
    /// See [`OperationKind::AddMember`].
    AddMember(Box<NewMember>),
    /// See [`OperationKind::ChangeRole`].
    ChangeRole(MemberChange),
    /// See [`OperationKind::RemoveMember`].
    RemoveMember(MemberChange),
    /// See [`OperationKind::CreateRole`].
    CreateRole(RoleChange),
    /// See [`OperationKind::UpdateRole`].
    UpdateRole(RoleChange),
    /// See [`OperationKind::DeleteRole`].
    DeleteRole(RoleChange),
}

impl OperationArguments {
    /// The new names of the organization, if it gets any.
    #[must_use]
    pub const fn naming(&self) -> Option<&Naming> {
        match self {
            Self::Rename { to, .. } | Self::Restore { to, .. } => Some(to),
            _ => None,
        }
    }

    /// The member that they change.
    #[must_use]
    pub fn member(&self) -> Option<MemberChange> {
        match self {
            Self::AddMember(new) => Some(MemberChange { account_id: new.account_id, role: Some(new.role) }),
            Self::ChangeRole(change) | Self::RemoveMember(change) => Some(*change),
            _ => None,
        }
    }

    /// The change of a role of the organization's own.
    #[must_use]
    pub const fn role(&self) -> Option<RoleChange> {
        match self {
            Self::CreateRole(change) | Self::UpdateRole(change) | Self::DeleteRole(change) => Some(*change),
            _ => None,
        }
    }

    /// The kind of change they are for.
    #[must_use]
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::Create { .. } | Self::CreateForAccount { .. } => OperationKind::Create,
            Self::Rename { .. } => OperationKind::Rename,
            Self::Update { .. } => OperationKind::Update,
            Self::Suspend => OperationKind::Suspend,
            Self::Reactivate => OperationKind::Reactivate,
            Self::Delete => OperationKind::Delete,
            Self::Restore { .. } => OperationKind::Restore,
            Self::Purge => OperationKind::Purge,
            Self::Import { .. } => OperationKind::Import,
            Self::SetPassword { .. } => OperationKind::SetPassword,
            Self::AddMember(_) => OperationKind::AddMember,
            Self::ChangeRole(_) => OperationKind::ChangeRole,
            Self::RemoveMember(_) => OperationKind::RemoveMember,
            Self::CreateRole(_) => OperationKind::CreateRole,
            Self::UpdateRole(_) => OperationKind::UpdateRole,
            Self::DeleteRole(_) => OperationKind::DeleteRole,
        }
    }
}

/// A change under way, inside its organization's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Never changes.
    pub id: OperationId,
    /// Who asked.
    pub actor: Actor,
    /// What was asked.
    pub arguments: OperationArguments,
    /// How many of its steps are done.
    pub done: u32,
    /// Rises with every take-over; a process that holds an older one has lost the operation.
    pub fence: u32,
    /// The instance that works on it.
    pub owner: String,
    /// Why it is being undone, once that is decided.
    pub refused: Option<OperationRefusal>,
    /// How many of the steps that undo it are done.
    #[serde(default)]
    pub undone: u32,
    /// The number of documents, once a step has counted them.
    #[serde(default)]
    pub documents: Option<u64>,
    /// What an import has brought along beside documents, once all of it is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<ImportCounts>,
    /// When it began.
    pub started_at: Timestamp,
    /// Where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Operation {
    /// The kind of a change.
    #[must_use]
    pub const fn kind(&self) -> OperationKind {
        self.arguments.kind()
    }

    /// The step to execute now; for a refused operation, the next step that undoes it.
    #[must_use]
    pub fn current_step(&self) -> OperationStep {
        let (steps, at) = match self.refused {
            Some(_) => (self.kind().undoing(self.done), self.undone),
            None => (self.kind().steps(), self.done),
        };
        *steps.get(at as usize).unwrap_or(&OperationStep::Record)
    }
}

#[cfg(test)]
mod tests;
