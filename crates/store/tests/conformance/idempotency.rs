//! What a store owes requests that carry a key.

use crate::engines::{Subject, in_parallel, on_every_engine};
use crate::given::{self, at};
use jiff::Timestamp;
use tenantry_domain::idempotency::{
    IdempotencyClaim, IdempotencyKey, IdempotencyRecord, KeyHolder, StoredResponse,
};
use tenantry_domain::ids::OrganizationId;

/// A request whose lease ends after 30 and whose key is kept for 1,000 seconds.
fn request(key: u8, fingerprint: u8) -> IdempotencyRecord {
    IdempotencyRecord {
        key: IdempotencyKey([key; 32]),
        fingerprint: [fingerprint; 32],
        holder: None,
        organization_id: OrganizationId::from_bytes(given::id()),
        lease_until: at(30),
        expires_at: at(1000),
        answer: None,
    }
}

fn answer() -> StoredResponse {
    StoredResponse {
        status: 201,
        headers: vec![("content-type".into(), "application/json".into()), ("etag".into(), "\"1\"".into())],
        body: (0..=u8::MAX).collect(),
    }
}

fn answered(record: &IdempotencyRecord, answer: StoredResponse) -> IdempotencyClaim {
    IdempotencyClaim::Answered { made: record.organization_id, answer }
}

impl Subject {
    async fn claim_key(&self, record: &IdempotencyRecord, now: Timestamp) -> IdempotencyClaim {
        self.store.idempotency_keys.claim_key(record, now).await.unwrap()
    }
}

#[test]
fn idempotency_claim_is_held_until_lease_expires() {
    on_every_engine(|subject| async move {
        let first = request(1, 1);
        assert_eq!(subject.claim_key(&first, at(0)).await, IdempotencyClaim::Granted(first.organization_id));
        assert_eq!(subject.claim_key(&first, at(0)).await, IdempotencyClaim::InProgress);
        let second = IdempotencyRecord { lease_until: at(60), ..request(1, 1) };
        assert_eq!(subject.claim_key(&second, at(29)).await, IdempotencyClaim::InProgress);
        let granted = subject.claim_key(&second, at(30)).await;
        assert_eq!(
            granted,
            IdempotencyClaim::Granted(first.organization_id),
            "what the first one may have made already"
        );
        assert_eq!(
            subject.claim_key(&request(1, 1), at(59)).await,
            IdempotencyClaim::InProgress,
            "a new lease"
        );
        let other = request(2, 1);
        assert_eq!(subject.claim_key(&other, at(0)).await, IdempotencyClaim::Granted(other.organization_id));
    });
}

#[test]
fn idempotency_claim_refuses_other_request_with_same_key() {
    on_every_engine(|subject| async move {
        let record = request(1, 1);
        assert_eq!(
            subject.claim_key(&record, at(0)).await,
            IdempotencyClaim::Granted(record.organization_id)
        );
        assert_eq!(subject.claim_key(&request(1, 2), at(1)).await, IdempotencyClaim::OtherRequest);
        assert_eq!(subject.claim_key(&request(1, 2), at(100)).await, IdempotencyClaim::OtherRequest);
        subject.store.idempotency_keys.save_response(&record.key, &answer()).await.unwrap();
        assert_eq!(subject.claim_key(&request(1, 2), at(100)).await, IdempotencyClaim::OtherRequest);
    });
}

#[test]
fn idempotency_response_is_replayed_byte_for_byte() {
    on_every_engine(|subject| async move {
        let bodiless = StoredResponse { status: 204, headers: vec![], body: vec![] };
        for (key, answer) in [(1, answer()), (2, bodiless)] {
            let record = request(key, 1);
            assert_eq!(
                subject.claim_key(&record, at(0)).await,
                IdempotencyClaim::Granted(record.organization_id)
            );
            subject.store.idempotency_keys.save_response(&record.key, &answer).await.unwrap();
            for second in [1, 500, 1000] {
                let again = subject.claim_key(&request(key, 1), at(second)).await;
                assert_eq!(again, answered(&record, answer.clone()));
            }
        }
    });
}

