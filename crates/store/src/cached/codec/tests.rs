//! Every record decodes to itself, and usual ones take few bytes.

use super::*;
use crate::test_records::{moment, organization};
use jiff::Timestamp;
use tenantry_domain::account::{Account, Membership, PasswordHash, Role};
use tenantry_domain::api_key::{ApiKey, ApiKeyHash, ApiKeyMaker, ApiKeyOwner, ReplacedSecret};
use tenantry_domain::audit::AuditChain;
use tenantry_domain::audit::carried::CarriedTrail;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::identity::{Identity, IdentityOrigin};
use tenantry_domain::ids::{AccountId, ApiKeyId, IdentityId, OperationId, OrganizationId, SessionId};
use tenantry_domain::name::OrganizationName;
use tenantry_domain::organization::{ContainerId, Naming, Organization, Placement, State};
use tenantry_domain::permission::{Permission, PermissionSet, SERVICE_KEY_PERMISSIONS};
use tenantry_domain::role::{OwnRole, RoleDescription, RoleName};
use tenantry_domain::session::{Session, UsedToken};

const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg";

fn own_role(number: usize) -> OwnRole {
    OwnRole {
        name: RoleName::parse(&format!("role-{number}")).unwrap(),
        description: RoleDescription::parse(if number == 0 { "" } else { "読む" }).unwrap(),
        permissions: PermissionSet::new(&Permission::ALL[..number % 14]),
        created_at: moment(1),
        modified_at: moment(2),
        made_at_version: 3,
        version: u64::MAX,
    }
}

fn account() -> Account {
    let email = EmailAddress::parse("admin99999@example.com").unwrap();
    Account {
        id: AccountId::from_bytes([2; 12]),
        email_key: Some(email.key()),
        email,
        password_hash: PasswordHash(HASH.into()),
        credential_epoch: 0,
        identity_epoch: 0,
        kept_session: None,
        last_organization: None,
        memberships: vec![membership(1, Role::Owner)],
        last_operation: None,
        removing_since: None,
        email_verified_at: Some(moment(3)),
        links: Vec::new(),
        created_at: moment(0),
        modified_at: moment(1),
        version: 1,
    }
}

fn membership(number: u8, role: Role) -> Membership {
    Membership {
        organization_id: OrganizationId::from_bytes([number; 12]),
        role,
        epoch: 300,
        since: moment(2),
        tokens_since: number.is_multiple_of(3).then_some(moment(1)),
        changed_at_version: u64::from(number),
        last_operation: number.is_multiple_of(2).then_some(OperationId::from_bytes([number; 12])),
    }
}

fn session() -> Session {
    Session {
        id: SessionId::from_bytes([3; 12]),
        account_id: AccountId::from_bytes([2; 12]),
        organization_id: OrganizationId::from_bytes([1; 12]),
        credential_epoch: 1,
        membership_epoch: 2,
        organization_epoch: 3,
        signed_in_at: moment(0),
        expires_at: moment(1),
        idle_expires_at: moment(2),
        generation: 4,
        token_hash: [5; 32],
        used: None,
        version: 6,
    }
}

fn carried_trail() -> CarriedTrail {
    let chain = |number| AuditChain::from(OrganizationId::from_bytes([number; 12]));
    CarriedTrail { kept_as: chain(0xa1), chain: chain(0xb2), entries: 3, last: 7, hash: [0xc3; 32] }
}

fn api_key() -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_bytes([4; 12]),
        owner: ApiKeyOwner::Installation,
        name: "backend".into(),
        hash: ApiKeyHash::from_bytes([5; 32]),
        unconfirmed: None,
        generation: 0,
        replaced: None,
        permissions: SERVICE_KEY_PERMISSIONS,
        organizations: None,
        maker: None,
        created_at: moment(0),
        expires_at: None,
        last_used_at: None,
        version: 1,
    }
}

/// The bytes of `record`, after a check that they decode to it.
#[track_caller]
fn kept<T: Encode + std::fmt::Debug>(record: &T) -> u8 {
    let bytes = pack(record).unwrap();
    assert_eq!(unpack::<T>(&bytes).as_ref(), Some(record));
    for end in 0..bytes.len() {
        assert_eq!(unpack::<T>(&bytes[..end]), None, "cut off after {end} bytes");
    }
    bytes[0]
}

