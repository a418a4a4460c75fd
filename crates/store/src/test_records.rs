//! Records for the tests of this crate.

use jiff::Timestamp;
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::name::OrganizationName;
use tenantry_domain::organization::{Naming, Organization, Placement, Quota, State};
use tenantry_domain::role::OwnRoles;

pub fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_123 + milliseconds).unwrap()
}

pub fn organization() -> Organization {
    let naming = Naming::new(OrganizationName::parse("Organization 99999").unwrap(), "tenant_");
    Organization {
        id: OrganizationId::from_bytes([1; 12]),
        reserved: naming.reserved(),
        naming,
        state: State::Active,
        suspended: false,
        placement: Placement::Database,
        container: None,
        owner_id: AccountId::from_bytes([2; 12]),
        owners: vec![AccountId::from_bytes([2; 12])],
        members: 1,
        roles: OwnRoles::default(),
        trails: Vec::new(),
        token_epoch: 0,
        token_epoch_since: None,
        delete_protection: false,
        legal_hold: false,
        quota: Quota::default(),
        created_at: moment(0),
        modified_at: moment(1),
        deleted_at: None,
        purge_at: None,
        version: 2,
        operation: None,
    }
}