#[test]
fn idempotency_key_released_is_unused_again() {
    on_every_engine(|subject| async move {
        let first = request(1, 1);
        assert_eq!(subject.claim_key(&first, at(0)).await, IdempotencyClaim::Granted(first.organization_id));
        for _ in 0..2 {
            subject.store.idempotency_keys.release_key(&first.key).await.unwrap();
        }
        let other = request(1, 2);
        assert_eq!(subject.claim_key(&other, at(0)).await, IdempotencyClaim::Granted(other.organization_id));

        // A key that has its response keeps it: a late release changes nothing.
        subject.store.idempotency_keys.save_response(&other.key, &answer()).await.unwrap();
        subject.store.idempotency_keys.release_key(&other.key).await.unwrap();
        assert_eq!(subject.claim_key(&other, at(1)).await, answered(&other, answer()));
    });
}

#[test]
fn idempotency_key_yielded_is_granted_to_next_claim() {
    on_every_engine(|subject| async move {
        let first = request(1, 1);
        subject.store.idempotency_keys.end_lease(&first.key).await.unwrap();
        assert_eq!(subject.claim_key(&first, at(0)).await, IdempotencyClaim::Granted(first.organization_id));
        subject.store.idempotency_keys.end_lease(&first.key).await.unwrap();
        let granted = subject.claim_key(&request(1, 1), at(1)).await;
        assert_eq!(
            granted,
            IdempotencyClaim::Granted(first.organization_id),
            "what the first one may have made already"
        );
        assert_eq!(subject.claim_key(&request(1, 1), at(1)).await, IdempotencyClaim::InProgress);

        subject.store.idempotency_keys.save_response(&first.key, &answer()).await.unwrap();
        subject.store.idempotency_keys.end_lease(&first.key).await.unwrap();
        assert_eq!(subject.claim_key(&request(1, 1), at(1)).await, answered(&first, answer()));
    });
}

#[test]
fn idempotency_response_without_claim_is_not_kept() {
    on_every_engine(|subject| async move {
        let record = request(1, 1);
        subject.store.idempotency_keys.save_response(&record.key, &answer()).await.unwrap();
        assert_eq!(
            subject.claim_key(&record, at(0)).await,
            IdempotencyClaim::Granted(record.organization_id)
        );
    });
}

#[test]
fn idempotency_key_is_granted_once_to_parallel_claims() {
    on_every_engine(|subject| async move {
        let claims = in_parallel(50, |_| {
            let subject = subject.clone();
            async move { subject.claim_key(&request(1, 1), at(0)).await }
        })
        .await;
        let granted = claims.iter().filter(|claim| matches!(claim, IdempotencyClaim::Granted(_))).count();
        let running = claims.iter().filter(|claim| **claim == IdempotencyClaim::InProgress).count();
        assert_eq!((granted, running), (1, 49));
    });
}

#[test]
fn idempotency_key_abandoned_is_granted_once() {
    on_every_engine(|subject| async move {
        let first = request(1, 1);
        assert_eq!(subject.claim_key(&first, at(0)).await, IdempotencyClaim::Granted(first.organization_id));
        let claims = in_parallel(50, |_| {
            let subject = subject.clone();
            let again = IdempotencyRecord { lease_until: at(90), ..request(1, 1) };
            async move { subject.claim_key(&again, at(60)).await }
        })
        .await;
        let granted =
            claims.iter().filter(|claim| **claim == IdempotencyClaim::Granted(first.organization_id)).count();
        let running = claims.iter().filter(|claim| **claim == IdempotencyClaim::InProgress).count();
        assert_eq!((granted, running), (1, 49));
    });
}

#[test]
fn idempotency_keys_are_deleted_once_expired() {
    on_every_engine(|subject| async move {
        let requests = &subject.store.idempotency_keys;
        for key in 1..=3 {
            let record = IdempotencyRecord { expires_at: at(10 * u64::from(key)), ..request(key, 1) };
            assert_eq!(
                subject.claim_key(&record, at(0)).await,
                IdempotencyClaim::Granted(record.organization_id)
            );
            requests.save_response(&record.key, &answer()).await.unwrap();
        }
        // Also one that has not been removed yet.
        let repeated = request(1, 2);
        assert_eq!(subject.claim_key(&repeated, at(10)).await, IdempotencyClaim::OtherRequest);
        assert_eq!(
            subject.claim_key(&repeated, at(11)).await,
            IdempotencyClaim::Granted(repeated.organization_id)
        );

        assert_eq!(requests.delete_expired_keys(at(20), 10).await.unwrap(), 0, "not before, but just now");
        assert_eq!(requests.delete_expired_keys(at(99), 1).await.unwrap(), 1, "not more than asked");
        assert_eq!(requests.delete_expired_keys(at(99), 10).await.unwrap(), 1);
        assert_eq!(requests.delete_expired_keys(at(99), 10).await.unwrap(), 0);
        assert_eq!(subject.claim_key(&repeated, at(12)).await, IdempotencyClaim::InProgress, "others stay");
    });
}

