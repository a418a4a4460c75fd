//! Records in which every field has something.

use jiff::Timestamp;
use tenantry_domain::account::{Account, CredentialChange, Membership, PasswordHash, Role};
use tenantry_domain::account_link::{AccountLink, LinkDelivery, LinkKind};
use tenantry_domain::api_key::{ApiKey, ApiKeyHash, ApiKeyMaker, ApiKeyOwner, ReplacedSecret};
use tenantry_domain::audit::AuditChain;
use tenantry_domain::audit::carried::CarriedTrail;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::identity::{Identity, IdentityOrigin, identity_id};
use tenantry_domain::ids::{AccountId, ApiKeyId, InvitationId, OperationId, OrganizationId, SessionId};
use tenantry_domain::invitation::{Invitation, InvitationAcceptance};
use tenantry_domain::name::OrganizationName;
use tenantry_domain::operation::{
    Actor, ChangedSettings, ImportCounts, MemberChange, NewMember, Operation, OperationArguments,
    OperationRecord, OperationRefusal, Settings,
};
use tenantry_domain::organization::{ContainerId, Naming, Organization, Placement, State};
use tenantry_domain::permission::{Permission, PermissionSet};
use tenantry_domain::role::{OwnRole, RoleChange, RoleDescription, RoleName};
use tenantry_domain::session::{Session, UsedToken};

pub const NOW: Timestamp = Timestamp::constant(1_750_000_000, 123_000_000);

pub fn naming(name: &str) -> Naming {
    Naming::new(OrganizationName::parse(name).unwrap(), "tenant_")
}

/// A plain organization, told from others by its number.
pub fn organization(number: u8) -> Organization {
    let naming = naming(&format!("$Number {number}"));
    Organization {
        id: OrganizationId::from_bytes([number; 12]),
        reserved: naming.reserved(),
        naming,
        state: State::Active,
        suspended: false,
        placement: Placement::Collection,
        container: None,
        owner_id: AccountId::from_bytes([number; 12]),
        owners: vec![AccountId::from_bytes([number; 12]), AccountId::from_bytes([9; 12])],
        members: 7,
        roles: [own_role("billing"), own_role("reader")].into_iter().collect(),
        trails: vec![carried_trail()],
        token_epoch: 1,
        token_epoch_since: Some(NOW),
        delete_protection: false,
        legal_hold: false,
        quota: tenantry_domain::organization::Quota::default(),
        created_at: NOW,
        modified_at: NOW,
        deleted_at: None,
        purge_at: None,
        version: 1,
        operation: None,
    }
}

/// A role of an organization's own, with that name.
fn own_role(name: &str) -> OwnRole {
    OwnRole {
        name: RoleName::parse(name).unwrap(),
        description: RoleDescription::parse("$Reads").unwrap(),
        permissions: PermissionSet::new(&[Permission::DocumentsRead, Permission::AuditRead]),
        created_at: NOW,
        modified_at: NOW,
        made_at_version: 1,
        version: 1 << 40,
    }
}

/// A plain organization in which `owner` does that.
pub fn busy(number: u8, owner: &str, arguments: OperationArguments) -> Organization {
    let operation = Operation {
        id: OperationId::from_bytes([number; 12]),
        actor: Actor::Account(AccountId::from_bytes([2; 12])),
        arguments,
        done: 1,
        fence: 3,
        owner: owner.to_owned(),
        refused: Some(OperationRefusal::EmailTaken),
        undone: 0,
        documents: Some(1 << 40),
        imported: Some(ImportCounts { members: 7, ..ImportCounts::default() }),
        started_at: NOW,
        origin: None,
    };
    Organization { operation: Some(Box::new(operation)), ..organization(number) }
}

/// One for each shape of an operation's arguments.
pub fn organizations() -> Vec<Organization> {
    let email = || EmailAddress::parse("new@example.com").unwrap();
    let credentials = CredentialChange {
        email: Some(email()),
        password_hash: Some(PasswordHash("$argon2id$new".into())),
        kept_session: Some(SessionId::from_bytes([4; 12])),
        credential_epoch: 5,
    };
    let rename = OperationArguments::Rename {
        to: naming("Another"),
        credentials: Some((AccountId::from_bytes([6; 12]), credentials)),
        settings: Settings {
            delete_protection: true,
            legal_hold: true,
            quota: tenantry_domain::organization::Quota::default(),
        },
        changed: ChangedSettings { delete_protection: true, legal_hold: false, quota: true },
    };
    [
        OperationArguments::Create { owner: Box::new(account()) },
        OperationArguments::CreateForAccount { account_id: AccountId::from_bytes([7; 12]), epoch: 1 << 30 },
        rename,
        OperationArguments::Delete,
        OperationArguments::Restore { to: naming("Back"), owner_email: Some(email()) },
        OperationArguments::AddMember(Box::new(NewMember {
            account_id: AccountId::from_bytes([1; 12]),
            role: Role::Viewer,
            epoch: 1 << 30,
            invitation_id: InvitationId::from_bytes([6; 12]),
            invitation_version: 2,
            account: Some(Box::new(account())),
            tokens_since: Some(NOW),
        })),
        OperationArguments::ChangeRole(MemberChange {
            account_id: AccountId::from_bytes([8; 12]),
            role: Some(Role::Admin),
        }),
        OperationArguments::RemoveMember(MemberChange {
            account_id: AccountId::from_bytes([8; 12]),
            role: None,
        }),
        OperationArguments::UpdateRole(RoleChange {
            name: own_role("billing").name,
            permissions_before: Some(own_role("billing").permissions),
            permissions: Some(PermissionSet::EMPTY),
        }),
    ]
    .into_iter()
    .zip(1..)
    .map(|(arguments, number)| Organization {
        container: Some(ContainerId([0xc0; 16])),
        deleted_at: Some(NOW),
        purge_at: Some(Timestamp::from_second(1_800_000_000).unwrap()),
        ..busy(number, "somebody", arguments)
    })
    .collect()
}

