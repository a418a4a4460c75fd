//! Who owns an organization.

use super::*;
use crate::name::OrganizationName;

fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 12])
}

/// As an earlier version stored it: with one owner, and without a list of owners.
fn organization() -> Organization {
    let naming = Naming::new(OrganizationName::parse("Acme").unwrap(), "tenant_");
    let organization = Organization {
        id: OrganizationId::from_bytes([1; 12]),
        reserved: naming.reserved(),
        naming,
        state: State::Active,
        suspended: false,
        placement: Placement::Database,
        container: None,
        owner_id: account(1),
        owners: Vec::new(),
        members: 9,
        roles: OwnRoles::default(),
        trails: Vec::new(),
        token_epoch: 0,
        token_epoch_since: None,
        delete_protection: false,
        legal_hold: false,
        quota: Quota::default(),
        created_at: Timestamp::UNIX_EPOCH,
        modified_at: Timestamp::UNIX_EPOCH,
        deleted_at: None,
        purge_at: None,
        version: 1,
        operation: None,
    };
    let mut json = serde_json::to_value(&organization).unwrap();
    for member in ["owners", "members"] {
        assert!(json.as_object_mut().unwrap().remove(member).is_some(), "{member}");
    }
    serde_json::from_value(json).unwrap()
}

#[test]
fn organization_of_an_earlier_version_has_its_one_owner() {
    let organization = organization();
    assert_eq!((organization.owners(), organization.members), (&[account(1)][..], 1));
    assert!(organization.is_owner(account(1)) && !organization.is_owner(account(2)));
    assert_eq!(organization.admin_id(), account(1));
}

#[test]
fn organization_keeps_its_last_owner() {
    let mut organization = organization();
    assert_eq!(organization.remove_owner(account(1)).unwrap_err().code(), ErrorCode::LastOwner);
    organization.add_owner(account(2)).unwrap();
    organization.add_owner(account(2)).unwrap();
    assert_eq!(organization.owners(), [account(1), account(2)]);
    organization.remove_owner(account(1)).unwrap();
    assert_eq!(organization.remove_owner(account(2)).unwrap_err().code(), ErrorCode::LastOwner);
    assert_eq!(organization.owners(), [account(2)]);
}

#[test]
fn organization_shows_the_owner_of_its_creation_first() {
    let mut organization = organization();
    for number in [2, 3] {
        organization.add_owner(account(number)).unwrap();
    }
    assert_eq!(organization.admin_id(), account(1));
    organization.remove_owner(account(1)).unwrap();
    assert_eq!(organization.admin_id(), account(2));
    organization.add_owner(account(1)).unwrap();
    assert_eq!(organization.admin_id(), account(1));
}

#[test]
fn organization_has_a_limited_number_of_owners() {
    let mut organization = organization();
    for number in 1..OWNERS_MAX {
        organization.add_owner(account(u8::try_from(number).unwrap() + 1)).unwrap();
    }
    let refused = organization.add_owner(account(u8::MAX)).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::TooManyMembers);
    assert_eq!(organization.owners().len(), OWNERS_MAX);
}
