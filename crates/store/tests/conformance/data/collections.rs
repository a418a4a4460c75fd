//! Which collections there are, how many, and what a rename or a drop does to them.

use super::{code, id, name, numbered};
use crate::engines::{in_every_placement, in_parallel};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::{Organization, Quota, QuotaLimit};
use tenantry_domain::store::{InsertOutcome, UpdateOutcome};

fn names(infos: &[tenantry_domain::store::CollectionInfo]) -> Vec<&str> {
    infos.iter().map(|info| info.name.as_str()).collect()
}

#[test]
fn default_collection_exists_and_stays() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let collections = &subject.store.collections;
        let listed = collections.list_collections(&acme, None, 10).await.unwrap();
        assert_eq!(names(&listed), [CollectionName::DEFAULT]);
        assert_eq!((listed[0].documents, listed[0].bytes, listed[0].indexes), (0, 0, 0));
        let default = CollectionName::default();
        assert_eq!(collections.insert_collection(&acme, &default).await.unwrap(), InsertOutcome::Exists);
        assert_eq!(subject.insert_into(&acme, "documents", numbered(1, 3)).await, ["", "", ""]);
        let info = collections.get_collection(&acme, &default).await.unwrap().unwrap();
        assert_eq!(info.documents, 3);
        let body: usize = numbered(1, 3).iter().map(|document| document.body.as_bytes().len()).sum();
        assert!(info.bytes >= body as u64, "{info:?}");
    });
}

#[test]
fn collection_exists_until_dropped_and_leaves_nothing() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        let (collections, documents) = (&subject.store.collections, &subject.store.documents);
        let orders = name("orders");
        assert_eq!(code(documents.get_document(&acme, &orders, &id(1)).await), ErrorCode::CollectionNotFound);
        assert_eq!(
            code(documents.insert_documents(&acme, &orders, numbered(1, 1)).await),
            ErrorCode::CollectionNotFound
        );
        assert_eq!(collections.get_collection(&acme, &orders).await.unwrap(), None);
        subject.add_collection(&acme, "orders").await;
        assert_eq!(collections.insert_collection(&acme, &orders).await.unwrap(), InsertOutcome::Exists);
        assert_eq!(collections.get_collection(&other, &orders).await.unwrap(), None, "a neighbour has none");
        subject.fill(&acme, "orders", numbered(1, 600)).await;
        subject.fill(&acme, "documents", numbered(1, 2)).await;
        assert_eq!(subject.store.containers.count_documents(&acme).await.unwrap(), 602);

        assert!(collections.delete_collection(&acme, &orders).await.unwrap());
        assert!(!collections.delete_collection(&acme, &orders).await.unwrap());
        assert_eq!(code(documents.get_document(&acme, &orders, &id(1)).await), ErrorCode::CollectionNotFound);
        let late = documents.delete_document(&acme, &orders, &id(1), None).await;
        assert_eq!(code(late), ErrorCode::CollectionNotFound);
        subject.add_collection(&acme, "orders").await;
        assert_eq!(subject.document(&acme, "orders", &id(1)).await, None);
        assert_eq!(subject.count_of(&acme, "orders", "{}").await, 0);
        assert_eq!(subject.count_of(&acme, "documents", "{}").await, 2);
    });
}

#[test]
fn collection_list_is_paged_by_name() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        for each in ["b", "a", "Z", "z-1", "zz"] {
            subject.add_collection(&acme, each).await;
        }
        let collections = &subject.store.collections;
        let all = collections.list_collections(&acme, None, 100).await.unwrap();
        assert_eq!(names(&all), ["Z", "a", "b", "documents", "z-1", "zz"]);
        let page = collections.list_collections(&acme, Some(&name("a")), 3).await.unwrap();
        assert_eq!(names(&page), ["b", "documents", "z-1"]);
    });
}

#[test]
fn collection_is_created_once_by_parallel_inserts() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let asked = subject.clone();
        let acme_too = acme.clone();
        let made = in_parallel(20, move |_| {
            let (subject, acme) = (asked.clone(), acme_too.clone());
            async move { subject.store.collections.insert_collection(&acme, &name("orders")).await.unwrap() }
        })
        .await;
        assert_eq!(made.iter().filter(|one| **one == InsertOutcome::New).count(), 1);
        assert_eq!(subject.store.collections.get_usage(&acme).await.unwrap().collections, 2);
    });
}

