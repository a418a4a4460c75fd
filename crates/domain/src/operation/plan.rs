//! The pure planner: what to save once a step is done.
//!
//! It depends only on the results of effects, and knows neither the store nor the clock.

use super::{ImportCounts, Operation, OperationArguments, OperationKind, OperationRefusal, OperationStep};
use crate::account::Role;
use crate::organization::{ContainerId, Organization, State};
use jiff::Timestamp;

/// The result of the effect of the current step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepResult {
    /// It is done (now or before).
    Done,
    /// It is done, and the container is this one.
    Made(Option<ContainerId>),
    /// It is done, and the container holds this many documents.
    Counted(u64),
    /// It is done: the archive is loaded, with so many documents and all else.
    Loaded(u64, ImportCounts),
    /// It is refused because of the request.
    Refused(OperationRefusal),
}

/// What to save after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordUpdate {
    /// This record in place of the current one.
    Update(Box<Organization>),
    /// Nothing in place of the current one: the record goes.
    Delete,
}

/// The save during a long step: it renews the lease, and notes the progress of the step.
#[must_use]
pub fn save_of_progress(
    record: &Organization,
    documents: Option<u64>,
    now: Timestamp,
) -> Option<Organization> {
    let operation = record.operation.as_deref()?;
    let operation = Operation { documents, ..operation.clone() };
    let modified_at = record.modified_at;
    Some(Organization { operation: Some(Box::new(operation)), modified_at, ..record.successor(now) })
}

/// The save after the current step of the record's operation had the result `observed`; `None` if no
/// operation is under way.
#[must_use]
pub fn next_save(record: &Organization, observed: StepResult, now: Timestamp) -> Option<RecordUpdate> {
    let operation = record.operation.as_deref()?;
    let mut next = record.successor(now);
    // The times of the record are those of the request, not of a later recovery.
    next.modified_at = record.modified_at;
    if let StepResult::Refused(refusal) = observed {
        next.operation = Some(Box::new(Operation { refused: Some(refusal), ..operation.clone() }));
        return Some(RecordUpdate::Update(Box::new(next)));
    }
    let step = operation.current_step();
    if step == OperationStep::Record {
        return Some(finish(record, operation, next));
    }
    if operation.refused.is_some() {
        next.operation = Some(Box::new(Operation { undone: operation.undone + 1, ..operation.clone() }));
        return Some(RecordUpdate::Update(Box::new(next)));
    }
    let documents = match observed {
        StepResult::Counted(documents) | StepResult::Loaded(documents, _) => Some(documents),
        _ => operation.documents,
    };
    let imported = match observed {
        StepResult::Loaded(_, counts) => Some(counts),
        _ => operation.imported,
    };
    let progressed = Operation { done: operation.done + 1, documents, imported, ..operation.clone() };
    if let StepResult::Made(container) = observed {
        next.container = container;
    }
    change_record(&mut next, step, &operation.arguments, now);
    next.operation = Some(Box::new(progressed));
    Some(RecordUpdate::Update(Box::new(next)))
}

/// Applies a finished step to the record itself, beside the progress of the operation.
fn change_record(
    next: &mut Organization,
    step: OperationStep,
    arguments: &OperationArguments,
    now: Timestamp,
) {
    match (step, arguments) {
        (
            OperationStep::CreateContainer,
            OperationArguments::Create { .. } | OperationArguments::CreateForAccount { .. },
        ) => next.state = State::Active,
        (OperationStep::LoadArchive, OperationArguments::Import { settings, suspended, .. }) => {
            next.state = State::Active;
            next.suspended = *suspended;
            next.delete_protection = settings.delete_protection;
            next.legal_hold = settings.legal_hold;
            next.quota = settings.quota;
        }
        (OperationStep::ChangeCredentials, OperationArguments::SetPassword { .. }) => next.modified_at = now,
        (OperationStep::ChangeMembership, OperationArguments::AddMember(new)) => {
            next.members = next.members.saturating_add(1);
            if new.role == Role::Owner && !next.is_owner(new.account_id) {
                next.owners = [next.owners(), &[new.account_id]].concat();
            }
        }
        (OperationStep::ChangeMembership, OperationArguments::RemoveMember(_)) => {
            next.members = next.members.saturating_sub(1);
        }
        (OperationStep::RenameContainer, OperationArguments::Rename { to, settings, .. }) => {
            next.naming = to.clone();
            next.delete_protection = settings.delete_protection;
            next.legal_hold = settings.legal_hold;
            next.quota = settings.quota;
            next.reserved = to.reserved();
            next.modified_at = now;
        }
        (OperationStep::HideContainer, _) => {
            next.naming.namespace = next.trash_namespace();
            next.reserved.clear();
        }
        (OperationStep::ShowContainer, OperationArguments::Restore { to, .. }) => {
            next.naming = to.clone();
            next.state = State::Active;
            next.deleted_at = None;
            next.purge_at = None;
            next.begin_token_epoch(now);
            next.modified_at = now;
        }
        _ => {}
    }
}

/// The last save of an operation, done or refused.
fn finish(record: &Organization, operation: &Operation, mut next: Organization) -> RecordUpdate {
    next.operation = None;
    match (operation.kind(), operation.refused) {
        // A refused create or import was never visible, and a finished purge is the end: no record remains.
        (OperationKind::Create | OperationKind::Import, Some(_)) | (OperationKind::Purge, None) => {
            return RecordUpdate::Delete;
        }
        // The old name stays: only the keys reserved for the new one are released.
        (OperationKind::Rename, Some(_)) => next.reserved = record.naming.reserved(),
        (OperationKind::Restore, Some(_)) => next.reserved.clear(),
        _ => {}
    }
    RecordUpdate::Update(Box::new(next))
}
