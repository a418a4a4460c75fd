//! What a store owes the records of sessions.

use crate::engines::{Subject, in_parallel, on_every_engine};
use crate::given::{self, Next, at, session};
use std::collections::BTreeSet;
use std::sync::Arc;
use tenantry_domain::ids::{AccountId, OrganizationId, SessionId};
use tenantry_domain::session::Session;
use tenantry_domain::store::UpdateOutcome::{Done, Stale};

impl Subject {
    async fn insert_session(&self, session: Session) -> Session {
        self.store.sessions.insert_session(&session, None).await.unwrap();
        session
    }

    async fn session(&self, id: SessionId) -> Option<Session> {
        let recent = self.store.sessions.get_recent_session(id).await.unwrap();
        let now = self.store.sessions.get_session(id).await.unwrap();
        assert_eq!(recent, now, "who has changed it sees that at once");
        now.map(Arc::unwrap_or_clone)
    }

    /// Those of `ids` that are still there.
    async fn left(&self, ids: &[SessionId]) -> Vec<SessionId> {
        let mut left = Vec::new();
        for id in ids {
            left.extend(self.session(*id).await.map(|session| session.id));
        }
        left
    }
}

fn organization_id() -> OrganizationId {
    OrganizationId::from_bytes(given::id())
}

#[test]
fn session_round_trips_even_when_expired() {
    on_every_engine(|subject| async move {
        for record in [
            session(organization_id(), at(5)),
            Session { used: None, expires_at: at(0), ..session(organization_id(), at(0)) },
        ] {
            let record = subject.insert_session(record).await;
            for _ in 0..2 {
                assert_eq!(subject.session(record.id).await, Some(record.clone()));
            }
        }
        assert_eq!(subject.session(session(organization_id(), at(5)).id).await, None);
    });
}

#[test]
fn session_update_requires_the_version_before_it() {
    on_every_engine(|subject| async move {
        let record =
            subject.insert_session(Session { version: 5, ..session(organization_id(), at(5)) }).await;
        assert_eq!(subject.session(record.id).await, Some(record.clone()));
        for version in [0, 1, 4, 5, 7] {
            let wrong = Session { version, generation: 99, ..record.clone() };
            assert_eq!(subject.store.sessions.update_session(&wrong).await.unwrap(), Stale);
            assert_eq!(subject.session(record.id).await, Some(record.clone()));
        }
        let next = record.next();
        assert_eq!(subject.store.sessions.update_session(&next).await.unwrap(), Done);
        assert_eq!(subject.session(record.id).await, Some(next));
        let unknown = session(organization_id(), at(5)).next();
        assert_eq!(subject.store.sessions.update_session(&unknown).await.unwrap(), Stale);
        assert_eq!(subject.session(unknown.id).await, None);
    });
}

#[test]
fn session_token_is_exchanged_once_in_parallel() {
    on_every_engine(|subject| async move {
        let record = subject.insert_session(session(organization_id(), at(5))).await;
        let outcomes = in_parallel(50, |number| {
            let (subject, next) =
                (subject.clone(), Session { generation: 100 + number as u32, ..record.next() });
            async move { (next.generation, subject.store.sessions.update_session(&next).await.unwrap()) }
        })
        .await;
        let done: Vec<_> = outcomes.into_iter().filter(|(_, written)| *written == Done).collect();
        assert_eq!(done.len(), 1);
        assert_eq!(subject.session(record.id).await.unwrap().generation, done[0].0);
    });
}

#[test]
fn session_delete_is_idempotent() {
    on_every_engine(|subject| async move {
        let (record, other) = (session(organization_id(), at(5)), session(organization_id(), at(5)));
        let (record, other) = (subject.insert_session(record).await, subject.insert_session(other).await);
        assert!(subject.session(record.id).await.is_some());
        for _ in 0..2 {
            subject.store.sessions.delete_session(record.id, None).await.unwrap();
            assert_eq!(subject.session(record.id).await, None);
        }
        assert_eq!(subject.session(other.id).await, Some(other));
    });
}

#[test]
fn session_delete_by_organization_works_in_batches() {
    on_every_engine(|subject| async move {
        let (here, there) = (organization_id(), organization_id());
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(subject.insert_session(session(here, at(5))).await.id);
        }
        let other = subject.insert_session(session(there, at(5))).await;
        assert_eq!(subject.left(&ids).await, ids);

        let mut removed = BTreeSet::new();
        for expected in [2, 2, 1, 0] {
            let batch = subject.store.sessions.delete_sessions_of(here, 2).await.unwrap();
            assert_eq!(batch.len(), expected);
            removed.extend(batch);
            let left: BTreeSet<_> = subject.left(&ids).await.into_iter().collect();
            assert!(left.is_disjoint(&removed), "what was named is gone");
            assert_eq!(left.len() + removed.len(), 5, "and nothing else");
        }
        assert_eq!(subject.session(other.id).await, Some(other));
    });
}

