//! Operations whose lease has run out, and who takes them over.

use super::MARGIN;
use crate::engines::{in_parallel, on_every_engine};
use crate::given::{self, Next, organization};
use std::collections::BTreeSet;
use tenantry_domain::limits::OPERATION_LEASE;
use tenantry_domain::operation::OperationArguments;
use tenantry_domain::store::UpdateOutcome::Stale;

#[test]
fn operation_takeover_waits_for_lease_expiry() {
    on_every_engine(|subject| async move {
        let mut record = organization("Acme");
        record.operation = Some(given::operation("me", OperationArguments::Delete));
        subject.insert(&record).await;
        subject.insert(&organization("Idle")).await;
        assert_eq!(subject.claim("me", 10).await, []);
        subject.engine.let_pass(OPERATION_LEASE - MARGIN).await;
        assert_eq!(subject.claim("me", 10).await, []);
        subject.engine.let_pass(MARGIN).await;

        let mut expected = record.clone();
        expected.version += 1;
        expected.operation.as_mut().unwrap().fence += 1;
        assert_eq!(subject.claim("me", 10).await, [expected.clone()]);
        assert_eq!(subject.get(record.id).await, Some(expected), "and that is what is stored");
        assert_eq!(subject.claim("me", 10).await, [], "it has a new lease");

        // The previous owner has lost it.
        let saved = subject.store.organizations.update_organization(&record.next()).await;
        assert_eq!(saved.unwrap(), Stale);
    });
}

#[test]
fn operation_lease_is_renewed_by_every_save() {
    on_every_engine(|subject| async move {
        let mut record = organization("Acme");
        record.operation = Some(given::operation("me", OperationArguments::Delete));
        let mut record = subject.insert(&record).await;
        for _ in 0..3 {
            subject.engine.let_pass(OPERATION_LEASE - MARGIN).await;
            assert_eq!(subject.claim("me", 10).await, []);
            record = subject.change(&record, |_| ()).await;
        }
        let record = subject.change(&record, |next| next.operation = None).await;
        subject.engine.let_pass(2 * OPERATION_LEASE).await;
        assert_eq!(subject.claim("me", 10).await, [], "nothing is under way any more");

        subject
            .change(&record, |next| next.operation = Some(given::operation("me", OperationArguments::Delete)))
            .await;
        subject.engine.let_pass(OPERATION_LEASE - MARGIN).await;
        assert_eq!(subject.claim("me", 10).await, [], "a lease begins with the intent");
        subject.engine.let_pass(MARGIN).await;
        assert_eq!(subject.claim("me", 10).await.len(), 1);
    });
}

#[test]
fn operation_takeover_is_immediate_on_single_process_engine() {
    on_every_engine(|subject| async move {
        if !subject.engine.is_one_process() {
            return;
        }
        for (number, owner) in ["aa", "mm", "zz", "mm"].into_iter().enumerate() {
            let mut record = organization(&format!("Number {number}"));
            record.operation = Some(given::operation(owner, OperationArguments::Delete));
            subject.insert(&record).await;
        }
        let claimed = subject.claim("mm", 10).await;
        let owners = claimed.iter().map(|record| record.operation.as_ref().unwrap().owner.as_str());
        assert_eq!(owners.collect::<Vec<_>>(), ["mm", "mm"], "of those of others, and none of its own");
        assert_eq!(subject.claim("mm", 10).await, []);
    });
}

#[test]
fn operation_takeover_is_bounded_and_happens_once() {
    on_every_engine(|subject| async move {
        for number in 0..25 {
            let mut record = organization(&format!("Number {number}"));
            record.operation = Some(given::operation("me", OperationArguments::Delete));
            subject.insert(&record).await;
        }
        subject.engine.let_pass(OPERATION_LEASE).await;
        assert_eq!(subject.claim("me", 3).await.len(), 3);
        let rounds = in_parallel(8, |_| {
            let subject = subject.clone();
            async move { subject.claim("me", 4).await }
        })
        .await;
        let claimed: Vec<_> = rounds.into_iter().flatten().collect();
        let distinct: BTreeSet<_> = claimed.iter().map(|record| record.id).collect();
        assert_eq!((claimed.len(), distinct.len()), (22, 22));
        assert!(claimed.iter().all(|record| record.operation.as_ref().unwrap().fence == 1));
    });
}
