//! What a store owes the records of accounts.

use crate::engines::{Subject, in_parallel, on_every_engine};
use crate::given::{self, Next, account, member, refusal};
use std::sync::Arc;
use tenantry_domain::account::{Account, MemberRecord, PasswordHash, Role};
use tenantry_domain::email::{EmailAddress, EmailKey};
use tenantry_domain::error::ErrorCode;
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::role::RoleName;
use tenantry_domain::store::InsertOutcome::{Exists, New};
use tenantry_domain::store::UpdateOutcome::{Done, Stale};

impl Subject {
    async fn insert_account(&self, account: &Account) -> Account {
        assert_eq!(self.store.accounts.insert_account(account).await.unwrap(), New);
        account.clone()
    }

    async fn change_account(&self, account: &Account, change: impl FnOnce(&mut Account)) -> Account {
        let mut next = account.next();
        change(&mut next);
        assert_eq!(self.store.accounts.update_account(&next, None).await.unwrap(), Done);
        next
    }

    async fn account(&self, id: AccountId) -> Option<Account> {
        let recent = self.store.accounts.get_recent_account(id).await.unwrap();
        let now = self.store.accounts.get_account(id).await.unwrap();
        assert_eq!(recent, now, "who has changed it sees that at once");
        now.map(Arc::unwrap_or_clone)
    }

    async fn account_of(&self, email: &str) -> Option<AccountId> {
        self.store.accounts.find_account(&key(email)).await.unwrap().map(|found| found.id)
    }

    async fn members(&self, id: OrganizationId, after: Option<AccountId>, limit: u32) -> Vec<AccountId> {
        let accounts = &self.store.accounts;
        let found = accounts.list_accounts_of(id, after, limit).await.unwrap();
        let ids: Vec<_> = found.iter().map(|account| account.id).collect();
        assert_eq!(accounts.list_account_ids_of(id, after, limit).await.unwrap(), ids);
        let members: Vec<_> = found.iter().filter_map(|account| MemberRecord::of(account, id)).collect();
        // With one that is no account.
        let asked = [&ids[..], &[AccountId::from_bytes(given::id())]].concat();
        assert_eq!(accounts.get_members(id, &asked).await.unwrap(), members);
        assert_eq!(accounts.get_members(organization_id(), &asked).await.unwrap(), []);
        ids
    }
}

fn key(email: &str) -> EmailKey {
    EmailAddress::parse(email).unwrap().key()
}

fn organization_id() -> OrganizationId {
    OrganizationId::from_bytes(given::id())
}

#[test]
fn account_round_trips() {
    on_every_engine(|subject| async move {
        let mut bare = account("bare@example.com");
        (bare.email_key, bare.kept_session, bare.last_operation) = (None, None, None);
        let full = member(account("Full.Name@Example.com"), &[organization_id(), organization_id()]);
        for record in [bare, full] {
            subject.insert_account(&record).await;
            for _ in 0..2 {
                assert_eq!(subject.account(record.id).await, Some(record.clone()));
            }
        }
        assert_eq!(subject.account(account("nobody@example.com").id).await, None);
        assert_eq!(subject.account_of("nobody@example.com").await, None);
    });
}

#[test]
fn account_insert_of_existing_id_changes_nothing() {
    on_every_engine(|subject| async move {
        let first = subject.insert_account(&account("first@example.com")).await;
        let again = Account { id: first.id, ..account("second@example.com") };
        for record in [&first, &again] {
            assert_eq!(subject.store.accounts.insert_account(record).await.unwrap(), Exists);
        }
        assert_eq!(subject.account(first.id).await, Some(first));
        assert_eq!(subject.account_of("second@example.com").await, None);
    });
}

#[test]
fn account_email_of_another_account_is_refused() {
    on_every_engine(|subject| async move {
        let here = organization_id();
        let holder = subject.insert_account(&account("ada@example.com")).await;
        let late = member(account("ADA@example.COM"), &[here]);
        let inserted = subject.store.accounts.insert_account(&late).await;
        assert_eq!(refusal(inserted), ErrorCode::EmailTaken);
        assert_eq!(subject.account(late.id).await, None);

        let other = subject.insert_account(&account("other@example.com")).await;
        let mut next = member(other.next(), &[here]);
        next.email_key = holder.email_key.clone();
        let updated = subject.store.accounts.update_account(&next, None).await;
        assert_eq!(refusal(updated), ErrorCode::EmailTaken);
        assert_eq!(subject.account(other.id).await, Some(other));
        assert_eq!(subject.members(here, None, 10).await, []);
        assert_eq!(subject.account_of("ada@example.com").await, Some(holder.id));
    });
}

