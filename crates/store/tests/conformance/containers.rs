use crate::engines::{Subject, in_parallel, on_every_engine};
use crate::given::{START, organization, refusal};
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::NewContainer;

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
    /// A new organization's container, with as many documents.
    async fn container_with(&self, name: &str, documents: u32) -> Organization {
        let organization = organization(name);
        self.store.containers.create_container(&new_container(&organization, 0)).await.unwrap();
        self.engine.add_documents(organization.id, documents).await;
        organization
    }

    async fn count(&self, organization: &Organization) -> u64 {
        self.store.containers.count_documents(organization).await.unwrap()
    }
}

#[test]
fn a_new_container_is_empty_and_counts_exactly_what_comes() {
    on_every_engine(|subject| async move {
        let (one, other) = (subject.container_with("One", 0).await, subject.container_with("Other", 7).await);
        assert_eq!(subject.count(&one).await, 0);
        for documents in [1, 3, 1001] {
            let before = subject.count(&one).await;
            subject.engine.add_documents(one.id, documents).await;
            assert_eq!(subject.count(&one).await, before + u64::from(documents));
        }
        assert_eq!(subject.count(&other).await, 7, "a neighbour is a neighbour");
    });
}

#[test]
fn a_container_that_is_there_stays_as_it_is() {
    on_every_engine(|subject| async move {
        let acme = organization("Acme");
        let create = async |fence| {
            subject.store.containers.create_container(&new_container(&acme, fence)).await.unwrap()
        };
        let identity = create(0).await;
        subject.engine.add_documents(acme.id, 3).await;
        for fence in [0, 1] {
            assert_eq!(create(fence).await, identity);
            assert_eq!(subject.count(&acme).await, 3);
        }
    });
}

#[test]
fn two_that_make_one_container_make_one() {
    on_every_engine(|subject| async move {
        let acme = organization("Acme");
        in_parallel(8, |number| {
            let (subject, acme) = (subject.clone(), acme.clone());
            async move {
                let container = new_container(&acme, number as u32 % 2);
                subject.store.containers.create_container(&container).await.unwrap();
                subject.count(&acme).await
            }
        })
        .await;
        subject.engine.add_documents(acme.id, 2).await;
        assert_eq!(subject.count(&acme).await, 2);
    });
}

#[test]
fn a_container_that_is_not_there_is_unavailable_and_not_empty() {
    on_every_engine(|subject| async move {
        let counted = subject.store.containers.count_documents(&organization("Nowhere")).await;
        assert_eq!(refusal(counted), ErrorCode::StoreUnavailable);
        let again = subject.store.containers.count_documents(&organization("Nowhere")).await;
        assert_eq!(refusal(again), ErrorCode::StoreUnavailable, "asking makes none");
    });
}

#[test]
fn a_container_moves_with_all_that_is_in_it() {
    on_every_engine(|subject| async move {
        let acme = subject.container_with("Acme", 5).await;
        let neighbour = subject.container_with("Neighbour", 2).await;
        for namespace in ["tenant_zenith", "tenant_zenith", "deleted_acme", "tenant_acme"] {
            subject.store.containers.move_container(&acme, namespace).await.unwrap();
            assert_eq!(subject.count(&acme).await, 5);
        }
        assert_eq!(subject.count(&neighbour).await, 2);
    });
}

#[test]
fn a_dropped_container_is_gone_with_all_that_was_in_it() {
    on_every_engine(|subject| async move {
        let acme = subject.container_with("Acme", 5).await;
        let neighbour = subject.container_with("Neighbour", 2).await;
        for _ in 0..2 {
            subject.store.containers.drop_container(&acme).await.unwrap();
            let counted = subject.store.containers.count_documents(&acme).await;
            assert_eq!(refusal(counted), ErrorCode::StoreUnavailable);
        }
        assert_eq!(subject.count(&neighbour).await, 2);
        subject.store.containers.create_container(&new_container(&acme, 0)).await.unwrap();
        assert_eq!(subject.count(&acme).await, 0);
        subject.store.containers.drop_container(&organization("Never")).await.unwrap();
    });
}