pub fn account() -> Account {
    let email = EmailAddress::parse("Owner@Example.com").unwrap();
    let membership = |number| Membership {
        organization_id: OrganizationId::from_bytes([number; 12]),
        role: Role::Owner,
        epoch: 2,
        since: NOW,
        tokens_since: Some(NOW),
        changed_at_version: 4,
        last_operation: Some(OperationId::from_bytes([7; 12])),
    };
    Account {
        id: AccountId::from_bytes([1; 12]),
        email_key: Some(email.key()),
        email,
        password_hash: PasswordHash("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into()),
        credential_epoch: 3,
        identity_epoch: 2,
        kept_session: Some(SessionId::from_bytes([2; 12])),
        last_organization: Some(OrganizationId::from_bytes([5; 12])),
        memberships: vec![membership(1), membership(2)],
        last_operation: Some(OperationId::from_bytes([3; 12])),
        removing_since: Some(NOW),
        email_verified_at: Some(NOW),
        links: vec![AccountLink {
            kind: LinkKind::EmailChange,
            email: EmailAddress::parse("New@Example.com").unwrap(),
            delivery: LinkDelivery::Mail,
            secret_hash: [9; 32],
            created_at: NOW,
            expires_at: NOW,
        }],
        created_at: NOW,
        modified_at: NOW,
        version: 1,
    }
}

pub fn session() -> Session {
    Session {
        id: SessionId::from_bytes([1; 12]),
        account_id: AccountId::from_bytes([2; 12]),
        organization_id: OrganizationId::from_bytes([3; 12]),
        credential_epoch: 1,
        membership_epoch: 2,
        organization_epoch: u32::MAX,
        signed_in_at: NOW,
        expires_at: NOW,
        idle_expires_at: NOW,
        generation: 4,
        token_hash: [5; 32],
        used: Some(UsedToken { hash: [6; 32], salt: [0xff; 32], used_at: NOW }),
        version: 1,
    }
}

pub fn api_key() -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_bytes([1; 12]),
        owner: ApiKeyOwner::Organization(OrganizationId::from_bytes([2; 12])),
        name: "$backend".into(),
        hash: ApiKeyHash::from_bytes([3; 32]),
        unconfirmed: None,
        generation: u32::MAX,
        replaced: Some(ReplacedSecret { hash: ApiKeyHash::from_bytes([4; 32]), accepted_until: NOW }),
        permissions: PermissionSet::new(&Permission::ALL),
        organizations: Some(vec![OrganizationId::from_bytes([5; 12]), OrganizationId::from_bytes([6; 12])]),
        maker: Some(ApiKeyMaker { account_id: AccountId::from_bytes([7; 12]), membership_epoch: 8 }),
        created_at: NOW,
        expires_at: Some(NOW),
        last_used_at: Some(NOW),
        version: 1,
    }
}

pub fn invitation() -> Invitation {
    Invitation {
        id: InvitationId::from_bytes([1; 12]),
        organization_id: OrganizationId::from_bytes([2; 12]),
        email: EmailAddress::parse("Guest@Example.com").unwrap(),
        role: Role::Own(own_role("billing").name),
        role_made_at: Some(1 << 40),
        secret_hash: [3; 32],
        inviter: Some(AccountId::from_bytes([4; 12])),
        inviter_key: Some(ApiKeyId::from_bytes([8; 12])),
        created_at: NOW,
        expires_at: NOW,
        mailed: true,
        acceptance: Some(InvitationAcceptance {
            operation_id: OperationId::from_bytes([5; 12]),
            account_id: AccountId::from_bytes([6; 12]),
            accepted_at: NOW,
        }),
        version: 1,
    }
}

pub fn operation_record() -> OperationRecord {
    let member = MemberChange { account_id: AccountId::from_bytes([8; 12]), role: Some(Role::Viewer) };
    let organization = busy(1, "somebody", OperationArguments::ChangeRole(member));
    let operation = organization.operation.as_deref().unwrap();
    OperationRecord::finished(&organization, operation, NOW)
}

pub fn identity() -> Identity {
    Identity {
        id: identity_id("https://login.example.com/", "ada"),
        issuer: "https://login.example.com/".into(),
        subject: "ada".into(),
        account_id: AccountId::from_bytes([2; 12]),
        credential_epoch: 2,
        origin: IdentityOrigin::Invitation,
        created_at: NOW,
    }
}

/// A trail that an import has brought along.
fn carried_trail() -> CarriedTrail {
    let chain = |number| AuditChain::from(OrganizationId::from_bytes([number; 12]));
    CarriedTrail { kept_as: chain(0xa1), chain: chain(0xb2), entries: 3, last: 7, hash: [0xc3; 32] }
}