#[test]
fn account_without_email_key_may_exist_many_times() {
    on_every_engine(|subject| async move {
        for _ in 0..3 {
            let record = Account { email_key: None, ..account("ada@example.com") };
            subject.insert_account(&record).await;
        }
        assert_eq!(subject.account_of("ada@example.com").await, None);
    });
}

#[test]
fn account_email_is_taken_once_by_fifty_parallel_inserts() {
    on_every_engine(|subject| async move {
        let outcomes = in_parallel(50, |_| {
            let subject = subject.clone();
            async move {
                let record = account("ada@example.com");
                (record.id, subject.store.accounts.insert_account(&record).await)
            }
        })
        .await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|(_, outcome)| outcome.is_ok());
        assert_eq!((won.len(), lost.len()), (1, 49));
        assert_eq!(subject.account_of("ada@example.com").await, Some(won[0].0));
        for (id, outcome) in lost {
            assert_eq!(refusal(outcome), ErrorCode::EmailTaken);
            assert_eq!(subject.account(id).await, None);
        }
    });
}

#[test]
fn account_lookup_by_email_follows_current_holder() {
    on_every_engine(|subject| async move {
        let first = subject.insert_account(&account("ada@example.com")).await;
        assert_eq!(subject.account_of("ada@example.com").await, Some(first.id));
        let freed = subject.change_account(&first, |next| next.email_key = None).await;
        assert_eq!(subject.account_of("ada@example.com").await, None);
        let second = subject.insert_account(&account("ada@example.com")).await;
        assert_eq!(subject.account_of("ada@example.com").await, Some(second.id));

        subject.change_account(&freed, |next| next.email_key = Some(key("new@example.com"))).await;
        assert_eq!(subject.account_of("new@example.com").await, Some(first.id));
        assert_eq!(subject.account_of("ada@example.com").await, Some(second.id));
    });
}

#[test]
fn account_update_requires_the_version_before_it() {
    on_every_engine(|subject| async move {
        let record = subject.insert_account(&Account { version: 5, ..account("ada@example.com") }).await;
        for version in [0, 1, 4, 5, 7] {
            let mut wrong = Account { version, ..record.clone() };
            wrong.email_key = Some(key("stale@example.com"));
            assert_eq!(subject.store.accounts.update_account(&wrong, None).await.unwrap(), Stale);
            assert_eq!(subject.account(record.id).await, Some(record.clone()));
        }
        assert_eq!(subject.account_of("stale@example.com").await, None);
        let unknown = account("unknown@example.com").next();
        assert_eq!(subject.store.accounts.update_account(&unknown, None).await.unwrap(), Stale);
        assert_eq!(subject.account(unknown.id).await, None);
    });
}

#[test]
fn account_version_is_updated_once_by_fifty_parallel_updates() {
    on_every_engine(|subject| async move {
        let record = subject.insert_account(&account("ada@example.com")).await;
        let outcomes = in_parallel(50, |number| {
            let (subject, mut next) = (subject.clone(), record.next());
            async move {
                next.password_hash = PasswordHash(number.to_string());
                (
                    next.password_hash.0.clone(),
                    subject.store.accounts.update_account(&next, None).await.unwrap(),
                )
            }
        })
        .await;
        let done: Vec<_> = outcomes.into_iter().filter(|(_, written)| *written == Done).collect();
        assert_eq!(done.len(), 1);
        assert_eq!(subject.account(record.id).await.unwrap().password_hash.0, done[0].0);
    });
}

#[test]
fn account_list_of_organization_is_paged_by_id() {
    on_every_engine(|subject| async move {
        let (here, there) = (organization_id(), organization_id());
        let mut expected = Vec::new();
        for number in 0..5 {
            let record = member(account(&format!("both{number}@example.com")), &[there, here]);
            expected.push(subject.insert_account(&record).await.id);
            let elsewhere = member(account(&format!("there{number}@example.com")), &[there]);
            subject.insert_account(&elsewhere).await;
        }
        assert_eq!(subject.members(here, None, 100).await, expected);
        assert_eq!(subject.members(here, None, 2).await, expected[..2]);
        assert_eq!(subject.members(here, Some(expected[1]), 2).await, expected[2..4]);
        assert_eq!(subject.members(here, Some(expected[4]), 2).await, []);
        assert_eq!(subject.members(there, None, 100).await.len(), 10);
        assert_eq!(subject.members(organization_id(), None, 100).await, []);
    });
}

