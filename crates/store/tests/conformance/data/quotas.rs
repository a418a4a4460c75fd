//! What an organization may have: exact, however many write.

use super::{LONG, Revision, StoredDocument, code, filter, name, numbered, stored};
use crate::engines::{in_every_placement, in_parallel};
use crate::given;
use bson::rawdoc;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::{Organization, Quota};
use tenantry_domain::store::Written;

fn of_documents(documents: u64) -> Quota {
    Quota { documents: Some(documents), ..Quota::default() }
}

#[test]
fn usage_counts_what_is_there() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.add_collection(&acme, "orders").await;
        subject.fill(&acme, "orders", numbered(0, 3)).await;
        subject.fill(&acme, "documents", numbered(0, 2)).await;
        let usage = subject.store.collections.get_usage(&acme).await.unwrap();
        let bytes: u64 = numbered(0, 3).iter().chain(&numbered(0, 2)).map(StoredDocument::bytes).sum();
        assert_eq!((usage.documents, usage.bytes, usage.collections), (5, bytes, 2));
    });
}

#[test]
fn no_document_more_gets_in_than_the_quota_says_however_many_write() {
    in_every_placement(|subject| async move {
        let acme = subject.home_with("Acme", of_documents(250)).await;
        subject.add_collection(&acme, "orders").await;
        let (asked, acme_too) = (subject.clone(), acme.clone());
        let outcomes = in_parallel(100, move |writer| {
            let (subject, acme) = (asked.clone(), acme_too.clone());
            async move {
                let first = i32::try_from(writer).unwrap() * 100;
                let collection = if writer % 2 == 0 { "documents" } else { "orders" };
                subject.insert_into(&acme, collection, numbered(first, 5)).await
            }
        })
        .await;
        let (mut inserted, mut refused) = (0, 0);
        for outcome in outcomes.concat() {
            match outcome {
                "" => inserted += 1,
                "quota_exceeded" => refused += 1,
                other => panic!("{other}"),
            }
        }
        assert_eq!((inserted, refused), (250, 250));
        assert_eq!(subject.store.collections.get_usage(&acme).await.unwrap().documents, 250);
    });
}

#[test]
fn what_is_deleted_makes_room_again() {
    in_every_placement(|subject| async move {
        let acme = subject.home_with("Acme", of_documents(10)).await;
        subject.fill(&acme, "documents", numbered(0, 10)).await;
        assert_eq!(subject.insert_into(&acme, "documents", numbered(10, 1)).await, ["quota_exceeded"]);
        let documents = &subject.store.documents;
        let collection = name("documents");
        let _ = documents.delete_document(&acme, &collection, &super::id(3), None).await.unwrap();
        assert_eq!(subject.insert_into(&acme, "documents", numbered(10, 2)).await, ["", "quota_exceeded"]);
        let removed =
            documents.delete_matching(&acme, &collection, &filter(r#"{"n":{"$lt":5}}"#), LONG).await;
        assert_eq!(removed.unwrap().documents, 4);
        let outcomes = subject.insert_into(&acme, "documents", numbered(20, 6)).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_empty()).count(), 4, "{outcomes:?}");
    });
}

#[test]
fn bytes_are_counted_and_a_change_that_does_not_grow_is_always_made() {
    in_every_placement(|subject| async move {
        let text = |length: usize| stored(rawdoc! { "_id": 1, "text": "x".repeat(length) });
        let most = text(1000).bytes();
        let acme = subject.home_with("Acme", Quota { bytes: Some(most), ..Quota::default() }).await;
        assert_eq!(subject.insert_into(&acme, "documents", vec![text(1001)]).await, ["quota_exceeded"]);
        assert_eq!(subject.insert_into(&acme, "documents", vec![text(900)]).await, [""]);
        let documents = &subject.store.documents;
        let collection = name("documents");
        for (length, fits) in [(1000, true), (1001, false), (10, true), (1000, true)] {
            let before = subject.document(&acme, "documents", &super::id(1)).await.unwrap().revision;
            let next = StoredDocument { revision: before.next(), ..text(length) };
            let written = documents.update_document(&acme, &collection, next, before).await;
            match fits {
                true => assert_eq!(written.unwrap(), Written::Done, "{length}"),
                false => assert_eq!(code(written), ErrorCode::QuotaExceeded, "{length}"),
            }
        }
        // The operator has lowered it since.
        let less = Organization { quota: Quota { bytes: Some(10), ..Quota::default() }, ..acme };
        let before = subject.document(&less, "documents", &super::id(1)).await.unwrap().revision;
        let smaller = StoredDocument { revision: Revision(before.0 + 1), ..text(500) };
        assert_eq!(
            documents.update_document(&less, &collection, smaller, before).await.unwrap(),
            Written::Done
        );
        assert_eq!(subject.insert_into(&less, "documents", numbered(7, 1)).await, ["quota_exceeded"]);
        let removed = documents.delete_matching(&less, &collection, &filter("{}"), LONG).await.unwrap();
        assert_eq!(removed.documents, 1);
    });
}

#[test]
fn a_quota_that_comes_later_counts_what_is_there() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.fill(&acme, "documents", numbered(0, 8)).await;
        let limited = Organization { quota: of_documents(10), ..acme };
        let outcomes = subject.insert_into(&limited, "documents", numbered(100, 5)).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_empty()).count(), 2, "{outcomes:?}");
        assert_eq!(subject.store.collections.get_usage(&limited).await.unwrap().documents, 10);
    });
}

#[test]
fn a_quota_that_was_lifted_and_set_again_counts_what_came_meanwhile() {
    in_every_placement(|subject| async move {
        let set = async |organization: &Organization, quota| {
            let next = Organization { quota, ..organization.successor(given::START) };
            let written = subject.store.organizations.update_organization(&next).await.unwrap();
            assert_eq!(written, Written::Done);
            next
        };
        let limited = set(&subject.home("Acme").await, of_documents(10)).await;
        subject.fill(&limited, "documents", numbered(0, 5)).await;
        let free = set(&limited, Quota::default()).await;
        subject.fill(&free, "documents", numbered(100, 20)).await;
        let limited = set(&free, of_documents(10)).await;
        assert_eq!(subject.insert_into(&limited, "documents", numbered(200, 1)).await, ["quota_exceeded"]);
        // What fits into the count is counted once: another change of the record changes nothing about that.
        let raised = set(&limited, of_documents(26)).await;
        let outcomes = subject.insert_into(&raised, "documents", numbered(200, 2)).await;
        assert_eq!(outcomes, ["", "quota_exceeded"]);
    });
}
