//! Operations: multi-step changes that survive a crash.
//!
//! An operation lives inside its organization's record, so intent, lock and reservation are one
//! compare-and-set. Each step is an idempotent effect followed by one save of the record; this file decides,
//! purely, which step comes next and what its save changes. `app::operations` carries it out, and recovery is
//! the same machine with a higher fence.
//!
//! What a newcomer gets wrong: a business refusal after the intent is possible only in the steps named in
//! [`Step::may_refuse`], which all come before the commit point; whatever comes later only goes forward.

use crate::account::{Account, CredentialChange};
use crate::email::EmailAddress;
use crate::error::ErrorCode;
use crate::ids::{AccountId, OperationId, OrganizationId};
use crate::organization::{ContainerId, Naming, Organization, Quota, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who asked for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum Actor {
    /// Somebody without a credential, by signing up.
    Anonymous,
    /// An account of the organization.
    Account(AccountId),
    /// Whoever runs the service.
    Operator,
    /// The service itself, when retention ends.
    System,
}

/// What sort of change it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// A new organization, its first admin and its container.
    Create,
    /// Another name, with the data following; perhaps new credentials of the admin.
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
    /// Gone for ever.
    Purge,
}

impl OperationKind {
    /// Whether its intent only announces it. What the caller asked for then shows with a later step, or never.
    #[must_use]
    pub const fn shows_later(self) -> bool {
        matches!(self, Self::Create | Self::Rename | Self::Restore)
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
        }
    }

    /// The steps it takes after its intent, in order. The last of each is `Record`.
    #[must_use]
    pub const fn steps(self) -> &'static [Step] {
        match self {
            Self::Create => &[Step::InsertOwner, Step::CreateContainer, Step::Record],
            Self::Rename => &[Step::ChangeCredentials, Step::MoveContainer, Step::Record],
            Self::Update | Self::Suspend | Self::Reactivate => &[Step::Record],
            Self::Delete => &[Step::HideContainer, Step::ReleaseEmails, Step::Record],
            Self::Restore => &[Step::ReserveEmails, Step::ShowContainer, Step::Record],
            Self::Purge => &[Step::DropContainer, Step::RemoveMembers, Step::Record],
        }
    }
}

/// One idempotent effect outside the organization's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Insert the owner's account (its id is in the arguments, so twice is once).
    InsertOwner,
    /// Make the container. Its save is the commit point of create.
    CreateContainer,
    /// Give the admin new credentials, if asked. Its save is the commit point of rename.
    ChangeCredentials,
    /// Bring the container under its new visible name and count what is in it.
    MoveContainer,
    /// Take the container's visible name away.
    HideContainer,
    /// Free the e-mail addresses of accounts that have no other organization.
    ReleaseEmails,
    /// Take those e-mail addresses back. Its save is the commit point of restore.
    ReserveEmails,
    /// Give the container its visible name back.
    ShowContainer,
    /// Remove the container, by identity.
    DropContainer,
    /// Remove memberships, sessions, and accounts that have nothing else.
    RemoveMembers,
    /// Write the finished operation into the log, which is the audit trail.
    Record,
}

impl Step {
    /// Its name on the wire and in crash points.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InsertOwner => "insert_owner",
            Self::CreateContainer => "create_container",
            Self::ChangeCredentials => "change_credentials",
            Self::MoveContainer => "move_container",
            Self::HideContainer => "hide_container",
            Self::ReleaseEmails => "release_emails",
            Self::ReserveEmails => "reserve_emails",
            Self::ShowContainer => "show_container",
            Self::DropContainer => "drop_container",
            Self::RemoveMembers => "remove_members",
            Self::Record => "record",
        }
    }

    /// Whether its effect may be refused for a reason that is the caller's.
    #[must_use]
    pub const fn may_refuse(self) -> bool {
        matches!(self, Self::InsertOwner | Self::ChangeCredentials | Self::ReserveEmails)
    }
}

/// What may be set about an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Whether a delete is refused.
    pub delete_protection: bool,
    /// Whether a purge is refused.
    pub legal_hold: bool,
    /// How much the organization may have.
    #[serde(default)]
    pub quota: Quota,
}