#[test]
fn collection_quota_is_never_exceeded() {
    in_every_placement(|subject| async move {
        let quota = Quota { collections: QuotaLimit::new(5).ok(), ..Quota::default() };
        let acme = subject.home_with("Acme", quota).await;
        let (asked, acme_too) = (subject.clone(), acme.clone());
        let made = in_parallel(20, move |number| {
            let (subject, acme) = (asked.clone(), acme_too.clone());
            async move {
                let name = name(&format!("c{number}"));
                subject.store.collections.insert_collection(&acme, &name).await.map_err(|error| error.code())
            }
        })
        .await;
        assert_eq!(made.iter().filter(|one| **one == Ok(InsertOutcome::New)).count(), 4);
        assert_eq!(made.iter().filter(|one| **one == Err(ErrorCode::QuotaExceeded)).count(), 16);
        let listed = subject.store.collections.list_collections(&acme, None, 100).await.unwrap();
        assert_eq!(listed.len(), 5);
        assert!(subject.store.collections.delete_collection(&acme, &listed[0].name).await.unwrap());
        subject.add_collection(&acme, "another").await;
    });
}

/// Brings the container under another name, as a rename does.
pub(super) async fn rename(
    subject: &crate::engines::Subject,
    organization: &Organization,
    to: &str,
) -> Organization {
    let naming = crate::given::naming(to);
    subject.store.containers.rename_container(organization, &naming.namespace).await.unwrap();
    let renamed = Organization {
        reserved: naming.reserved(),
        naming,
        version: organization.version + 1,
        ..organization.clone()
    };
    assert_eq!(subject.store.organizations.update_organization(&renamed).await.unwrap(), UpdateOutcome::Done);
    renamed
}

/// A rename moves every collection, and a record with the old name still finds them.
#[test]
fn rename_keeps_collections_reachable_under_both_names() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.add_collection(&acme, "orders").await;
        subject.fill(&acme, "orders", numbered(1, 3)).await;
        subject.fill(&acme, "documents", numbered(1, 2)).await;
        let renamed = rename(&subject, &acme, "Other Name").await;
        for known in [&acme, &renamed] {
            assert_eq!(subject.count_of(known, "orders", "{}").await, 3);
            assert_eq!(subject.count_of(known, "documents", "{}").await, 2);
            assert!(subject.document(known, "orders", &id(1)).await.is_some());
        }
        // Somebody else is called so now.
        let next = subject.home("Acme").await;
        subject.add_collection(&next, "orders").await;
        subject.fill(&next, "orders", numbered(100, 1)).await;
        for known in [&acme, &renamed] {
            assert_eq!(
                subject
                    .insert_into(known, "orders", numbered(if known.version == 1 { 50 } else { 60 }, 1))
                    .await,
                [""]
            );
            assert!(subject.document(known, "orders", &id(100)).await.is_none(), "that is another's");
        }
        assert_eq!(subject.count_of(&renamed, "orders", "{}").await, 5);
        assert_eq!(subject.count_of(&next, "orders", "{}").await, 1);
    });
}

#[test]
fn container_that_was_dropped_is_reached_by_no_call() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.add_collection(&acme, "orders").await;
        subject.fill(&acme, "orders", numbered(1, 3)).await;
        assert!(subject.document(&acme, "documents", &id(1)).await.is_none());
        subject.store.containers.drop_container(&acme).await.unwrap();
        let documents = &subject.store.documents;
        for collection in ["orders", "documents"] {
            let collection = name(collection);
            assert!(documents.insert_documents(&acme, &collection, numbered(7, 1)).await.is_err());
            assert!(documents.get_document(&acme, &collection, &id(1)).await.is_err());
            assert!(
                documents
                    .update_document(&acme, &collection, numbered(1, 1).remove(0), super::Revision(1))
                    .await
                    .is_err()
            );
        }
        // The same id once more, as an import makes it: nothing of the old one is in it.
        let container = tenantry_domain::store::NewContainer {
            organization_id: acme.id,
            fence: 1,
            namespace: acme.naming.namespace.clone(),
            placement: acme.placement,
            created_at: crate::given::START,
        };
        let container = subject.store.containers.create_container(&container).await.unwrap();
        let acme = Organization { container, ..acme };
        assert_eq!(subject.store.containers.count_documents(&acme).await.unwrap(), 0);
        assert_eq!(subject.store.collections.get_collection(&acme, &name("orders")).await.unwrap(), None);
    });
}
