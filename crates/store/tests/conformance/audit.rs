//! What a store owes the audit trail.

use crate::engines::{Subject, in_parallel, on_every_engine};
use crate::given::{self, Next, api_key, at, finished, invitation, organization, session};
use std::collections::BTreeMap;
use tenantry_domain::api_key::ApiKeyOwner;
use tenantry_domain::audit::collect::{COLLECT_BATCH, collect_events};
use tenantry_domain::audit::{AuditAction, AuditChain, AuditEntry, AuditEvent, AuditOutcome};
use tenantry_domain::ids::{AuditEventId, OrganizationId, SessionId};
use tenantry_domain::operation::Actor;
use tenantry_domain::store::{AppendOutcome, AuditQuery, BoundedInsert, InsertOutcome, UpdateOutcome};

fn event(organization_id: OrganizationId) -> AuditEvent {
    AuditEvent {
        id: AuditEventId::from_bytes(given::id()),
        organization_id: Some(organization_id),
        at: at(5),
        action: AuditAction::KeyCreated,
        actor: Actor::Operator,
        subject: Some("$subject".to_owned()),
        target: None,
        address: Some("192.0.2.1".to_owned()),
        request_id: None,
        outcome: AuditOutcome::Succeeded,
        code: None,
        count: None,
        details: BTreeMap::from([("name".to_owned(), "$name.x".to_owned())]),
    }
}

fn organization_id() -> OrganizationId {
    OrganizationId::from_bytes(given::id())
}

impl Subject {
    /// The events of that organization that are in no chain.
    async fn unchained(&self, organization_id: OrganizationId) -> Vec<AuditEvent> {
        let all = self.store.audit.list_unchained(10_000).await.unwrap();
        all.into_iter().filter(|event| event.organization_id == Some(organization_id)).collect()
    }

    async fn chain(&self, organization_id: OrganizationId) -> Vec<AuditEntry> {
        self.store.audit.list_chain(organization_id.into(), 0, 10_000).await.unwrap()
    }

    async fn collect(&self) {
        while collect_events(&*self.store.audit).await.unwrap() >= COLLECT_BATCH as usize {}
    }

    /// Entries of that organization, as the collector makes them.
    async fn insert_chain(&self, organization_id: OrganizationId, length: u64) -> Vec<AuditEntry> {
        let mut entries: Vec<AuditEntry> = Vec::new();
        for _ in 0..length {
            entries.push(AuditEntry::link(&event(organization_id), entries.last()).unwrap());
        }
        assert_eq!(self.store.audit.append_entries(&entries).await.unwrap(), AppendOutcome::Done);
        entries
    }
}

#[test]
fn audit_event_rides_in_every_change() {
    on_every_engine(|subject| async move {
        let (store, id) = (&subject.store, organization_id());
        let new = || event(id);
        let mut events = Vec::new();
        let mut next = || {
            events.push(new());
            events.last().cloned().unwrap()
        };
        store.audit.insert_event(&next()).await.unwrap();
        for (expected, value) in [(None, b"first"), (Some(&b"first"[..]), b"other")] {
            let done = store.installation.update_value("with event", expected, value, Some(&next())).await;
            assert_eq!(done.unwrap(), UpdateOutcome::Done);
            let stale = store.installation.update_value("with event", Some(b"x"), value, Some(&new())).await;
            assert_eq!(stale.unwrap(), UpdateOutcome::Stale);
        }
        let ended = session(id, at(5));
        store.sessions.insert_session(&ended, Some(&next())).await.unwrap();
        store.sessions.delete_session(ended.id, Some(&next())).await.unwrap();
        let key = api_key(ApiKeyOwner::Organization(id));
        let inserted = store.api_keys.insert_api_key(&key, 10, Some(&next())).await.unwrap();
        assert_eq!(inserted, BoundedInsert::New);
        let key = key.next();
        let updated = store.api_keys.update_api_key(&key, Some(&next())).await.unwrap();
        assert_eq!(updated, UpdateOutcome::Done);
        assert!(store.api_keys.delete_api_key(key.id, Some(&next())).await.unwrap());
        let invited = invitation(id, "invited-5@acme.example");
        let inserted = store.invitations.insert_invitation(&invited, 10, Some(&next())).await.unwrap();
        assert_eq!(inserted, BoundedInsert::New);
        let invited = invited.next();
        let updated = store.invitations.update_invitation(&invited, Some(&next())).await.unwrap();
        assert_eq!(updated, UpdateOutcome::Done);
        let deleted =
            store.invitations.delete_invitation(invited.id, invited.version, Some(&next())).await.unwrap();
        assert_eq!(deleted, UpdateOutcome::Done);
        let account = given::account("audit-1@acme.example");
        let _ = store.accounts.insert_account(&account).await.unwrap();
        let updated = store.accounts.update_account(&account.next(), Some(&next())).await.unwrap();
        assert_eq!(updated, UpdateOutcome::Done);
        let record = finished(&organization("Audited"));
        let inserted = store.operations.insert_operation(&record, Some(&next())).await.unwrap();
        assert_eq!(inserted, InsertOutcome::New);

        assert_eq!(subject.unchained(id).await, events);
        subject.collect().await;
        assert_eq!(subject.unchained(id).await, []);
        let chain = subject.chain(id).await;
        let chained: Vec<AuditEvent> = chain.iter().map(|entry| entry.event().unwrap().unwrap()).collect();
        assert_eq!(chained, events);

        // What is removed is gone, before and after its events are in the chain, and can be made again.
        assert_eq!(store.sessions.get_session(ended.id).await.unwrap(), None);
        assert_eq!(store.api_keys.get_api_key(key.id).await.unwrap(), None);
        assert_eq!(store.invitations.get_invitation(invited.id).await.unwrap(), None);
        let again = invitation(id, "invited-6@acme.example");
        let again = tenantry_domain::invitation::Invitation { email: invited.email.clone(), ..again };
        let inserted = store.invitations.insert_invitation(&again, 10, None).await.unwrap();
        assert_eq!(inserted, BoundedInsert::New);
    });
}

