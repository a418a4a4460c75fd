//! What a store owes the list of collections in which documents may expire.

use crate::engines::{Subject, in_parallel, on_every_engine};
use crate::given::{self, at};
use jiff::Timestamp;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::store::Expiry;

fn name(text: &str) -> CollectionName {
    CollectionName::parse(text).unwrap()
}

impl Subject {
    async fn announce(&self, organization: OrganizationId, collection: &str, now: Timestamp) {
        self.store.expiries.insert_expiry(organization, &name(collection), now).await.unwrap();
    }

    async fn claim_expiry(&self, now: Timestamp, next: Timestamp) -> Option<Expiry> {
        self.store.expiries.claim_expiry(now, next).await.unwrap()
    }
}

#[test]
fn expiry_is_claimed_when_due_and_the_longest_due_first() {
    on_every_engine(|subject| async move {
        let id = OrganizationId::from_bytes(given::id());
        let expiry = |collection, announced_at| Expiry {
            organization: id,
            collection: name(collection),
            announced_at,
        };
        assert_eq!(subject.claim_expiry(at(9), at(100)).await, None);
        subject.announce(id, "late", at(20)).await;
        subject.announce(id, "early", at(10)).await;
        assert_eq!(subject.claim_expiry(at(9), at(100)).await, None);
        assert_eq!(subject.claim_expiry(at(30), at(100)).await, Some(expiry("early", at(10))));
        assert_eq!(subject.claim_expiry(at(30), at(90)).await, Some(expiry("late", at(20))));
        assert_eq!(subject.claim_expiry(at(89), at(200)).await, None, "others have them");
        assert_eq!(subject.claim_expiry(at(100), at(200)).await, Some(expiry("late", at(20))));
        // Announced once more, it is due at once.
        subject.announce(id, "late", at(150)).await;
        assert_eq!(subject.claim_expiry(at(150), at(300)).await, Some(expiry("early", at(10))));
        assert_eq!(subject.claim_expiry(at(150), at(300)).await, Some(expiry("late", at(150))));
        subject.store.expiries.reschedule_expiry(&expiry("late", at(150)), at(160)).await.unwrap();
        assert_eq!(subject.claim_expiry(at(160), at(300)).await, Some(expiry("late", at(150))));
    });
}

#[test]
fn expiry_is_deleted_unless_announced_since() {
    on_every_engine(|subject| async move {
        let id = OrganizationId::from_bytes(given::id());
        subject.announce(id, "a", at(10)).await;
        let first = subject.claim_expiry(at(10), at(20)).await.unwrap();
        subject.announce(id, "a", at(11)).await;
        subject.store.expiries.delete_expiry(&first).await.unwrap();
        let second = subject.claim_expiry(at(20), at(30)).await.unwrap();
        assert_eq!(second, Expiry { announced_at: at(11), ..first });
        subject.store.expiries.delete_expiry(&second).await.unwrap();
        subject.store.expiries.delete_expiry(&second).await.unwrap();
        // One that is gone does not come back.
        subject.store.expiries.reschedule_expiry(&second, at(1)).await.unwrap();
        assert_eq!(subject.claim_expiry(at(90), at(100)).await, None);
    });
}

#[test]
fn expiry_is_claimed_by_one_of_many_callers() {
    on_every_engine(|subject| async move {
        let id = OrganizationId::from_bytes(given::id());
        for number in 0..20 {
            subject.announce(id, &format!("c{number}"), at(number)).await;
        }
        let asked = subject.clone();
        let claimed = in_parallel(8, move |_| {
            let subject = asked.clone();
            async move {
                let mut claimed = 0;
                while subject.claim_expiry(at(100), at(1000)).await.is_some() {
                    claimed += 1;
                }
                claimed
            }
        });
        assert_eq!(claimed.await.into_iter().sum::<i32>(), 20);
    });
}
