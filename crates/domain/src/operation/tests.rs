//! The planner as a table: every operation, step by step, with and without a refusal.

use super::*;
use crate::account::{Membership, PasswordHash, Role};
use crate::ids::{InvitationId, OrganizationId};
use crate::name::OrganizationName;
use crate::organization::{ContainerId, Organization, State};
use crate::organization::{Placement, Quota, QuotaLimit, Status};
use crate::permission::PermissionSet;
use crate::role::{RoleChange, RoleName};

const KINDS: [OperationKind; 16] = OperationKind::ALL;

fn naming(name: &str) -> Naming {
    Naming::new(OrganizationName::parse(name).unwrap(), "tenant_")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn owner() -> Account {
    let email = EmailAddress::parse("a@example.com").unwrap();
    Account {
        id: AccountId::from_bytes([2; 12]),
        email_key: Some(email.key()),
        email,
        password_hash: PasswordHash(String::new()),
        credential_epoch: 0,
        identity_epoch: 0,
        kept_session: None,
        last_organization: None,
        memberships: vec![Membership {
            organization_id: OrganizationId::from_bytes([1; 12]),
            role: Role::Owner,
            epoch: 0,
            since: at(1),
            tokens_since: None,
            changed_at_version: 0,
            last_operation: None,
        }],
        last_operation: None,
        removing_since: None,
        email_verified_at: None,
        links: Vec::new(),
        created_at: at(1),
        modified_at: at(1),
        version: 1,
    }
}

fn arguments(kind: OperationKind) -> OperationArguments {
    match kind {
        OperationKind::Create => OperationArguments::Create { owner: Box::new(owner()) },
        OperationKind::Rename => OperationArguments::Rename {
            to: naming("New"),
            credentials: None,
            changed: ChangedSettings::default(),
            settings: Settings { delete_protection: true, legal_hold: false, quota: Quota::default() },
        },
        OperationKind::Update => OperationArguments::Update { changed: ChangedSettings::default() },
        OperationKind::Suspend => OperationArguments::Suspend,
        OperationKind::Reactivate => OperationArguments::Reactivate,
        OperationKind::Delete => OperationArguments::Delete,
        OperationKind::Restore => OperationArguments::Restore { to: naming("New"), owner_email: None },
        OperationKind::Purge => OperationArguments::Purge,
        OperationKind::SetPassword => {
            OperationArguments::SetPassword { credentials: (owner().id, CredentialChange::default()) }
        }
        OperationKind::AddMember => OperationArguments::AddMember(Box::new(NewMember {
            account_id: AccountId::from_bytes([4; 12]),
            role: Role::Owner,
            epoch: 5,
            invitation_id: InvitationId::from_bytes([6; 12]),
            invitation_version: 1,
            account: None,
            tokens_since: None,
        })),
        OperationKind::ChangeRole => {
            let role = Some(Role::Viewer);
            OperationArguments::ChangeRole(MemberChange { account_id: AccountId::from_bytes([4; 12]), role })
        }
        OperationKind::RemoveMember => {
            let account_id = AccountId::from_bytes([4; 12]);
            OperationArguments::RemoveMember(MemberChange { account_id, role: None })
        }
        OperationKind::CreateRole => OperationArguments::CreateRole(role_change()),
        OperationKind::UpdateRole => OperationArguments::UpdateRole(role_change()),
        OperationKind::DeleteRole => OperationArguments::DeleteRole(role_change()),
        OperationKind::Import => {
            let quota = Quota { documents: QuotaLimit::new(3).ok(), ..Quota::default() };
            let settings = Settings { delete_protection: true, legal_hold: true, quota };
            OperationArguments::Import { owner: Box::new(owner()), settings, suspended: true }
        }
    }
}

fn role_change() -> RoleChange {
    let name = RoleName::parse("billing").unwrap();
    RoleChange { name, permissions_before: None, permissions: Some(PermissionSet::EMPTY) }
}

/// An organization for an account that is there goes the same way as one for a new account.
#[test]
fn create_for_existing_account_takes_the_steps_of_create() {
    let account_id = AccountId::from_bytes([2; 12]);
    let mut record = begun(OperationKind::Create);
    let mut operation = record.operation.take().unwrap();
    operation.arguments = OperationArguments::CreateForAccount { account_id, epoch: 7 };
    assert_eq!((operation.kind(), operation.arguments.member()), (OperationKind::Create, None));
    record.operation = Some(operation);
    for (step, state) in [
        (OperationStep::InsertOwner, State::Provisioning),
        (OperationStep::CreateContainer, State::Active),
        (OperationStep::Record, State::Active),
    ] {
        assert_eq!(record.operation.as_ref().unwrap().current_step(), step);
        let Some(RecordUpdate::Update(next)) = next_save(&record, StepResult::Done, at(9)) else { panic!() };
        record = *next;
        assert_eq!(record.state, state, "{step:?}");
    }
    assert!(record.operation.is_none());
}

/// The record right after the intent of that operation.
fn begun(kind: OperationKind) -> Organization {
    let old = naming("Old");
    let state = match kind {
        OperationKind::Create | OperationKind::Import => State::Provisioning,
        OperationKind::Delete | OperationKind::Restore => State::Deleted,
        OperationKind::Purge => State::Purging,
        _ => State::Active,
    };
    let reserved = match kind {
        OperationKind::Rename => [old.reserved(), naming("New").reserved()].concat(),
        OperationKind::Restore => naming("New").reserved(),
        OperationKind::Delete => old.reserved()[1..].to_vec(),
        OperationKind::Purge => Vec::new(),
        _ => old.reserved(),
    };
    Organization {
        id: OrganizationId::from_bytes([1; 12]),
        naming: old,
        reserved,
        state,
        suspended: kind == OperationKind::Suspend,
        placement: Placement::Database,
        container: None,
        owner_id: AccountId::from_bytes([2; 12]),
        owners: Vec::new(),
        members: 2,
        roles: crate::role::OwnRoles::default(),
        trails: Vec::new(),
        token_epoch: 3,
        token_epoch_since: None,
        delete_protection: false,
        legal_hold: false,
        quota: Quota::default(),
        created_at: at(1),
        modified_at: at(2),
        deleted_at: None,
        purge_at: None,
        version: 7,
        operation: Some(Box::new(Operation {
            id: OperationId::from_bytes([3; 12]),
            actor: Actor::Operator,
            arguments: arguments(kind),
            done: 0,
            fence: 1,
            owner: "one".into(),
            refused: None,
            undone: 0,
            documents: None,
            imported: None,
            started_at: at(2),
            origin: None,
        })),
    }
}

/// Runs the operation to its end, refusing at `refuse` if given; returns the steps taken and the last save.
fn run(kind: OperationKind, refuse: Option<OperationStep>) -> (Vec<OperationStep>, RecordUpdate) {
    let mut record = begun(kind);
    let mut steps = Vec::new();
    loop {
        let step = record.operation.as_ref().unwrap().current_step();
        steps.push(step);
        let observed = if refuse == Some(step) {
            StepResult::Refused(OperationRefusal::EmailTaken)
        } else if step == OperationStep::CreateContainer {
            StepResult::Made(Some(ContainerId([9; 16])))
        } else if [OperationStep::RenameContainer, OperationStep::LoadArchive].contains(&step) {
            StepResult::Counted(5)
        } else {
            StepResult::Done
        };
        match next_save(&record, observed, at(9)).unwrap() {
            RecordUpdate::Update(next) if next.operation.is_some() => {
                assert_eq!(next.version, record.version + 1, "each save is one version");
                record = *next;
            }
            last => return (steps, last),
        }
    }
}

fn settled(kind: OperationKind, refuse: Option<OperationStep>) -> Organization {
    match run(kind, refuse).1 {
        RecordUpdate::Update(record) => *record,
        RecordUpdate::Delete => panic!("the record of {kind:?} is gone"),
    }
}

#[test]
fn operation_runs_its_steps_in_order_and_records_itself_last() {
    for kind in KINDS {
        let (steps, _) = run(kind, None);
        assert_eq!(steps, kind.steps(), "{kind:?}");
        assert_eq!(steps.last(), Some(&OperationStep::Record), "{kind:?}");
    }
}

/// The step that undoes the effect of `step` outside the record after a refusal.
fn undone_by(step: OperationStep) -> Option<OperationStep> {
    match step {
        OperationStep::InsertOwner => Some(OperationStep::RemoveMembers),
        OperationStep::CreateContainer | OperationStep::LoadArchive => Some(OperationStep::DropContainer),
        OperationStep::UseInvitation => Some(OperationStep::RemoveInvitation),
        OperationStep::ReserveEmails | OperationStep::Record => None,
        other => panic!("nothing undoes {other:?}"),
    }
}

#[test]
fn operation_undoes_every_step_before_a_refusal() {
    for kind in KINDS {
        // A create makes its container under an unused id, so nothing conflicts with it.
        let refusing = |step: &OperationStep| {
            step.may_refuse() && (kind, *step) != (OperationKind::Create, OperationStep::CreateContainer)
        };
        for (done, _) in kind.steps().iter().enumerate().filter(|(_, step)| refusing(step)) {
            let undoing = kind.undoing(u32::try_from(done).unwrap());
            let needed: Vec<_> = kind.steps()[..done].iter().filter_map(|step| undone_by(*step)).collect();
            assert!(needed.iter().all(|step| undoing.contains(step)), "{kind:?} {done}: {undoing:?}");
            assert_eq!(undoing.last(), Some(&OperationStep::Record), "{kind:?} {done}");
            assert!(!undoing.iter().any(|step| step.may_refuse()), "{kind:?} {done}");
        }
    }
}

#[test]
fn import_is_hidden_until_complete() {
    let mut record = begun(OperationKind::Import);
    for (observed, state) in [
        (StepResult::Done, State::Provisioning),
        (StepResult::Made(Some(ContainerId([9; 16]))), State::Provisioning),
        (StepResult::Counted(5), State::Active),
    ] {
        assert_eq!((record.quota, record.suspended), (Quota::default(), false), "the archive may have more");
        match next_save(&record, observed, at(9)) {
            Some(RecordUpdate::Update(next)) => record = *next,
            other => panic!("{other:?}"),
        }
        assert_eq!(record.state, state);
        assert_eq!(record.container.is_some(), record.operation.as_ref().unwrap().done > 1);
    }
    assert_eq!(record.status(), Status::Suspended);
    assert_eq!(record.quota.documents, QuotaLimit::new(3).ok());
    assert!(record.delete_protection && record.legal_hold);
}

#[test]
fn import_that_is_refused_undoes_its_steps_and_disappears() {
    for (refusing, undoing) in [
        (OperationStep::InsertOwner, &[OperationStep::Record][..]),
        (OperationStep::CreateContainer, &[OperationStep::RemoveMembers, OperationStep::Record]),
        (
            OperationStep::LoadArchive,
            &[OperationStep::DropContainer, OperationStep::RemoveMembers, OperationStep::Record],
        ),
    ] {
        let (steps, last) = run(OperationKind::Import, Some(refusing));
        let before = steps.iter().position(|step| *step == refusing).unwrap();
        assert_eq!(&steps[before + 1..], undoing, "{refusing:?}");
        assert_eq!(last, RecordUpdate::Delete);
    }
}

#[test]
fn operation_progress_saves_only_a_record_version() {
    let record = begun(OperationKind::Import);
    let saved = save_of_progress(&record, Some(7), at(9)).unwrap();
    let operation = saved.operation.as_deref().unwrap();
    assert_eq!((operation.done, operation.documents, saved.version), (0, Some(7), record.version + 1));
    assert_eq!((saved.state, saved.modified_at), (record.state, record.modified_at));
    assert_eq!(operation.current_step(), OperationStep::InsertOwner);
}

#[test]
fn operation_success_leaves_expected_record() {
    let created = settled(OperationKind::Create, None);
    assert_eq!(created.status(), Status::Active);
    assert_eq!(created.reserved, naming("Old").reserved());
    assert_eq!(created.container, Some(ContainerId([9; 16])));

    let renamed = settled(OperationKind::Rename, None);
    assert!(renamed.delete_protection);
    assert_eq!((renamed.naming, renamed.reserved), (naming("New"), naming("New").reserved()));

    let deleted = settled(OperationKind::Delete, None);
    assert_eq!(deleted.naming.namespace, "deleted_010101010101010101010101");
    assert_eq!(deleted.reserved, []);
    assert_eq!(deleted.status(), Status::Deleted);

    let restored = settled(OperationKind::Restore, None);
    assert_eq!((&restored.naming, restored.token_epoch), (&naming("New"), 4));
    assert_eq!(restored.status(), Status::Active);
    assert_eq!(restored.reserved, naming("New").reserved());

    let joined = settled(OperationKind::AddMember, None);
    assert_eq!((joined.members, joined.owners().len()), (3, 2));
    assert_eq!(settled(OperationKind::ChangeRole, None).members, 2);
    assert_eq!(settled(OperationKind::RemoveMember, None).members, 1);

    assert_eq!(settled(OperationKind::Suspend, None).status(), Status::Suspended);
    assert_eq!(run(OperationKind::Purge, None).1, RecordUpdate::Delete);
}

/// Earlier versions did not note which settings an operation changes.
#[test]
fn operation_of_earlier_version_is_read() {
    for kind in [OperationKind::Update, OperationKind::Rename] {
        let mut stored = serde_json::to_value(arguments(kind)).unwrap();
        assert!(stored.as_object_mut().unwrap().remove("changed").is_some());
        assert_eq!(serde_json::from_value::<OperationArguments>(stored).unwrap(), arguments(kind));
    }
}

#[test]
fn operation_refusal_leaves_previous_record() {
    assert_eq!(run(OperationKind::Create, Some(OperationStep::InsertOwner)).1, RecordUpdate::Delete);

    let unchanged = settled(OperationKind::Rename, Some(OperationStep::ChangeCredentials));
    assert!(!unchanged.delete_protection);
    assert_eq!(unchanged.modified_at, begun(OperationKind::Rename).modified_at);
    assert_eq!((unchanged.naming, unchanged.reserved), (naming("Old"), naming("Old").reserved()));

    for refusing in [OperationStep::UseInvitation, OperationStep::ChangeMembership] {
        let not_joined = settled(OperationKind::AddMember, Some(refusing));
        assert_eq!((not_joined.members, not_joined.owners().len()), (2, 1), "{refusing:?}");
    }

    let still_deleted = settled(OperationKind::Restore, Some(OperationStep::ReserveEmails));
    assert_eq!((still_deleted.status(), still_deleted.reserved), (Status::Deleted, Vec::new()));
}

/// While it was under way, a delete of another organization may have left a member the address.
#[test]
fn restore_that_is_refused_releases_addresses() {
    let (steps, _) = run(OperationKind::Restore, Some(OperationStep::ReserveEmails));
    assert_eq!(steps, [OperationStep::ReserveEmails, OperationStep::ReleaseEmails, OperationStep::Record]);
    let mut record = begun(OperationKind::Restore);
    assert!(record.keeps_addresses());
    record.operation.as_mut().unwrap().refused = Some(OperationRefusal::EmailTaken);
    assert!(!record.keeps_addresses());
}

#[test]
fn operation_log_names_the_member() {
    let record = begun(OperationKind::ChangeRole);
    let logged = OperationRecord::finished(&record, record.operation.as_ref().unwrap(), at(9));
    let change = MemberChange { account_id: AccountId::from_bytes([4; 12]), role: Some(Role::Viewer) };
    assert_eq!(logged.member, Some(change));
}

#[test]
fn operation_log_names_the_role() {
    let record = begun(OperationKind::DeleteRole);
    let logged = OperationRecord::finished(&record, record.operation.as_ref().unwrap(), at(9));
    assert_eq!((logged.role, logged.member), (Some(role_change().name), None));
}

#[test]
fn operation_refusal_records_only_itself() {
    let (steps, _) = run(OperationKind::Rename, Some(OperationStep::ChangeCredentials));
    assert_eq!(steps, [OperationStep::ChangeCredentials, OperationStep::Record]);
    let mut record = begun(OperationKind::Rename);
    record.operation.as_mut().unwrap().refused = Some(OperationRefusal::EmailTaken);
    let logged = OperationRecord::finished(&record, record.operation.as_ref().unwrap(), at(9));
    assert_eq!((logged.state, logged.done), (OperationState::Failed, 0));
}

#[test]
fn operation_log_has_the_counted_documents() {
    let mut record = begun(OperationKind::Rename);
    for observed in [StepResult::Done, StepResult::Counted(5)] {
        match next_save(&record, observed, at(9)) {
            Some(RecordUpdate::Update(next)) => record = *next,
            other => panic!("{other:?}"),
        }
    }
    let logged = OperationRecord::finished(&record, record.operation.as_ref().unwrap(), at(9));
    assert_eq!((logged.documents, logged.state, logged.done), (Some(5), OperationState::Succeeded, 3));
}
