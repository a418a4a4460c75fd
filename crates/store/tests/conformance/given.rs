//! Records to begin with. Each is new: it shares no id and no name with another one.

use jiff::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tenantry_domain::account::{Account, CredentialChange, Membership, PasswordHash, Role};
use tenantry_domain::account_link::{AccountLink, LinkDelivery, LinkKind};
use tenantry_domain::api_key::{ApiKey, ApiKeyHash, ApiKeyMaker, ApiKeyOwner, ReplacedSecret};
use tenantry_domain::audit::AuditChain;
use tenantry_domain::audit::carried::CarriedTrail;
use tenantry_domain::clock;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::error::{ErrorCode, Result};
use tenantry_domain::ids::{AccountId, ApiKeyId, InvitationId, OperationId, OrganizationId, SessionId};
use tenantry_domain::invitation::{Invitation, InvitationAcceptance};
use tenantry_domain::name::OrganizationName;
use tenantry_domain::operation::{
    Actor, ChangedSettings, MemberChange, NewMember, Operation, OperationArguments, OperationRecord, Settings,
};
use tenantry_domain::organization::{Naming, Organization, Placement, State};
use tenantry_domain::permission::{ORGANIZATION_KEY_PERMISSIONS, Permission, PermissionSet};
use tenantry_domain::role::{OwnRole, RoleChange, RoleDescription, RoleName};
use tenantry_domain::session::{Session, UsedToken};

/// The moment at which all records were made.
pub const START: Timestamp = Timestamp::constant(1_750_000_000, 123_000_000);

/// The moment `seconds` after the start.
pub fn at(seconds: u64) -> Timestamp {
    clock::after(START, Duration::from_secs(seconds))
}

/// The bytes of a new id; later ones sort after earlier ones.
pub fn id() -> [u8; 12] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

pub fn naming(name: &str) -> Naming {
    Naming::new(OrganizationName::parse(name).unwrap(), "tenant_")
}

/// An active organization that is called so.
pub fn organization(name: &str) -> Organization {
    let naming = naming(name);
    Organization {
        id: OrganizationId::from_bytes(id()),
        reserved: naming.reserved(),
        naming,
        state: State::Active,
        suspended: false,
        placement: Placement::Database,
        container: None,
        owner_id: AccountId::from_bytes(id()),
        owners: vec![AccountId::from_bytes(id()), AccountId::from_bytes(id())],
        members: 3,
        roles: [own_role("billing"), own_role("reader")].into_iter().collect(),
        trails: vec![carried_trail()],
        token_epoch: 0,
        token_epoch_since: None,
        delete_protection: false,
        legal_hold: false,
        quota: tenantry_domain::organization::Quota::default(),
        created_at: START,
        modified_at: START,
        deleted_at: None,
        purge_at: None,
        version: 1,
        operation: None,
    }
}

/// A role of an organization's own, with that name.
pub fn own_role(name: &str) -> OwnRole {
    OwnRole {
        name: RoleName::parse(name).unwrap(),
        description: RoleDescription::parse("Reads").unwrap(),
        permissions: PermissionSet::new(&[Permission::DocumentsRead, Permission::AuditRead]),
        created_at: START,
        modified_at: START,
        made_at_version: 1,
        version: 1 << 40,
    }
}

/// One in that state.
pub fn organization_in(state: State, name: &str) -> Organization {
    let mut organization = Organization { state, ..organization(name) };
    if state == State::Deleted || state == State::Purging {
        organization.reserved.clear();
        organization.deleted_at = Some(START);
        organization.purge_at = Some(START);
    }
    organization
}

/// An operation of `owner` that has just begun.
pub fn operation(owner: &str, arguments: OperationArguments) -> Box<Operation> {
    Box::new(Operation {
        id: OperationId::from_bytes(id()),
        actor: Actor::Account(AccountId::from_bytes(id())),
        arguments,
        done: 0,
        fence: 0,
        owner: owner.to_owned(),
        refused: None,
        undone: 0,
        documents: None,
        imported: None,
        started_at: START,
        origin: None,
    })
}

/// Arguments of every shape.
pub fn every_arguments() -> Vec<OperationArguments> {
    let credentials = CredentialChange {
        email: Some(EmailAddress::parse("new@example.com").unwrap()),
        password_hash: Some(PasswordHash("$argon2id$new".into())),
        kept_session: Some(SessionId::from_bytes(id())),
        credential_epoch: 7,
    };
    let changed = ChangedSettings { delete_protection: true, legal_hold: false, quota: true };
    vec![
        OperationArguments::Create { owner: Box::new(account("owner@example.com")) },
        OperationArguments::CreateForAccount { account_id: AccountId::from_bytes(id()), epoch: 1 << 30 },
        OperationArguments::Rename {
            to: naming("Another Name"),
            credentials: Some((AccountId::from_bytes(id()), credentials)),
            settings: Settings {
                delete_protection: true,
                legal_hold: false,
                quota: tenantry_domain::organization::Quota::default(),
            },
            changed,
        },
        OperationArguments::Update { changed },
        OperationArguments::Suspend,
        OperationArguments::Reactivate,
        OperationArguments::Delete,
        OperationArguments::Restore {
            to: naming("Back Again"),
            owner_email: Some(EmailAddress::parse("back@example.com").unwrap()),
        },
        OperationArguments::Purge,
        OperationArguments::AddMember(Box::new(NewMember {
            account_id: AccountId::from_bytes(id()),
            role: Role::Viewer,
            epoch: 1 << 30,
            invitation_id: InvitationId::from_bytes(id()),
            invitation_version: 2,
            account: Some(Box::new(account("new@example.com"))),
            tokens_since: Some(START),
        })),
        OperationArguments::ChangeRole(MemberChange {
            account_id: AccountId::from_bytes(id()),
            role: Some(Role::Member),
        }),
        OperationArguments::RemoveMember(MemberChange {
            account_id: AccountId::from_bytes(id()),
            role: None,
        }),
        OperationArguments::DeleteRole(RoleChange {
            name: own_role("billing").name,
            permissions_before: Some(own_role("billing").permissions),
            permissions: None,
        }),
    ]
}