#[test]
fn idempotency_key_bound_is_exact_under_parallel_claims() {
    on_every_engine(|subject| async move {
        let of = |key: u8| IdempotencyRecord {
            holder: Some(KeyHolder::new("account", "one", 8)),
            ..request(key, 1)
        };
        for key in 1..=3 {
            let record = of(key);
            assert_eq!(
                subject.claim_key(&record, at(0)).await,
                IdempotencyClaim::Granted(record.organization_id)
            );
        }
        // Half of them were used before, and are forgotten and not yet removed.
        for key in 100..110 {
            let record = IdempotencyRecord { expires_at: at(1), ..request(key, 1) };
            assert_eq!(
                subject.claim_key(&record, at(0)).await,
                IdempotencyClaim::Granted(record.organization_id)
            );
        }
        let asked = subject.clone();
        let claims = in_parallel(20, move |key| {
            let subject = asked.clone();
            let record = of(100 + u8::try_from(key).unwrap());
            async move { subject.claim_key(&record, at(2)).await }
        })
        .await;
        let granted = claims.iter().filter(|claim| matches!(claim, IdempotencyClaim::Granted(_))).count();
        let refused = claims.iter().filter(|claim| matches!(claim, IdempotencyClaim::TooMany { .. })).count();
        assert_eq!((granted, refused), (5, 15), "{claims:?}");
        for key in 1..=3 {
            assert_eq!(subject.claim_key(&of(key), at(2)).await, IdempotencyClaim::InProgress);
        }
    });
}

#[test]
fn idempotency_new_keys_beyond_bound_of_holder_are_refused() {
    on_every_engine(|subject| async move {
        let holder = |name: &str| Some(KeyHolder::new("account", name, 3));
        let of = |key: u8, name: &str| IdempotencyRecord {
            holder: holder(name),
            expires_at: at(100 + u64::from(key)),
            ..request(key, 1)
        };
        for key in 1..=3 {
            let record = of(key, "one");
            assert_eq!(
                subject.claim_key(&record, at(0)).await,
                IdempotencyClaim::Granted(record.organization_id)
            );
            subject.store.idempotency_keys.save_response(&record.key, &answer()).await.unwrap();
        }
        let until = at(101);
        assert_eq!(subject.claim_key(&of(4, "one"), at(0)).await, IdempotencyClaim::TooMany { until });
        // Others are not held back, nor is one that nobody counts, nor a key that has been answered.
        for other in [of(5, "two"), IdempotencyRecord { holder: None, ..request(6, 1) }] {
            assert_eq!(
                subject.claim_key(&other, at(0)).await,
                IdempotencyClaim::Granted(other.organization_id)
            );
        }
        for key in 1..=3 {
            assert!(matches!(
                subject.claim_key(&of(key, "one"), at(100)).await,
                IdempotencyClaim::Answered { .. }
            ));
        }
        // Each that expires makes room for one, removed or not, and so does one that is let go.
        let next = of(4, "one");
        assert_eq!(subject.claim_key(&next, at(102)).await, IdempotencyClaim::Granted(next.organization_id));
        assert!(matches!(subject.claim_key(&of(7, "one"), at(102)).await, IdempotencyClaim::TooMany { .. }));
        subject.store.idempotency_keys.release_key(&next.key).await.unwrap();
        let next = of(7, "one");
        assert_eq!(subject.claim_key(&next, at(102)).await, IdempotencyClaim::Granted(next.organization_id));
        subject.store.idempotency_keys.delete_expired_keys(at(103), 10).await.unwrap();
        let next = of(8, "one");
        assert_eq!(subject.claim_key(&next, at(103)).await, IdempotencyClaim::Granted(next.organization_id));
        assert!(matches!(subject.claim_key(&of(9, "one"), at(103)).await, IdempotencyClaim::TooMany { .. }));
    });
}
