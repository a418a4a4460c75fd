//! A lease whose renewals fail, are lost on their way back, or come too late.

use super::*;
use crate::ids::{AccountId, OperationId, OrganizationId};
use crate::name::{Identifier, OrganizationName};
use crate::operation::{Actor, Operation, OperationArguments};
use crate::organization::{Naming, Placement, Quota, State, Status};
use crate::store::{InsertOutcome, OrganizationQuery};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The result of a renewal.
#[derive(Clone, Copy, PartialEq)]
enum RenewalResult {
    Saved,
    Refused,
    /// It is saved, but the response is lost.
    Unheard,
}

/// One record, and the results of the next renewals; later ones are saved.
struct ScriptedOrganizations {
    record: Mutex<Organization>,
    renewals: Mutex<Vec<RenewalResult>>,
}

fn not_asked<T>() -> Result<T> {
    Err(Error::internal("a lease asks for nothing of that sort"))
}

#[async_trait]
impl Organizations for ScriptedOrganizations {
    async fn get_organization(&self, _: OrganizationId) -> Result<Option<Arc<Organization>>> {
        Ok(Some(Arc::new(self.record.lock().unwrap().clone())))
    }

    async fn update_organization(&self, next: &Organization) -> Result<UpdateOutcome> {
        let mut renewals = self.renewals.lock().unwrap();
        let renewal = if renewals.is_empty() { RenewalResult::Saved } else { renewals.remove(0) };
        let mut record = self.record.lock().unwrap();
        if renewal == RenewalResult::Refused {
            return Err(Error::unavailable("not now"));
        }
        if record.version + 1 != next.version {
            return Ok(UpdateOutcome::Stale);
        }
        *record = next.clone();
        if renewal == RenewalResult::Unheard {
            Err(Error::unavailable("no answer"))
        } else {
            Ok(UpdateOutcome::Done)
        }
    }

    async fn insert_organization(&self, _: &Organization) -> Result<InsertOutcome> {
        not_asked()
    }

    async fn find_organization(&self, _: &Identifier) -> Result<Option<Arc<Organization>>> {
        not_asked()
    }

    async fn find_organization_of_operation(&self, _: OperationId) -> Result<Option<Arc<Organization>>> {
        not_asked()
    }

    async fn list_organizations(&self, _: &OrganizationQuery, _: u32) -> Result<Vec<Arc<Organization>>> {
        not_asked()
    }

    async fn count_organizations(&self, _: Status) -> Result<u64> {
        not_asked()
    }

    async fn list_organizations_to_purge(&self, _: Timestamp, _: u32) -> Result<Vec<Arc<Organization>>> {
        not_asked()
    }

    async fn delete_organization(&self, _: OrganizationId, _: u64) -> Result<UpdateOutcome> {
        not_asked()
    }

    async fn claim_operations(&self, _: &str, _: u32) -> Result<Vec<Arc<Organization>>> {
        not_asked()
    }
}

struct Always;

impl Clock for Always {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

fn purging() -> Organization {
    let naming = Naming::new(OrganizationName::parse("Acme").unwrap(), "tenant_");
    Organization {
        id: OrganizationId::from_bytes([1; 12]),
        naming,
        reserved: Vec::new(),
        state: State::Purging,
        suspended: false,
        placement: Placement::Shared,
        container: None,
        owner_id: AccountId::from_bytes([2; 12]),
        owners: Vec::new(),
        members: 1,
        roles: crate::role::OwnRoles::default(),
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
        version: 7,
        operation: Some(Box::new(Operation {
            id: OperationId::from_bytes([3; 12]),
            actor: Actor::Operator,
            arguments: OperationArguments::Purge,
            done: 0,
            fence: 1,
            owner: "one".into(),
            refused: None,
            undone: 0,
            documents: None,
            imported: None,
            started_at: Timestamp::UNIX_EPOCH,
            origin: None,
        })),
    }
}

/// How work of `seconds` ends if its renewals have those `renewals`; then the record as the lease knows it, and
/// as it is.
async fn held(
    seconds: u64,
    renewals: &[RenewalResult],
) -> (Result<(), Interrupted>, Organization, Organization) {
    let mut organization = purging();
    let store = ScriptedOrganizations {
        record: Mutex::new(organization.clone()),
        renewals: Mutex::new(renewals.to_vec()),
    };
    let mut term = LeaseTimer::new();
    let documents = None;
    let mut lease =
        Lease { store: &store, clock: &Always, organization: &mut organization, term: &mut term, documents };
    let mut outcome = lease.hold(tokio::time::sleep(Duration::from_secs(seconds))).await;
    if outcome.is_ok() {
        outcome = lease.settle().await;
    }
    (outcome, organization, store.record.into_inner().unwrap())
}

#[tokio::test(start_paused = true)]
async fn lease_is_renewed_while_work_goes_on() {
    let (outcome, known, saved) = held(61, &[]).await;
    assert!(outcome.is_ok());
    assert_eq!((known.version, saved.version), (37, 37));
}

#[tokio::test(start_paused = true)]
async fn lease_survives_failed_renewals_until_it_expires() {
    for renewal in [RenewalResult::Refused, RenewalResult::Unheard] {
        let (outcome, known, saved) = held(30, &[renewal; 3]).await;
        assert!(outcome.is_ok());
        assert_eq!(known, saved, "what comes next is saved on top of it");
        // Work that ends while the record is in doubt.
        let (outcome, known, saved) = held(3, &[renewal]).await;
        assert!(outcome.is_ok());
        assert_eq!(known, saved);
    }
    let (outcome, ..) = held(30, &[RenewalResult::Refused; 9]).await;
    assert!(matches!(outcome, Err(Interrupted::Failed(_))));
}

#[tokio::test(start_paused = true)]
async fn lease_holder_stops_when_another_has_the_operation() {
    let mut organization = purging();
    let mut taken = organization.successor(Timestamp::UNIX_EPOCH);
    taken.operation.as_mut().unwrap().fence += 1;
    let store = ScriptedOrganizations { record: Mutex::new(taken.clone()), renewals: Mutex::new(Vec::new()) };
    let mut term = LeaseTimer::new();
    let documents = None;
    let mut lease =
        Lease { store: &store, clock: &Always, organization: &mut organization, term: &mut term, documents };
    let began = Instant::now();
    let outcome = lease.hold_or_stop(tokio::time::sleep(Duration::from_secs(600))).await;
    assert!(matches!(outcome, Err(Interrupted::Lost)));
    assert!(began.elapsed() < OPERATION_LEASE);
    assert_eq!(store.record.into_inner().unwrap(), taken);
}
