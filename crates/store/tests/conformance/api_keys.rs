//! What a store owes the records of API keys.

use crate::engines::{Subject, in_parallel, on_every_engine};
use crate::given::{self, Next, api_key, at};
use std::collections::BTreeSet;
use std::sync::Arc;
use tenantry_domain::api_key::{ApiKey, ApiKeyOwner};
use tenantry_domain::ids::{ApiKeyId, OrganizationId};
use tenantry_domain::permission::PermissionSet;
use tenantry_domain::store::BoundedInsert::{Exists, Full, New};
use tenantry_domain::store::UpdateOutcome::{Done, Stale};

const LIMIT: u32 = 10;

impl Subject {
    async fn insert_api_key(&self, key: ApiKey) -> ApiKey {
        assert_eq!(self.store.api_keys.insert_api_key(&key, LIMIT, None).await.unwrap(), New);
        key
    }

    async fn api_key(&self, id: ApiKeyId) -> Option<ApiKey> {
        let recent = self.store.api_keys.get_recent_api_key(id).await.unwrap();
        let now = self.store.api_keys.get_api_key(id).await.unwrap();
        assert_eq!(recent, now, "who has changed it sees that at once");
        now.map(Arc::unwrap_or_clone)
    }

    async fn api_keys(&self, owner: ApiKeyOwner, after: Option<ApiKeyId>, limit: u32) -> Vec<ApiKey> {
        let listed = self.store.api_keys.list_api_keys(owner, after, limit).await.unwrap();
        listed.into_iter().map(Arc::unwrap_or_clone).collect()
    }
}

fn organization() -> ApiKeyOwner {
    ApiKeyOwner::Organization(OrganizationId::from_bytes(given::id()))
}

#[test]
fn api_key_round_trips_with_and_without_rare_fields() {
    on_every_engine(|subject| async move {
        let usual = ApiKey {
            replaced: None,
            permissions: PermissionSet::EMPTY,
            organizations: None,
            maker: None,
            expires_at: None,
            last_used_at: None,
            ..api_key(organization())
        };
        let literal = ApiKey { name: "$record".into(), ..api_key(organization()) };
        for key in [api_key(ApiKeyOwner::Installation), api_key(organization()), usual, literal] {
            let key = subject.insert_api_key(key).await;
            for _ in 0..2 {
                assert_eq!(subject.api_key(key.id).await, Some(key.clone()));
            }
            assert_eq!(subject.api_keys(key.owner, None, 2).await, std::slice::from_ref(&key));
            let next = key.next();
            assert_eq!(subject.store.api_keys.update_api_key(&next, None).await.unwrap(), Done);
            assert_eq!(subject.api_key(key.id).await, Some(next));
        }
        assert_eq!(subject.api_key(api_key(organization()).id).await, None);
    });
}

#[test]
fn api_key_insert_keeps_existing_record() {
    on_every_engine(|subject| async move {
        let key = subject.insert_api_key(api_key(organization())).await;
        let again = ApiKey { name: "another".into(), ..key.clone() };
        for limit in [LIMIT, 1] {
            assert_eq!(subject.store.api_keys.insert_api_key(&again, limit, None).await.unwrap(), Exists);
        }
        assert_eq!(subject.api_key(key.id).await, Some(key));
    });
}

#[test]
fn api_key_lists_are_of_one_owner_in_pages() {
    on_every_engine(|subject| async move {
        let owners = [ApiKeyOwner::Installation, organization(), organization()];
        let mut inserted = [const { Vec::new() }; 3];
        for _ in 0..5 {
            for (owner, keys) in owners.iter().zip(&mut inserted) {
                keys.push(subject.insert_api_key(api_key(*owner)).await);
            }
        }
        for (owner, keys) in owners.into_iter().zip(&inserted) {
            assert_eq!(subject.api_keys(owner, None, 10).await, *keys);
            assert_eq!(subject.api_keys(owner, None, 2).await, keys[..2]);
            assert_eq!(subject.api_keys(owner, Some(keys[1].id), 2).await, keys[2..4]);
            assert_eq!(subject.api_keys(owner, Some(keys[4].id), 2).await, []);
            assert_eq!(subject.api_keys(owner, None, 0).await, []);
        }
        assert_eq!(subject.api_keys(organization(), None, 10).await, []);
    });
}