#[test]
fn audit_event_of_a_change_that_fails_is_not_saved() {
    on_every_engine(|subject| async move {
        let (store, id) = (&subject.store, organization_id());
        let unwanted = event(id);
        let key = api_key(ApiKeyOwner::Organization(id));
        let full = store.api_keys.insert_api_key(&key, 0, Some(&unwanted)).await.unwrap();
        assert_eq!(full, BoundedInsert::Full);
        let stale = store.api_keys.update_api_key(&key.next(), Some(&unwanted)).await.unwrap();
        assert_eq!(stale, UpdateOutcome::Stale);
        assert!(!store.api_keys.delete_api_key(key.id, Some(&unwanted)).await.unwrap());
        let invited = invitation(id, "invited-7@acme.example");
        let stale = store.invitations.update_invitation(&invited.next(), Some(&unwanted)).await.unwrap();
        assert_eq!(stale, UpdateOutcome::Stale);
        let stale = store.invitations.delete_invitation(invited.id, 1, Some(&unwanted)).await.unwrap();
        assert_eq!(stale, UpdateOutcome::Stale);
        let account = given::account("audit-2@acme.example");
        let stale = store.accounts.update_account(&account.next(), Some(&unwanted)).await.unwrap();
        assert_eq!(stale, UpdateOutcome::Stale);
        let unknown = SessionId::from_bytes(given::id());
        store.sessions.delete_session(unknown, Some(&unwanted)).await.unwrap();
        let record = finished(&organization("Twice"));
        assert_eq!(store.operations.insert_operation(&record, None).await.unwrap(), InsertOutcome::New);
        let again = store.operations.insert_operation(&record, Some(&unwanted)).await.unwrap();
        assert_eq!(again, InsertOutcome::Exists);
        assert_eq!(subject.unchained(id).await, []);
    });
}

