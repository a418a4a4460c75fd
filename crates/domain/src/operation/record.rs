//! Operations as clients see them and, once finished, as the log keeps them.

use super::{Actor, ImportCounts, MemberChange, Operation, OperationKind, OperationRefusal};
use crate::ids::{OperationId, OrganizationId};
use crate::organization::Organization;
use crate::role::RoleName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The state of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// Under way; it will be finished or undone, even after a crash.
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

/// An operation as clients see it and, once finished, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// Never changes.
    pub id: OperationId,
    /// What it changes; the organization itself may be gone.
    pub organization_id: OrganizationId,
    /// What sort of change.
    pub kind: OperationKind,
    /// Its state.
    pub state: OperationState,
    /// Who asked.
    pub actor: Actor,
    /// Steps done.
    pub done: u32,
    /// Steps in all.
    pub steps: u32,
    /// Why it was undone.
    pub refused: Option<OperationRefusal>,
    /// Documents in the container: of a rename, those that follow the new name; of an import, those loaded so far.
    pub documents: Option<u64>,
    /// The member that it changes, where it changes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberChange>,
    /// The role of the organization that it defines, changes or deletes, where it does that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// What an import has brought along beside documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<ImportCounts>,
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
            member: operation.arguments.member(),
            role: operation.arguments.role().map(|change| change.name),
            imported: operation.imported,
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