/// A link that an account has.
fn link() -> AccountLink {
    AccountLink {
        kind: LinkKind::EmailChange,
        email: EmailAddress::parse("New@Example.com").unwrap(),
        delivery: LinkDelivery::Mail,
        secret_hash: [9; 32],
        created_at: START,
        expires_at: START,
    }
}

/// An account with that address that belongs nowhere.
pub fn account(email: &str) -> Account {
    let email = EmailAddress::parse(email).unwrap();
    Account {
        id: AccountId::from_bytes(id()),
        email_key: Some(email.key()),
        email,
        password_hash: PasswordHash("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into()),
        credential_epoch: 3,
        identity_epoch: 2,
        kept_session: Some(SessionId::from_bytes(id())),
        last_organization: Some(OrganizationId::from_bytes([5; 12])),
        memberships: Vec::new(),
        last_operation: Some(OperationId::from_bytes(id())),
        removing_since: None,
        email_verified_at: Some(START),
        links: vec![link()],
        created_at: START,
        modified_at: START,
        version: 1,
    }
}

/// The same account as a member of these organizations.
pub fn member(account: Account, organizations: &[OrganizationId]) -> Account {
    let membership = |id: &OrganizationId| Membership {
        organization_id: *id,
        role: Role::Owner,
        epoch: 2,
        since: START,
        tokens_since: Some(START),
        changed_at_version: 0,
        last_operation: Some(OperationId::from_bytes([7; 12])),
    };
    Account { memberships: organizations.iter().map(membership).collect(), ..account }
}

/// A session of that organization that ends then, unused.
pub fn session(organization_id: OrganizationId, ends: Timestamp) -> Session {
    Session {
        id: SessionId::from_bytes(id()),
        account_id: AccountId::from_bytes(id()),
        organization_id,
        credential_epoch: 1,
        membership_epoch: 2,
        organization_epoch: 3,
        signed_in_at: START,
        expires_at: at(1_000_000),
        idle_expires_at: ends,
        generation: 4,
        token_hash: [5; 32],
        used: Some(UsedToken { hash: [6; 32], salt: [7; 32], used_at: START }),
        version: 1,
    }
}

/// A key of that owner, in which every field has something.
pub fn api_key(owner: ApiKeyOwner) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_bytes(id()),
        owner,
        name: "backend".into(),
        hash: ApiKeyHash::from_bytes([5; 32]),
        unconfirmed: None,
        generation: 4,
        replaced: Some(ReplacedSecret { hash: ApiKeyHash::from_bytes([6; 32]), accepted_until: at(60) }),
        permissions: ORGANIZATION_KEY_PERMISSIONS,
        organizations: Some(vec![OrganizationId::from_bytes(id()), OrganizationId::from_bytes(id())]),
        maker: Some(ApiKeyMaker { account_id: AccountId::from_bytes(id()), membership_epoch: 2 }),
        created_at: START,
        expires_at: Some(at(1_000_000)),
        last_used_at: Some(at(2)),
        version: 1,
    }
}

/// A used invitation of that organization for that address.
pub fn invitation(organization_id: OrganizationId, email: &str) -> Invitation {
    Invitation {
        id: InvitationId::from_bytes(id()),
        organization_id,
        email: EmailAddress::parse(email).unwrap(),
        role: Role::Own(own_role("billing").name),
        role_made_at: Some(1),
        secret_hash: [5; 32],
        inviter: Some(AccountId::from_bytes(id())),
        inviter_key: Some(ApiKeyId::from_bytes(id())),
        created_at: START,
        expires_at: at(1_000),
        mailed: true,
        acceptance: Some(InvitationAcceptance {
            operation_id: OperationId::from_bytes(id()),
            account_id: AccountId::from_bytes(id()),
            accepted_at: at(3),
        }),
        version: 1,
    }
}

/// A finished operation of that organization.
pub fn finished(organization: &Organization) -> OperationRecord {
    OperationRecord::finished(organization, &operation("somebody", OperationArguments::Delete), at(1))
}

/// The next version of a record, to be saved.
pub trait Next {
    #[must_use]
    fn next(&self) -> Self;
}

impl Next for Organization {
    fn next(&self) -> Self {
        self.successor(at(1))
    }
}

impl Next for Account {
    fn next(&self) -> Self {
        self.successor(at(1))
    }
}

impl Next for Session {
    fn next(&self) -> Self {
        Self { version: self.version + 1, generation: self.generation + 1, ..self.clone() }
    }
}

impl Next for ApiKey {
    fn next(&self) -> Self {
        Self { version: self.version + 1, generation: self.generation + 1, ..self.clone() }
    }
}

impl Next for Invitation {
    fn next(&self) -> Self {
        Self { version: self.version + 1, expires_at: at(2_000), ..self.clone() }
    }
}

/// The refusal that a call came to.
pub fn refusal<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorCode {
    outcome.unwrap_err().code()
}

/// A trail that an import has brought along.
fn carried_trail() -> CarriedTrail {
    let chain = |number| AuditChain::from(OrganizationId::from_bytes([number; 12]));
    CarriedTrail { kept_as: chain(0xa1), chain: chain(0xb2), entries: 3, last: 7, hash: [0xc3; 32] }
}
