//! What a store owes the records of invitations.

use crate::engines::{Subject, in_parallel, on_every_engine};
use crate::given::{self, Next, at, invitation};
use std::sync::Arc;
use tenantry_domain::account::Role;
use tenantry_domain::ids::{InvitationId, OrganizationId};
use tenantry_domain::invitation::Invitation;
use tenantry_domain::store::BoundedInsert::{Exists, Full, New};
use tenantry_domain::store::UpdateOutcome::{Done, Stale};

const LIMIT: u32 = 10;

impl Subject {
    async fn insert_invitation(&self, invitation: Invitation) -> Invitation {
        assert_eq!(self.store.invitations.insert_invitation(&invitation, LIMIT, None).await.unwrap(), New);
        invitation
    }

    async fn invitation(&self, id: InvitationId) -> Option<Invitation> {
        self.store.invitations.get_invitation(id).await.unwrap().map(Arc::unwrap_or_clone)
    }

    async fn invitations(
        &self,
        organization_id: OrganizationId,
        after: Option<InvitationId>,
        limit: u32,
    ) -> Vec<Invitation> {
        let listed = self.store.invitations.list_invitations(organization_id, after, limit).await.unwrap();
        listed.into_iter().map(Arc::unwrap_or_clone).collect()
    }
}

fn organization_id() -> OrganizationId {
    OrganizationId::from_bytes(given::id())
}

/// An invitation for an address that nobody else has.
fn other_invitation(organization_id: OrganizationId) -> Invitation {
    let id = InvitationId::from_bytes(given::id());
    Invitation { id, ..invitation(organization_id, &format!("{id}@example.com")) }
}

#[test]
fn invitation_round_trips_unused_and_used() {
    on_every_engine(|subject| async move {
        let used = other_invitation(organization_id());
        let unused = Invitation { acceptance: None, inviter: None, ..other_invitation(organization_id()) };
        for record in [used, unused] {
            let record = subject.insert_invitation(record).await;
            assert_eq!(subject.invitation(record.id).await, Some(record.clone()));
            assert_eq!(subject.invitations(record.organization_id, None, 2).await, [record]);
        }
        assert_eq!(subject.invitation(other_invitation(organization_id()).id).await, None);
    });
}

#[test]
fn invitation_is_one_per_organization_and_mailbox() {
    on_every_engine(|subject| async move {
        let here = organization_id();
        let first = subject.insert_invitation(invitation(here, "Guest@Bücher.example")).await;
        let other_id =
            || Invitation { role: Role::Viewer, ..invitation(here, "guest@xn--bcher-kva.example") };
        let same_id = Invitation { id: first.id, ..other_invitation(here) };
        let invitations = &subject.store.invitations;
        for limit in [LIMIT, 1, 0] {
            assert_eq!(invitations.insert_invitation(&other_id(), limit, None).await.unwrap(), Exists);
            assert_eq!(invitations.insert_invitation(&same_id, limit, None).await.unwrap(), Exists);
        }
        assert_eq!(subject.invitations(here, None, 10).await, std::slice::from_ref(&first));
        let elsewhere = Invitation { organization_id: organization_id(), ..other_id() };
        subject.insert_invitation(elsewhere).await;
        assert_eq!(invitations.delete_invitation(first.id, first.version, None).await.unwrap(), Done);
        subject.insert_invitation(other_id()).await;
    });
}

#[test]
fn invitation_for_one_mailbox_is_made_once_in_parallel() {
    on_every_engine(|subject| async move {
        let here = organization_id();
        let outcomes = in_parallel(32, |_| {
            let (subject, record) = (subject.clone(), invitation(here, "guest@example.com"));
            async move { subject.store.invitations.insert_invitation(&record, LIMIT, None).await.unwrap() }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == New).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Exists).count(), 31, "{outcomes:?}");
        assert_eq!(subject.invitations(here, None, 10).await.len(), 1);
    });
}

#[test]
fn invitation_limit_is_exact_in_parallel() {
    on_every_engine(|subject| async move {
        let here = organization_id();
        for round in 0..3 {
            let outcomes = in_parallel(32, |_| {
                let (subject, record) = (subject.clone(), other_invitation(here));
                async move { subject.store.invitations.insert_invitation(&record, LIMIT, None).await.unwrap() }
            })
            .await;
            let new = outcomes.iter().filter(|outcome| **outcome == New).count();
            assert_eq!(new, if round == 0 { LIMIT as usize } else { 1 }, "{outcomes:?}");
            assert!(outcomes.iter().all(|outcome| [New, Full].contains(outcome)), "{outcomes:?}");
            let all = subject.invitations(here, None, 100).await;
            assert_eq!(all.len(), LIMIT as usize);
            let one = &all[3 * round];
            let deleted = subject.store.invitations.delete_invitation(one.id, one.version, None).await;
            assert_eq!(deleted.unwrap(), Done);
        }
        subject.insert_invitation(other_invitation(organization_id())).await;
    });
}