#[test]
fn audit_events_survive_later_changes_and_removals() {
    on_every_engine(|subject| async move {
        let (store, id) = (&subject.store, organization_id());
        let events: Vec<AuditEvent> = (0..4).map(|_| event(id)).collect();
        let kept = session(id, at(5));
        store.sessions.insert_session(&kept, Some(&events[0])).await.unwrap();
        let next = kept.next();
        assert_eq!(store.sessions.update_session(&next).await.unwrap(), UpdateOutcome::Done);
        assert_eq!(store.sessions.get_session(kept.id).await.unwrap().as_deref(), Some(&next));
        let key = api_key(ApiKeyOwner::Organization(id));
        let _ = store.api_keys.insert_api_key(&key, 10, Some(&events[1])).await.unwrap();
        let invited = invitation(id, "invited-8@acme.example");
        let _ = store.invitations.insert_invitation(&invited, 10, Some(&events[2])).await.unwrap();
        let account = given::account("audit-3@acme.example");
        let _ = store.accounts.insert_account(&account).await.unwrap();
        let account = account.next();
        let _ = store.accounts.update_account(&account, Some(&events[3])).await.unwrap();

        while !store.sessions.delete_sessions_of(id, 10).await.unwrap().is_empty() {}
        while !store.api_keys.delete_api_keys_of(id, 10).await.unwrap().is_empty() {}
        while store.invitations.delete_invitations_of(id, 10).await.unwrap() > 0 {}
        let deleted = store.accounts.delete_account(account.id, account.version).await.unwrap();
        assert_eq!(deleted, UpdateOutcome::Done);
        assert_eq!(store.sessions.get_session(kept.id).await.unwrap(), None);
        assert_eq!(store.api_keys.list_api_keys(key.owner, None, 10).await.unwrap(), []);
        assert_eq!(store.invitations.list_invitations(id, None, 10).await.unwrap(), []);
        assert_eq!(store.accounts.get_account(account.id).await.unwrap(), None);
        // Its address is free at once.
        let heir = tenantry_domain::account::Account {
            email: account.email.clone(),
            email_key: account.email_key.clone(),
            ..given::account("audit-4@acme.example")
        };
        assert_eq!(store.accounts.insert_account(&heir).await.unwrap(), InsertOutcome::New);

        assert_eq!(subject.unchained(id).await, events);
        subject.collect().await;
        assert_eq!(subject.unchained(id).await, []);
        assert_eq!(subject.chain(id).await.len(), events.len());
    });
}

#[test]
fn audit_append_is_won_by_one_in_parallel() {
    on_every_engine(|subject| async move {
        let id = organization_id();
        let outcomes = in_parallel(20, |_| {
            let (subject, event) = (subject.clone(), event(id));
            async move {
                let entry = AuditEntry::link(&event, None).unwrap();
                subject.store.audit.append_entries(&[entry]).await.unwrap()
            }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == AppendOutcome::Done).count(), 1);
        assert_eq!(subject.chain(id).await.len(), 1);
        let last = subject.store.audit.get_last_entry(id.into()).await.unwrap().unwrap();
        let behind = AuditEntry { sequence: 1, ..AuditEntry::link(&event(id), Some(&last)).unwrap() };
        assert_eq!(subject.store.audit.append_entries(&[behind]).await.unwrap(), AppendOutcome::Taken);
    });
}

#[test]
fn audit_collectors_in_parallel_make_one_chain() {
    on_every_engine(|subject| async move {
        let id = organization_id();
        for _ in 0..50 {
            subject.store.audit.insert_event(&event(id)).await.unwrap();
        }
        in_parallel(5, |_| {
            let subject = subject.clone();
            async move { collect_events(&*subject.store.audit).await.map(drop).unwrap() }
        })
        .await;
        while !subject.unchained(id).await.is_empty() {
            subject.collect().await;
        }
        let chain = subject.chain(id).await;
        let mut verifier = tenantry_domain::audit::chain::ChainVerifier::new(id.into());
        chain.iter().for_each(|entry| verifier.check(entry).unwrap());
        assert_eq!(verifier.entries(), 50);
    });
}

#[test]
fn audit_event_that_is_chained_already_is_cleared() {
    on_every_engine(|subject| async move {
        let (id, stopped) = (organization_id(), event(organization_id()));
        let stopped = AuditEvent { organization_id: Some(id), ..stopped };
        let entry = AuditEntry::link(&stopped, None).unwrap();
        // As a process leaves it that is stopped between the two.
        subject.store.audit.restore_entries(std::slice::from_ref(&entry)).await.unwrap();
        subject.store.audit.insert_event(&stopped).await.unwrap();
        let chained = subject.store.audit.list_chained(id.into(), &[stopped.id]).await.unwrap();
        assert_eq!(chained, [stopped.id]);
        subject.collect().await;
        assert_eq!(subject.unchained(id).await, []);
        assert_eq!(subject.chain(id).await, [entry]);
    });
}