#[test]
fn api_key_update_requires_the_version_before_it() {
    on_every_engine(|subject| async move {
        let key = subject.insert_api_key(ApiKey { version: 5, ..api_key(organization()) }).await;
        assert_eq!(subject.api_key(key.id).await, Some(key.clone()));
        for version in [0, 1, 4, 5, 7] {
            let wrong = ApiKey { version, name: "wrong".into(), ..key.clone() };
            assert_eq!(subject.store.api_keys.update_api_key(&wrong, None).await.unwrap(), Stale);
            assert_eq!(subject.api_key(key.id).await, Some(key.clone()));
        }
        let next = key.next();
        assert_eq!(subject.store.api_keys.update_api_key(&next, None).await.unwrap(), Done);
        assert_eq!(subject.api_key(key.id).await, Some(next));
        let unknown = api_key(organization()).next();
        assert_eq!(subject.store.api_keys.update_api_key(&unknown, None).await.unwrap(), Stale);
        assert_eq!(subject.api_key(unknown.id).await, None);
    });
}

#[test]
fn api_key_is_rotated_once_in_parallel() {
    on_every_engine(|subject| async move {
        let key = subject.insert_api_key(api_key(organization())).await;
        let outcomes = in_parallel(50, |number| {
            let (subject, next) = (subject.clone(), ApiKey { generation: 100 + number as u32, ..key.next() });
            async move { (next.generation, subject.store.api_keys.update_api_key(&next, None).await.unwrap()) }
        })
        .await;
        let done: Vec<_> = outcomes.into_iter().filter(|(_, written)| *written == Done).collect();
        assert_eq!(done.len(), 1);
        assert_eq!(subject.api_key(key.id).await.unwrap().generation, done[0].0);
    });
}

#[test]
fn api_key_touch_keeps_latest_use_and_version() {
    on_every_engine(|subject| async move {
        let keys = &subject.store.api_keys;
        let key = subject.insert_api_key(ApiKey { last_used_at: None, ..api_key(organization()) }).await;
        for (second, latest) in [(60, 60), (120, 120), (90, 120), (120, 120), (180, 180)] {
            keys.touch_api_key(key.id, at(second)).await.unwrap();
            let expected = ApiKey { last_used_at: Some(at(latest)), ..key.clone() };
            assert_eq!(subject.api_key(key.id).await, Some(expected.clone()), "the version stays");
            assert_eq!(subject.api_keys(key.owner, None, 1).await, [expected]);
        }
        // A change by someone who read the record before it was used.
        for last_used_at in [None, Some(at(30)), Some(at(999))] {
            let read = subject.api_key(key.id).await.unwrap();
            let next = ApiKey { last_used_at, ..read.next() };
            assert_eq!(keys.update_api_key(&next, None).await.unwrap(), Done);
            let expected = ApiKey { last_used_at: Some(at(180)), ..next };
            assert_eq!(subject.api_key(key.id).await, Some(expected));
        }
        keys.touch_api_key(api_key(organization()).id, at(60)).await.unwrap();
    });
}

/// Neither a use nor a change is lost when both happen at the same moment.
#[test]
fn api_key_touch_and_update_in_parallel_lose_nothing() {
    on_every_engine(|subject| async move {
        let key = subject.insert_api_key(ApiKey { last_used_at: None, ..api_key(organization()) }).await;
        in_parallel(20, |number| {
            let (subject, id) = (subject.clone(), key.id);
            async move {
                let keys = &subject.store.api_keys;
                if number % 2 == 0 {
                    return keys.touch_api_key(id, at(60 * number as u64)).await.unwrap();
                }
                loop {
                    let next = keys.get_api_key(id).await.unwrap().unwrap().next();
                    if keys.update_api_key(&next, None).await.unwrap() == Done {
                        return;
                    }
                }
            }
        })
        .await;
        let found = subject.api_key(key.id).await.unwrap();
        assert_eq!((found.version, found.last_used_at), (key.version + 10, Some(at(60 * 18))));
    });
}