#[test]
fn session_cleanup_deletes_idle_and_expired_ones() {
    on_every_engine(|subject| async move {
        let here = organization_id();
        let idle = subject.insert_session(session(here, at(10))).await.id;
        let absolute =
            subject.insert_session(Session { expires_at: at(20), ..session(here, at(99)) }).await.id;
        let kept = subject.insert_session(session(here, at(30))).await;
        let all = [idle, absolute, kept.id];
        assert_eq!(subject.left(&all).await, all);

        let sessions = &subject.store.sessions;
        assert_eq!(
            sessions.delete_expired_sessions(at(10), 10).await.unwrap(),
            [],
            "not before, but just now"
        );
        assert_eq!(sessions.delete_expired_sessions(at(25), 1).await.unwrap(), [idle], "not more than asked");
        assert_eq!(subject.left(&all).await, all[1..]);
        assert_eq!(sessions.delete_expired_sessions(at(25), 10).await.unwrap(), [absolute]);

        // One that is used goes on for longer.
        let used = Session { idle_expires_at: at(60), ..kept.next() };
        assert_eq!(sessions.update_session(&used).await.unwrap(), Done);
        assert_eq!(sessions.delete_expired_sessions(at(50), 10).await.unwrap(), []);
        assert_eq!(subject.session(kept.id).await, Some(used));
    });
}

/// A session of that account that ends then, unused.
fn session_of(account_id: AccountId, ends: u64) -> Session {
    Session { account_id, ..session(organization_id(), at(ends)) }
}

#[test]
fn session_list_of_account_is_in_order_of_ids_and_pages() {
    on_every_engine(|subject| async move {
        let (account, other) = (AccountId::from_bytes(given::id()), AccountId::from_bytes(given::id()));
        let mut all = Vec::new();
        // Ended or not, in several organizations.
        for ends in [0, 90, 30, 60] {
            all.push(subject.insert_session(session_of(account, ends)).await);
            subject.insert_session(session_of(other, ends)).await;
        }
        let list = async |after, limit| {
            let found = subject.store.sessions.list_sessions_of_account(account, after, limit).await.unwrap();
            found.into_iter().map(Arc::unwrap_or_clone).collect::<Vec<_>>()
        };
        assert_eq!(list(None, 10).await, all);
        assert_eq!(list(None, 3).await, all[..3]);
        assert_eq!(list(Some(all[0].id), 2).await, all[1..3]);
        assert_eq!(list(Some(all[3].id), 2).await, []);
        subject.store.sessions.delete_session(all[1].id, None).await.unwrap();
        let used = Session { idle_expires_at: at(99), ..all[2].next() };
        assert_eq!(subject.store.sessions.update_session(&used).await.unwrap(), Done);
        assert_eq!(list(None, 10).await, [all[0].clone(), used, all[3].clone()]);
    });
}

#[test]
fn session_excess_is_deleted_in_the_order_of_ends() {
    on_every_engine(|subject| async move {
        let account = AccountId::from_bytes(given::id());
        let other = subject.insert_session(session_of(AccountId::from_bytes(given::id()), 1)).await;
        let mut ids = Vec::new();
        for ends in [50, 10, 40, 20, 30] {
            ids.push(subject.insert_session(session_of(account, ends)).await.id);
        }
        // Whichever end comes first counts.
        let absolute = Session { expires_at: at(5), ..session_of(account, 90) };
        ids.push(subject.insert_session(absolute).await.id);
        let sessions = &subject.store.sessions;
        assert_eq!(sessions.delete_excess_sessions(account, 6, 10).await.unwrap(), []);
        assert_eq!(sessions.delete_excess_sessions(account, 5, 10).await.unwrap(), [ids[5]]);
        assert_eq!(subject.left(&ids).await, ids[..5]);
        let gone: BTreeSet<_> =
            sessions.delete_excess_sessions(account, 2, 10).await.unwrap().into_iter().collect();
        assert_eq!(gone, BTreeSet::from([ids[1], ids[3], ids[4]]));
        assert_eq!(subject.left(&ids).await, [ids[0], ids[2]]);
        assert_eq!(
            sessions.delete_excess_sessions(account, 0, 1).await.unwrap().len(),
            1,
            "no more than asked"
        );
        assert_eq!(sessions.delete_excess_sessions(account, 0, 1).await.unwrap().len(), 1);
        assert_eq!(subject.left(&ids).await, []);
        assert_eq!(subject.session(other.id).await, Some(other));
    });
}