/// What an operation was asked to do, fixed at its intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Arguments {
    /// See [`OperationKind::Create`].
    Create {
        /// The owner's account.
        owner: Box<Account>,
    },
    /// See [`OperationKind::Rename`].
    Rename {
        /// The new name.
        to: Naming,
        /// New credentials for that account, if asked.
        credentials: Option<(AccountId, CredentialChange)>,
        /// The settings of the organization from then on.
        settings: Settings,
    },
    /// See [`OperationKind::Update`].
    Update,
    /// See [`OperationKind::Suspend`].
    Suspend,
    /// See [`OperationKind::Reactivate`].
    Reactivate,
    /// See [`OperationKind::Delete`].
    Delete,
    /// See [`OperationKind::Restore`].
    Restore {
        /// What it is called from now on.
        to: Naming,
        /// Another address for the owner, where the old one is taken.
        owner_email: Option<EmailAddress>,
    },
    /// See [`OperationKind::Purge`].
    Purge,
}

impl Arguments {
    /// What the organization is to be called, if it gets a name.
    #[must_use]
    pub const fn naming(&self) -> Option<&Naming> {
        match self {
            Self::Rename { to, .. } | Self::Restore { to, .. } => Some(to),
            _ => None,
        }
    }

    /// What sort of change they are for.
    #[must_use]
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::Create { .. } => OperationKind::Create,
            Self::Rename { .. } => OperationKind::Rename,
            Self::Update => OperationKind::Update,
            Self::Suspend => OperationKind::Suspend,
            Self::Reactivate => OperationKind::Reactivate,
            Self::Delete => OperationKind::Delete,
            Self::Restore { .. } => OperationKind::Restore,
            Self::Purge => OperationKind::Purge,
        }
    }
}

/// A change under way, inside its organization's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// For ever.
    pub id: OperationId,
    /// Who asked.
    pub actor: Actor,
    /// What was asked.
    pub arguments: Arguments,
    /// How many of its steps are done.
    pub done: u32,
    /// Rises with every take-over; whoever holds an older one has lost the operation.
    pub fence: u32,
    /// The instance that works on it.
    pub owner: String,
    /// Why it undoes itself, once that is decided.
    pub refused: Option<Refusal>,
    /// What its steps found out.
    #[serde(default)]
    pub documents: Option<u64>,
    /// When it began.
    pub started_at: Timestamp,
}

/// The refusals that are possible after an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The e-mail address was taken meanwhile.
    EmailTaken,
    /// The account's credentials were changed meanwhile, which ended the session that asked.
    SessionEnded,
}

impl Refusal {
    /// Its row of the error table.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::EmailTaken => ErrorCode::EmailTaken,
            Self::SessionEnded => ErrorCode::TokenRevoked,
        }
    }
}

impl Operation {
    /// What sort of change it is.
    #[must_use]
    pub const fn kind(&self) -> OperationKind {
        self.arguments.kind()
    }

    /// The step to carry out now. A refused operation has only its record left.
    #[must_use]
    pub fn current_step(&self) -> Step {
        if self.refused.is_some() {
            return Step::Record;
        }
        let steps = self.kind().steps();
        *steps.get(self.done as usize).unwrap_or(&Step::Record)
    }
}

/// What the effect of the current step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// It is done (now or before).
    Done,
    /// It is done, and the container is this one.
    Made(Option<ContainerId>),
    /// It is done, and the container holds this many documents.
    Counted(u64),
    /// It cannot be, for a reason that is the caller's.
    Refused(Refusal),
}

/// What to save after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Save {
    /// This record in place of the current one.
    Update(Box<Organization>),
    /// Nothing in place of the current one: the record goes.
    Delete,
}