#[test]
fn account_list_follows_membership_changes() {
    on_every_engine(|subject| async move {
        let (old, kept, new) = (organization_id(), organization_id(), organization_id());
        let record = subject.insert_account(&member(account("ada@example.com"), &[old, kept])).await;
        let record = subject.change_account(&record, |next| *next = member(next.clone(), &[kept, new])).await;
        assert_eq!(subject.members(old, None, 10).await, []);
        assert_eq!(subject.members(kept, None, 10).await, [record.id]);
        assert_eq!(subject.members(new, None, 10).await, [record.id]);
        let stored = subject.store.accounts.list_accounts_of(new, None, 10).await.unwrap();
        assert_eq!(*stored[0], record, "the lists have the whole record");
    });
}

#[test]
fn own_role_is_used_while_a_member_has_it() {
    on_every_engine(|subject| async move {
        let (here, there) = (organization_id(), organization_id());
        let [billing, reader] = ["billing", "reader"].map(|name| RoleName::parse(name).unwrap());
        let is_used =
            async |organization, role| subject.store.accounts.is_role_used(organization, role).await.unwrap();
        let with = |account: Account, roles: [Role; 2]| {
            let mut account = member(account, &[here, there]);
            account.memberships.iter_mut().zip(roles).for_each(|(membership, role)| membership.role = role);
            account
        };
        let record = with(account("ada@example.com"), [Role::Own(billing), Role::Viewer]);
        let record = subject.insert_account(&record).await;
        assert_eq!(subject.account(record.id).await, Some(record.clone()));
        let found =
            [is_used(here, billing).await, is_used(there, billing).await, is_used(here, reader).await];
        assert_eq!(found, [true, false, false]);

        let roles = [Role::Own(reader), Role::Own(billing)];
        let record = subject.change_account(&record, |next| *next = with(next.clone(), roles)).await;
        let found =
            [is_used(here, billing).await, is_used(there, billing).await, is_used(here, reader).await];
        assert_eq!(found, [false, true, true]);
        let record = subject.change_account(&record, |next| *next = member(next.clone(), &[here])).await;
        assert!(!is_used(here, reader).await && !is_used(there, billing).await);

        let last = [Role::Own(billing), Role::Own(billing)];
        let record = subject.change_account(&record, |next| *next = with(next.clone(), last)).await;
        assert!(is_used(here, billing).await && is_used(there, billing).await);
        assert_eq!(subject.store.accounts.delete_account(record.id, record.version).await.unwrap(), Done);
        assert!(!is_used(here, billing).await && !is_used(there, billing).await);
    });
}

#[test]
fn account_delete_requires_current_version_and_frees_all() {
    on_every_engine(|subject| async move {
        let here = organization_id();
        let first = subject.insert_account(&member(account("ada@example.com"), &[here])).await;
        assert_eq!(subject.account_of("ada@example.com").await, Some(first.id));
        let second = subject.change_account(&first, |_| ()).await;
        for version in [0, 1, 3] {
            assert_eq!(subject.store.accounts.delete_account(first.id, version).await.unwrap(), Stale);
        }
        assert_eq!(subject.account(first.id).await, Some(second));
        assert_eq!(subject.store.accounts.delete_account(first.id, 2).await.unwrap(), Done);
        assert_eq!(subject.store.accounts.delete_account(first.id, 2).await.unwrap(), Stale);
        assert_eq!(subject.account(first.id).await, None);
        assert_eq!(subject.account_of("ada@example.com").await, None);
        assert_eq!(subject.members(here, None, 10).await, []);
        subject.insert_account(&account("ada@example.com")).await;
    });
}

#[test]
fn accounts_being_removed_are_listed_longest_first() {
    on_every_engine(|subject| async move {
        let accounts = &subject.store.accounts;
        let mut removed = Vec::new();
        for (number, since) in [(1, 30), (2, 10), (3, 20)] {
            let first = subject.insert_account(&account(&format!("removed{number}@example.com"))).await;
            let next = first.being_removed(given::at(since));
            assert_eq!(accounts.update_account(&next, None).await.unwrap(), Done);
            assert_eq!(accounts.find_account(&first.email.key()).await.unwrap(), None);
            removed.push(next);
        }
        // Its address is free.
        subject.insert_account(&account("removed1@example.com")).await;
        let ids = async |limit| {
            let found = accounts.list_accounts_being_removed(limit).await.unwrap();
            let known = found.into_iter().filter(|found| found.email.as_str().starts_with("removed"));
            known.map(|found| found.id).collect::<Vec<_>>()
        };
        let [first, second, third] = [&removed[1], &removed[2], &removed[0]].map(|account| account.id);
        assert_eq!(ids(10).await, [first, second, third]);
        assert_eq!(ids(2).await, [first, second]);
        assert_eq!(accounts.delete_account(first, 2).await.unwrap(), Done);
        assert_eq!(ids(10).await, [second, third]);
    });
}
