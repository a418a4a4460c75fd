//! What a store owes the places of the organizations' own data.

use crate::engines::{Subject, in_every_placement, in_parallel};
use crate::given::{START, organization, refusal};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::{InsertOutcome, NewContainer, UpdateOutcome};

fn new_container(organization: &Organization, fence: u32) -> NewContainer {
    NewContainer {
        organization_id: organization.id,
        fence,
        namespace: organization.naming.namespace.clone(),
        placement: organization.placement,
        created_at: START,
    }
}

impl Subject {
    /// An organization in the engine's placement that has no container yet.
    async fn organization(&self, name: &str) -> Organization {
        let placement = self.store.containers.choose_placement(None).await.unwrap();
        Organization { placement, ..organization(name) }
    }

    /// The organization with its container, as its record says it.
    async fn with_container(&self, organization: &Organization, fence: u32) -> Organization {
        let container = new_container(organization, fence);
        let container = self.store.containers.create_container(&container).await.unwrap();
        Organization { container, ..organization.clone() }
    }

    /// A new organization with a container of as many documents.
    async fn container_with(&self, name: &str, documents: u32) -> Organization {
        let organization = self.with_container(&self.organization(name).await, 0).await;
        self.engine.add_documents(&organization, documents).await;
        organization
    }

    async fn count(&self, organization: &Organization) -> u64 {
        self.store.containers.count_documents(organization).await.unwrap()
    }
}

#[test]
fn container_starts_empty_and_counts_its_documents() {
    in_every_placement(|subject| async move {
        let (one, other) = (subject.container_with("One", 0).await, subject.container_with("Other", 7).await);
        assert_eq!(subject.count(&one).await, 0);
        for documents in [1, 3, 1001] {
            let before = subject.count(&one).await;
            subject.engine.add_documents(&one, documents).await;
            assert_eq!(subject.count(&one).await, before + u64::from(documents));
        }
        assert_eq!(subject.count(&other).await, 7, "a neighbour is a neighbour");
    });
}

#[test]
fn container_create_keeps_existing_container() {
    in_every_placement(|subject| async move {
        let acme = subject.container_with("Acme", 3).await;
        for fence in [0, 1] {
            assert_eq!(subject.with_container(&acme, fence).await, acme);
            assert_eq!(subject.count(&acme).await, 3);
        }
    });
}

#[test]
fn container_parallel_creates_make_one() {
    in_every_placement(|subject| async move {
        let acme = subject.organization("Acme").await;
        let made = in_parallel(8, |number| {
            let (subject, acme) = (subject.clone(), acme.clone());
            async move { subject.with_container(&acme, number as u32 % 2).await }
        })
        .await;
        assert!(made.iter().all(|one| *one == made[0]), "{made:#?}");
        subject.engine.add_documents(&made[0], 2).await;
        assert_eq!(subject.count(&made[7]).await, 2);
    });
}

#[test]
fn container_that_is_missing_is_unavailable_not_empty() {
    in_every_placement(|subject| async move {
        let nowhere = subject.organization("Nowhere").await;
        for _ in 0..2 {
            let counted = subject.store.containers.count_documents(&nowhere).await;
            assert_eq!(refusal(counted), ErrorCode::StoreUnavailable, "asking makes none");
        }
    });
}

#[test]
fn container_move_keeps_its_documents() {
    in_every_placement(|subject| async move {
        let mut acme = subject.container_with("Acme", 5).await;
        let neighbour = subject.container_with("Neighbour", 2).await;
        for namespace in ["tenant_zenith", "tenant_zenith", "deleted_acme", "tenant_acme"] {
            for _ in 0..2 {
                subject.store.containers.rename_container(&acme, namespace).await.unwrap();
                assert_eq!(subject.count(&acme).await, 5, "also before the record says so");
            }
            acme.naming.namespace = namespace.to_owned();
            assert_eq!(subject.count(&acme).await, 5);
        }
        assert_eq!(subject.count(&neighbour).await, 2);
    });
}

#[test]
fn container_drop_removes_its_documents() {
    in_every_placement(|subject| async move {
        let new = subject.organization("Acme").await;
        assert_eq!(subject.store.organizations.insert_organization(&new).await.unwrap(), InsertOutcome::New);
        let mut acme = subject.with_container(&new, 0).await;
        acme.version += 1;
        assert_eq!(
            subject.store.organizations.update_organization(&acme).await.unwrap(),
            UpdateOutcome::Done
        );
        assert_eq!(subject.count(&acme).await, 0, "with or without a file");
        let first = CollectionName::parse("first").unwrap();
        let made = subject.store.collections.insert_collection(&acme, &first).await;
        assert_eq!(made.unwrap(), InsertOutcome::New);
        subject.engine.add_documents(&acme, 5).await;
        let neighbour = subject.container_with("Neighbour", 2).await;
        for _ in 0..2 {
            subject.store.containers.drop_container(&acme).await.unwrap();
            let counted = subject.store.containers.count_documents(&acme).await;
            assert_eq!(refusal(counted), ErrorCode::StoreUnavailable);
        }
        assert_eq!(subject.count(&neighbour).await, 2);
        let again = subject.with_container(&acme, 0).await;
        assert_eq!(subject.count(&again).await, 0);
        subject.store.containers.drop_container(&subject.organization("Never").await).await.unwrap();
    });
}
