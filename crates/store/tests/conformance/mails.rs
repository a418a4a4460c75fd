//! What a store owes the queue of mails.

use crate::engines::{Subject, in_parallel, on_every_engine};
use crate::given::{self, at};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;
use tenantry_domain::ids::{MailId, OrganizationId};
use tenantry_domain::mail::QueuedMail;
use tenantry_domain::store::BoundedInsert::{Exists, Full, New};
use tenantry_domain::store::UpdateOutcome::{Done, Stale};

const LIMIT: u32 = 100;
const LEASE: Duration = Duration::from_secs(300);

fn mail(due_at: Timestamp) -> QueuedMail {
    QueuedMail {
        id: MailId::from_bytes(given::id()),
        organization_id: Some(OrganizationId::from_bytes(given::id())),
        sealed: vec![0, 1, 0xff],
        attempts: 0,
        due_at,
        expires_at: at(1000),
        created_at: at(0),
        version: 1,
    }
}

impl Subject {
    async fn insert_mail(&self, due_at: Timestamp) -> QueuedMail {
        let mail = mail(due_at);
        assert_eq!(self.store.mails.insert_mail(&mail, LIMIT).await.unwrap(), New);
        mail
    }

    async fn claim_mail(&self, now: Timestamp, lease: Duration) -> Option<QueuedMail> {
        self.store.mails.claim_mail(now, lease).await.unwrap()
    }
}

#[test]
fn mail_is_claimed_once_due_and_the_longest_due_first() {
    on_every_engine(|subject| async move {
        let (late, early) = (subject.insert_mail(at(20)).await, subject.insert_mail(at(10)).await);
        assert_eq!(subject.claim_mail(at(9), LEASE).await, None);
        let claimed = subject.claim_mail(at(30), LEASE).await.unwrap();
        assert_eq!(claimed, QueuedMail { attempts: 1, version: 2, ..early });
        let claimed = subject.claim_mail(at(30), LEASE).await.unwrap();
        assert_eq!(claimed, QueuedMail { attempts: 1, version: 2, ..late });
        assert_eq!(subject.claim_mail(at(31), LEASE).await, None, "others have them");
    });
}

#[test]
fn mail_comes_back_when_its_lease_ends_or_it_is_updated() {
    on_every_engine(|subject| async move {
        subject.insert_mail(at(10)).await;
        subject.claim_mail(at(10), Duration::ZERO).await.unwrap();
        let claimed = subject.claim_mail(at(10), LEASE).await.unwrap();
        assert_eq!((claimed.attempts, claimed.version), (2, 3));
        assert_eq!(subject.claim_mail(at(10), LEASE).await, None);
        let later = claimed.rescheduled(at(50));
        assert_eq!(subject.store.mails.update_mail(&later).await.unwrap(), Done);
        assert_eq!(subject.store.mails.update_mail(&later).await.unwrap(), Stale);
        assert_eq!(subject.claim_mail(at(49), LEASE).await, None);
        let claimed = subject.claim_mail(at(50), LEASE).await.unwrap();
        assert_eq!(claimed, QueuedMail { attempts: 3, version: 5, ..later });
        assert_eq!(subject.store.mails.delete_mail(claimed.id, 4).await.unwrap(), Stale);
        assert_eq!(subject.store.mails.delete_mail(claimed.id, 5).await.unwrap(), Done);
        assert_eq!(subject.store.mails.delete_mail(claimed.id, 5).await.unwrap(), Stale);
        assert_eq!(subject.store.mails.count_mails().await.unwrap(), 0);
    });
}

#[test]
fn mail_is_inserted_once_and_within_the_limit() {
    on_every_engine(|subject| async move {
        let mails = &subject.store.mails;
        let first = subject.insert_mail(at(10)).await;
        assert_eq!(mails.insert_mail(&first, LIMIT).await.unwrap(), Exists);
        assert_eq!(mails.insert_mail(&mail(at(10)), 2).await.unwrap(), New);
        assert_eq!(mails.insert_mail(&mail(at(10)), 2).await.unwrap(), Full);
        assert_eq!(mails.count_mails().await.unwrap(), 2);
        let installation = QueuedMail { organization_id: None, ..mail(at(5)) };
        assert_eq!(mails.insert_mail(&installation, LIMIT).await.unwrap(), New);
        assert_eq!(subject.claim_mail(at(5), LEASE).await.unwrap().organization_id, None);
    });
}

#[test]
fn mails_claimed_in_parallel_have_one_owner_each() {
    on_every_engine(|subject| async move {
        for _ in 0..20 {
            subject.insert_mail(at(10)).await;
        }
        let claims = in_parallel(60, |_| {
            let subject = subject.clone();
            async move { subject.claim_mail(at(10), LEASE).await }
        })
        .await;
        let claimed: Vec<_> = claims.into_iter().flatten().map(|mail| mail.id).collect();
        assert_eq!((claimed.len(), claimed.iter().collect::<BTreeSet<_>>().len()), (20, 20));
    });
}