/// What to save once the current step of the record's operation came to `observed`; `None` if no operation
/// is under way.
#[must_use]
pub fn next_save(record: &Organization, observed: Observed, now: Timestamp) -> Option<Save> {
    let operation = record.operation.as_deref()?;
    let mut next = record.successor(now);
    // The times of the record speak of what the caller asked for, not of when a recovery got to it.
    next.modified_at = record.modified_at;
    if let Observed::Refused(refusal) = observed {
        next.operation = Some(Box::new(Operation { refused: Some(refusal), ..operation.clone() }));
        return Some(Save::Update(Box::new(next)));
    }
    let step = operation.current_step();
    if step == Step::Record {
        return Some(finish(record, operation, next));
    }
    let documents = match observed {
        Observed::Counted(documents) => Some(documents),
        _ => operation.documents,
    };
    let progressed = Operation { done: operation.done + 1, documents, ..operation.clone() };
    if let Observed::Made(container) = observed {
        next.container = container;
    }
    change_record(&mut next, step, &operation.arguments, now);
    next.operation = Some(Box::new(progressed));
    Some(Save::Update(Box::new(next)))
}

/// What a done step changes in the record itself, beside the progress of the operation.
fn change_record(next: &mut Organization, step: Step, arguments: &Arguments, now: Timestamp) {
    match (step, arguments) {
        (Step::CreateContainer, _) => next.state = State::Active,
        (Step::MoveContainer, Arguments::Rename { to, settings, .. }) => {
            next.naming = to.clone();
            next.delete_protection = settings.delete_protection;
            next.legal_hold = settings.legal_hold;
            next.quota = settings.quota;
            next.reserved = to.reserved();
            next.modified_at = now;
        }
        (Step::HideContainer, _) => {
            next.naming.namespace = next.trash_namespace();
            next.reserved.clear();
        }
        (Step::ShowContainer, Arguments::Restore { to, .. }) => {
            next.naming = to.clone();
            next.state = State::Active;
            next.deleted_at = None;
            next.purge_at = None;
            next.token_epoch += 1;
            next.modified_at = now;
        }
        _ => {}
    }
}

/// The last save of an operation, done or refused.
fn finish(record: &Organization, operation: &Operation, mut next: Organization) -> Save {
    next.operation = None;
    match (operation.kind(), operation.refused) {
        // A refused create was never visible, a done purge is the end: no record remains.
        (OperationKind::Create, Some(_)) | (OperationKind::Purge, None) => return Save::Delete,
        // The old name is still the name: only what was reserved for the new one is let go.
        (OperationKind::Rename, Some(_)) => next.reserved = record.naming.reserved(),
        (OperationKind::Restore, Some(_)) => next.reserved.clear(),
        _ => {}
    }
    Save::Update(Box::new(next))
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// Under way; it finishes or undoes itself, whatever happens.
    Running,
    /// Done.
    Succeeded,
    /// Undone; the error says why.
    Failed,
}

impl OperationState {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// An operation as it is shown and, once finished, kept: the log of them is the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// For ever.
    pub id: OperationId,
    /// What it changes; the organization itself may be gone.
    pub organization_id: OrganizationId,
    /// What sort of change.
    pub kind: OperationKind,
    /// How far it is.
    pub state: OperationState,
    /// Who asked.
    pub actor: Actor,
    /// Steps done.
    pub done: u32,
    /// Steps in all.
    pub steps: u32,
    /// Why it undid itself.
    pub refused: Option<Refusal>,
    /// Documents that moved along, where any move.
    pub documents: Option<u64>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
}

impl OperationRecord {
    /// The operation of `organization` as it is under way.
    #[must_use]
    pub fn running(organization: &Organization, operation: &Operation) -> Self {
        let steps = u32::try_from(operation.kind().steps().len()).unwrap_or(u32::MAX);
        Self {
            id: operation.id,
            organization_id: organization.id,
            kind: operation.kind(),
            state: OperationState::Running,
            actor: operation.actor,
            done: operation.done,
            steps,
            refused: operation.refused,
            documents: operation.documents,
            started_at: operation.started_at,
            finished_at: None,
        }
    }

    /// The operation of `organization` as its last step writes it into the log.
    #[must_use]
    pub fn finished(organization: &Organization, operation: &Operation, now: Timestamp) -> Self {
        let running = Self::running(organization, operation);
        let state =
            if operation.refused.is_some() { OperationState::Failed } else { OperationState::Succeeded };
        let done = if operation.refused.is_some() { running.done } else { running.steps };
        Self { state, done, finished_at: Some(now), ..running }
    }
}

#[cfg(test)]
mod tests;