#[test]
fn api_key_delete_says_whether_there_was_one() {
    on_every_engine(|subject| async move {
        let key = subject.insert_api_key(api_key(organization())).await;
        let other = subject.insert_api_key(api_key(key.owner)).await;
        assert!(subject.api_key(key.id).await.is_some());
        for expected in [true, false] {
            assert_eq!(subject.store.api_keys.delete_api_key(key.id, None).await.unwrap(), expected);
            assert_eq!(subject.api_key(key.id).await, None);
        }
        assert_eq!(subject.api_keys(key.owner, None, 10).await, [other]);
    });
}

#[test]
fn api_key_delete_by_organization_works_in_batches() {
    on_every_engine(|subject| async move {
        let here = OrganizationId::from_bytes(given::id());
        let mut ids = BTreeSet::new();
        for _ in 0..5 {
            ids.insert(subject.insert_api_key(api_key(ApiKeyOwner::Organization(here))).await.id);
        }
        let other = subject.insert_api_key(api_key(organization())).await;
        // It may act on that organization, and belongs to the installation.
        let limited = ApiKey { organizations: Some(vec![here]), ..api_key(ApiKeyOwner::Installation) };
        let limited = subject.insert_api_key(limited).await;
        for id in &ids {
            assert!(subject.api_key(*id).await.is_some());
        }

        let mut removed = BTreeSet::new();
        for expected in [2, 2, 1, 0] {
            let batch = subject.store.api_keys.delete_api_keys_of(here, 2).await.unwrap();
            assert_eq!(batch.len(), expected);
            removed.extend(batch);
            for id in &ids {
                assert_eq!(subject.api_key(*id).await.is_none(), removed.contains(id));
            }
        }
        assert_eq!(removed, ids);
        assert_eq!(subject.api_key(other.id).await, Some(other));
        assert_eq!(subject.api_key(limited.id).await, Some(limited));
    });
}

#[test]
fn api_key_limit_is_exact_in_parallel() {
    on_every_engine(|subject| async move {
        for owner in [ApiKeyOwner::Installation, organization()] {
            let neighbor = subject.insert_api_key(api_key(organization())).await;
            for round in 0..3 {
                let outcomes = in_parallel(32, |_| {
                    let (subject, key) = (subject.clone(), api_key(owner));
                    async move { subject.store.api_keys.insert_api_key(&key, LIMIT, None).await.unwrap() }
                })
                .await;
                let new = outcomes.iter().filter(|outcome| **outcome == New).count();
                let expected = if round == 0 { LIMIT as usize } else { 1 };
                assert_eq!((new, outcomes.len() - new), (expected, 32 - expected), "{outcomes:?}");
                assert!(outcomes.iter().all(|outcome| [New, Full].contains(outcome)), "{outcomes:?}");
                let keys = subject.api_keys(owner, None, 100).await;
                assert_eq!(keys.len(), LIMIT as usize);
                // One makes room for one.
                assert!(subject.store.api_keys.delete_api_key(keys[3 * round].id, None).await.unwrap());
            }
            subject.insert_api_key(api_key(neighbor.owner)).await;
        }
    });
}

#[test]
fn api_key_limit_may_be_lowered_below_what_is_there() {
    on_every_engine(|subject| async move {
        let owner = organization();
        for _ in 0..4 {
            subject.insert_api_key(api_key(owner)).await;
        }
        let keys = &subject.store.api_keys;
        for limit in [0, 1, 4] {
            assert_eq!(keys.insert_api_key(&api_key(owner), limit, None).await.unwrap(), Full);
        }
        assert_eq!(keys.insert_api_key(&api_key(organization()), 0, None).await.unwrap(), Full);
        assert_eq!(keys.insert_api_key(&api_key(owner), 5, None).await.unwrap(), New);
        assert_eq!(subject.api_keys(owner, None, 10).await.len(), 5);
    });
}