#[test]
fn audit_lists_are_filtered_newest_first_in_pages() {
    on_every_engine(|subject| async move {
        let id = organization_id();
        let key = Actor::ApiKey(tenantry_domain::ids::ApiKeyId::from_bytes(given::id()));
        let (mut entries, mut all): (Vec<AuditEntry>, Vec<AuditEntry>) = (Vec::new(), Vec::new());
        for number in 0..6 {
            let action = if number % 2 == 0 { AuditAction::KeyCreated } else { AuditAction::KeyRevoked };
            let actor = if number < 3 { Actor::Operator } else { key };
            let event = AuditEvent { action, actor, ..event(id) };
            entries.push(AuditEntry::link(&event, entries.last()).unwrap());
        }
        all.extend(entries.iter().rev().cloned());
        assert_eq!(subject.store.audit.append_entries(&entries).await.unwrap(), AppendOutcome::Done);
        subject.insert_chain(organization_id(), 3).await;
        let query = AuditQuery { chain: id.into(), action: None, actor: None, from: None, before: None };
        let audit = &subject.store.audit;
        let list = async |query: AuditQuery, limit| audit.list_entries(&query, limit).await.unwrap();
        assert_eq!(list(query.clone(), 100).await, all);
        assert_eq!(list(query.clone(), 2).await, all[..2]);
        assert_eq!(list(AuditQuery { before: Some(all[1].id), ..query.clone() }, 2).await, all[2..4]);
        assert_eq!(list(AuditQuery { from: Some(all[3].id), ..query.clone() }, 100).await, all[..4]);
        let between = AuditQuery { from: Some(all[3].id), before: Some(all[0].id), ..query.clone() };
        assert_eq!(list(between, 100).await, all[1..4]);
        let created = AuditQuery { action: Some(AuditAction::KeyCreated), ..query.clone() };
        assert_eq!(list(created.clone(), 100).await, [all[1].clone(), all[3].clone(), all[5].clone()]);
        let by_key = AuditQuery { actor: Some(key.to_text()), ..query.clone() };
        assert_eq!(list(by_key.clone(), 100).await, all[..3]);
        let both = AuditQuery { actor: Some(key.to_text()), ..created };
        assert_eq!(list(both, 100).await, [all[1].clone()]);
        let other = AuditQuery { chain: AuditChain::from(organization_id()), ..query };
        assert_eq!(list(other, 100).await, []);
    });
}

#[test]
fn audit_chain_is_read_redacted_and_trimmed_in_order() {
    on_every_engine(|subject| async move {
        let (id, neighbour) = (organization_id(), organization_id());
        let entries = subject.insert_chain(id, 12).await;
        let untouched = subject.insert_chain(neighbour, 3).await;
        let audit = &subject.store.audit;
        assert_eq!(audit.list_chain(id.into(), 9, 2).await.unwrap(), entries[9..11]);
        audit.redact_entries(id.into(), 2, 3).await.unwrap();
        let mut expected = entries.clone();
        for index in [1, 2] {
            expected[index] = entries[index].clone().redacted();
        }
        assert_eq!(subject.chain(id).await, expected);
        audit.delete_entries(id.into(), 2).await.unwrap();
        assert_eq!(subject.chain(id).await, expected[2..]);
        assert_eq!(audit.get_last_entry(id.into()).await.unwrap().as_ref(), entries.last());
        assert_eq!(subject.chain(neighbour).await, untouched);
        assert_eq!(audit.get_last_entry(organization_id().into()).await.unwrap(), None);
    });
}

#[test]
fn audit_chains_follow_each_other_by_name() {
    on_every_engine(|subject| async move {
        let (one, other) = (organization_id(), organization_id());
        let first = subject.insert_chain(one, 3).await;
        let second = subject.insert_chain(other, 2).await;
        let audit = &subject.store.audit;
        assert_eq!(audit.get_next_chain(Some(one.into())).await.unwrap().as_ref(), second.first());
        let mut chains = Vec::new();
        let mut after = None;
        while let Some(entry) = audit.get_next_chain(after).await.unwrap() {
            after = Some(entry.chain);
            chains.push(entry);
        }
        assert!(chains.contains(&first[0]) && chains.contains(&second[0]));
    });
}

#[test]
fn audit_entries_of_another_engine_are_restored_as_they_are() {
    on_every_engine(|subject| async move {
        let id = organization_id();
        let mut entries: Vec<AuditEntry> = Vec::new();
        for _ in 0..4 {
            entries.push(AuditEntry::link(&event(id), entries.last()).unwrap());
        }
        let kept: Vec<AuditEntry> = entries.split_off(1).into_iter().map(AuditEntry::redacted).collect();
        for _ in 0..2 {
            subject.store.audit.restore_entries(&kept).await.unwrap();
        }
        assert_eq!(subject.chain(id).await, kept);
    });
}