#[test]
fn invitation_lists_are_of_one_organization_in_pages() {
    on_every_engine(|subject| async move {
        let organizations = [organization_id(), organization_id()];
        let mut inserted = [const { Vec::new() }; 2];
        for _ in 0..5 {
            for (id, invitations) in organizations.iter().zip(&mut inserted) {
                invitations.push(subject.insert_invitation(other_invitation(*id)).await);
            }
        }
        for (id, invitations) in organizations.into_iter().zip(&inserted) {
            assert_eq!(subject.invitations(id, None, 10).await, *invitations);
            assert_eq!(subject.invitations(id, None, 2).await, invitations[..2]);
            assert_eq!(subject.invitations(id, Some(invitations[1].id), 2).await, invitations[2..4]);
            assert_eq!(subject.invitations(id, Some(invitations[4].id), 2).await, []);
            assert_eq!(subject.invitations(id, None, 0).await, []);
        }
    });
}

#[test]
fn invitation_update_requires_the_version_before_it() {
    on_every_engine(|subject| async move {
        let record =
            subject.insert_invitation(Invitation { version: 5, ..other_invitation(organization_id()) }).await;
        for version in [0, 1, 4, 5, 7] {
            let wrong = Invitation { version, role: Role::Owner, ..record.clone() };
            assert_eq!(subject.store.invitations.update_invitation(&wrong, None).await.unwrap(), Stale);
            assert_eq!(subject.invitation(record.id).await, Some(record.clone()));
        }
        let next = record.next();
        assert_eq!(subject.store.invitations.update_invitation(&next, None).await.unwrap(), Done);
        assert_eq!(subject.invitation(record.id).await, Some(next));
        let unknown = other_invitation(organization_id()).next();
        assert_eq!(subject.store.invitations.update_invitation(&unknown, None).await.unwrap(), Stale);
        assert_eq!(subject.invitation(unknown.id).await, None);
    });
}

#[test]
fn invitation_is_accepted_once_in_parallel() {
    on_every_engine(|subject| async move {
        let record = subject.insert_invitation(other_invitation(organization_id())).await;
        let outcomes =
            in_parallel(50, |number| {
                let mut next = record.next();
                next.secret_hash[0] = number as u8;
                let subject = subject.clone();
                async move {
                    (next.clone(), subject.store.invitations.update_invitation(&next, None).await.unwrap())
                }
            })
            .await;
        let done: Vec<_> = outcomes.into_iter().filter(|(_, written)| *written == Done).collect();
        assert_eq!(done.len(), 1);
        assert_eq!(subject.invitation(record.id).await.as_ref(), Some(&done[0].0));
    });
}

#[test]
fn invitation_delete_requires_the_version() {
    on_every_engine(|subject| async move {
        let record =
            subject.insert_invitation(Invitation { version: 5, ..other_invitation(organization_id()) }).await;
        let invitations = &subject.store.invitations;
        for version in [0, 4, 6] {
            assert_eq!(invitations.delete_invitation(record.id, version, None).await.unwrap(), Stale);
        }
        assert_eq!(subject.invitation(record.id).await, Some(record.clone()));
        for expected in [Done, Stale] {
            assert_eq!(invitations.delete_invitation(record.id, 5, None).await.unwrap(), expected);
            assert_eq!(subject.invitation(record.id).await, None);
        }
    });
}

#[test]
fn invitation_delete_by_organization_works_in_batches() {
    on_every_engine(|subject| async move {
        let here = organization_id();
        for _ in 0..5 {
            subject.insert_invitation(other_invitation(here)).await;
        }
        let other = subject.insert_invitation(other_invitation(organization_id())).await;
        for (expected, left) in [(2, 3), (2, 1), (1, 0), (0, 0)] {
            assert_eq!(subject.store.invitations.delete_invitations_of(here, 2).await.unwrap(), expected);
            assert_eq!(subject.invitations(here, None, 10).await.len(), left);
        }
        assert_eq!(subject.invitation(other.id).await, Some(other));
    });
}

#[test]
fn invitation_cleanup_deletes_expired_ones() {
    on_every_engine(|subject| async move {
        let expiring = async |second| {
            let expires_at = at(second);
            subject.insert_invitation(Invitation { expires_at, ..other_invitation(organization_id()) }).await
        };
        let (first, second, kept) = (expiring(10).await, expiring(20).await, expiring(30).await);
        let invitations = &subject.store.invitations;
        assert_eq!(invitations.delete_expired_invitations(at(10), 10).await.unwrap(), 0, "only just expired");
        assert_eq!(invitations.delete_expired_invitations(at(25), 1).await.unwrap(), 1);
        assert_eq!(subject.invitation(first.id).await, None, "the longest expired first");
        assert_eq!(subject.invitation(second.id).await, Some(second.clone()));
        assert_eq!(invitations.delete_expired_invitations(at(25), 10).await.unwrap(), 1);
        assert_eq!(subject.invitation(second.id).await, None);

        // One that is sent again goes on for longer.
        let sent_again = Invitation { expires_at: at(60), ..kept.next() };
        assert_eq!(invitations.update_invitation(&sent_again, None).await.unwrap(), Done);
        assert_eq!(invitations.delete_expired_invitations(at(50), 10).await.unwrap(), 0);
        assert_eq!(subject.invitation(kept.id).await, Some(sent_again));
        assert_eq!(invitations.delete_expired_invitations(at(61), 10).await.unwrap(), 1);
    });
}