#[test]
fn codec_round_trips_organizations() {
    let naming = Naming::new(OrganizationName::parse("Яндекс 株式会社").unwrap(), "t_");
    let changed = Organization {
        reserved: naming.reserved(),
        naming,
        suspended: true,
        container: Some(ContainerId([7; 16])),
        owners: vec![AccountId::from_bytes([2; 12]), AccountId::from_bytes([3; 12])],
        members: 100_000,
        roles: (0..32).map(own_role).collect(),
        trails: vec![carried_trail(), carried_trail()],
        token_epoch: u32::MAX,
        token_epoch_since: Some(moment(5)),
        delete_protection: true,
        legal_hold: true,
        deleted_at: Some(moment(3)),
        purge_at: Some(moment(4)),
        version: u64::MAX,
        ..organization()
    };
    assert_eq!((kept(&organization()), kept(&changed)), (PACKED, PACKED));
    for state in [State::Provisioning, State::Active, State::Deleted, State::Purging] {
        for placement in [Placement::Collection, Placement::Database, Placement::Shared] {
            assert_eq!(kept(&Organization { state, placement, ..organization() }), PACKED);
        }
    }
}

#[test]
fn codec_round_trips_accounts() {
    let shown = EmailAddress::parse("Admin@TechCorp.com").unwrap();
    let roles = [Role::Viewer, Role::Member, Role::Admin, Role::Owner, Role::Own(own_role(7).name)];
    let changed = Account {
        email_key: Some(shown.key()),
        email: shown,
        credential_epoch: u32::MAX,
        identity_epoch: u32::MAX - 1,
        last_organization: Some(OrganizationId::from_bytes([4; 12])),
        kept_session: Some(SessionId::from_bytes([8; 12])),
        memberships: (0..200).map(|number| membership(number, roles[usize::from(number % 5)])).collect(),
        last_operation: Some(OperationId::from_bytes([9; 12])),
        ..account()
    };
    let hidden = Account { email_key: None, memberships: Vec::new(), ..account() };
    assert_eq!([kept(&account()), kept(&changed), kept(&hidden)], [PACKED; 3]);
    assert_eq!(kept(&account().being_removed(moment(3))), JSON);
}

#[test]
fn codec_round_trips_sessions() {
    let used = UsedToken { hash: [1; 32], salt: [2; 32], used_at: moment(5) };
    assert_eq!([kept(&session()), kept(&Session { used: Some(used), ..session() })], [PACKED; 2]);
}

#[test]
fn codec_round_trips_api_keys() {
    let organization = |number| OrganizationId::from_bytes([number; 12]);
    let replaced = ReplacedSecret { hash: ApiKeyHash::from_bytes([1; 32]), accepted_until: moment(5) };
    let changed = ApiKey {
        owner: ApiKeyOwner::Organization(organization(6)),
        unconfirmed: None,
        generation: u32::MAX,
        replaced: Some(replaced),
        organizations: Some((0..100).map(organization).collect()),
        maker: Some(ApiKeyMaker { account_id: AccountId::from_bytes([7; 12]), membership_epoch: u32::MAX }),
        expires_at: Some(moment(6)),
        last_used_at: Some(moment(7)),
        version: u64::MAX,
        ..api_key()
    };
    let unconfirmed =
        ApiKey { hash: ApiKeyHash::NONE, unconfirmed: Some(ApiKeyHash::from_bytes([8; 32])), ..api_key() };
    assert_eq!(kept(&unconfirmed), JSON);
    let limited_to_none = ApiKey { organizations: Some(Vec::new()), ..api_key() };
    assert_eq!([kept(&api_key()), kept(&changed), kept(&limited_to_none)], [PACKED; 3]);
    for permission in Permission::ALL {
        assert_eq!(kept(&ApiKey { permissions: PermissionSet::new(&[permission]), ..api_key() }), PACKED);
    }
    assert_eq!(kept(&ApiKey { permissions: PermissionSet::new(&Permission::ALL), ..api_key() }), PACKED);
}

#[test]
fn codec_round_trips_identities() {
    for origin in [IdentityOrigin::Invitation, IdentityOrigin::Address, IdentityOrigin::Account] {
        let identity = Identity {
            id: IdentityId::from_bytes([4; 12]),
            issuer: "https://login.example.com/".into(),
            subject: "用户|1".into(),
            account_id: AccountId::from_bytes([2; 12]),
            credential_epoch: 300,
            origin,
            created_at: moment(0),
        };
        assert_eq!(kept(&identity), PACKED);
    }
}

#[test]
fn codec_falls_back_to_json_for_unusual_records() {
    let moved = Organization { reserved: Vec::new(), ..organization() };
    let fine = Timestamp::from_nanosecond(1).unwrap();
    assert_eq!(kept(&moved), JSON);
    assert_eq!(kept(&Session { signed_in_at: fine, ..session() }), JSON);
}

#[test]
fn codec_packs_usual_record_in_few_bytes() {
    let sizes = [pack(&organization()).unwrap().len(), pack(&account()).unwrap().len()];
    assert!(sizes[0] <= 120 && sizes[1] <= 200, "{sizes:?}");
}
