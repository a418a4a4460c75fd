//! Documents one by one and together: inserted, changed against their revision, removed.

use super::{LONG, code, filter, id, name, numbered, query, stored};
use crate::engines::{in_every_placement, in_parallel};
use bson::oid::ObjectId;
use bson::raw::RawBson;
use bson::{RawDocumentBuf, rawdoc};
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_domain::error::ErrorCode;
use tenantry_domain::store::UpdateOutcome;

#[test]
fn document_round_trips_with_any_value() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let mut deep = rawdoc! { "x": 1 };
        for _ in 0..97 {
            deep = rawdoc! { "x": deep };
        }
        let ids = [
            RawBson::Int32(1),
            RawBson::String("1".into()),
            RawBson::ObjectId(ObjectId::from_bytes([7; 12])),
            RawBson::Document(rawdoc! { "a": [1, { "b": true }] }),
            RawBson::Boolean(false),
            RawBson::Double(2.5),
            RawBson::String("'; DROP TABLE documents; --".into()),
        ];
        for (number, value) in ids.into_iter().enumerate() {
            let mut body = RawDocumentBuf::new();
            body.append(bson::raw::cstr!("_id"), value);
            body.append(bson::raw::cstr!("deep"), deep.clone());
            body.append(bson::raw::cstr!("long"), 5_i64);
            body.append(bson::raw::cstr!("org_id"), "not whose it is");
            body.append(bson::raw::cstr!("revision"), 9);
            let document = StoredDocument { body, revision: Revision(1_700_000_000_000 + number as u64) };
            assert_eq!(subject.insert_into(&acme, "documents", vec![document.clone()]).await, [""]);
            assert_eq!(subject.document(&acme, "documents", &document.id().unwrap()).await, Some(document));
        }
        assert_eq!(subject.count_of(&acme, "documents", "{}").await, 7);
    });
}

#[test]
fn document_id_is_unique_and_equal_numbers_are_equal() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        let five = vec![stored(rawdoc! { "_id": 5, "a": 1 })];
        assert_eq!(subject.insert_into(&acme, "documents", five.clone()).await, [""]);
        let batch = vec![
            stored(rawdoc! { "_id": 4 }),
            stored(rawdoc! { "_id": 5.0, "a": 2 }),
            stored(rawdoc! { "_id": 6 }),
            stored(rawdoc! { "_id": 6_i64 }),
            stored(rawdoc! { "_id": "5" }),
        ];
        let outcomes = subject.insert_into(&acme, "documents", batch).await;
        assert_eq!(outcomes, ["", "document_exists", "", "document_exists", ""]);
        assert_eq!(subject.document(&acme, "documents", &id(5)).await, Some(five[0].clone()));
        assert_eq!(subject.insert_into(&other, "documents", five).await, [""], "a neighbour has its own");
        subject.add_collection(&acme, "orders").await;
        assert_eq!(subject.insert_into(&acme, "orders", numbered(5, 1)).await, [""]);
        assert_eq!(subject.count_of(&acme, "documents", "{}").await, 4);
    });
}

#[test]
fn document_change_requires_the_expected_revision() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let documents = &subject.store.documents;
        let collection = name("documents");
        subject.fill(&acme, "documents", numbered(1, 2)).await;
        let next = |n: i32, revision| StoredDocument {
            body: rawdoc! { "_id": 1, "n": n, "more": "x" },
            revision: Revision(revision),
        };
        for (expected, revision, outcome) in [
            (7, 8, UpdateOutcome::Stale),
            (1, 2, UpdateOutcome::Done),
            (1, 3, UpdateOutcome::Stale),
            (2, 9, UpdateOutcome::Done),
        ] {
            let written = documents.update_document(
                &acme,
                &collection,
                next(revision, revision.unsigned_abs().into()),
                Revision(expected),
            );
            assert_eq!(written.await.unwrap(), outcome, "{expected}");
        }
        assert_eq!(subject.document(&acme, "documents", &id(1)).await, Some(next(9, 9)));
        let absent = stored(rawdoc! { "_id": 77 });
        let written = documents.update_document(&acme, &collection, absent, Revision(1)).await.unwrap();
        assert_eq!(written, UpdateOutcome::Stale);
        for (number, expected, outcome) in [
            (1, Some(1), UpdateOutcome::Stale),
            (1, Some(9), UpdateOutcome::Done),
            (1, None, UpdateOutcome::Stale),
            (2, None, UpdateOutcome::Done),
        ] {
            let expected = expected.map(Revision);
            let deleted = documents.delete_document(&acme, &collection, &id(number), expected).await.unwrap();
            assert_eq!(deleted, outcome, "{number} {expected:?}");
        }
        assert_eq!(subject.count_of(&acme, "documents", "{}").await, 0);
        assert_eq!(subject.store.containers.count_documents(&acme).await.unwrap(), 0);
    });
}

#[test]
fn document_revision_is_changed_once_by_parallel_updates() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.fill(&acme, "documents", numbered(1, 1)).await;
        let (asked, acme_too) = (subject.clone(), acme.clone());
        let outcomes = in_parallel(100, move |number| {
            let (subject, acme) = (asked.clone(), acme_too.clone());
            async move {
                let number = i32::try_from(number).unwrap();
                let next = StoredDocument { body: rawdoc! { "_id": 1, "n": number }, revision: Revision(2) };
                let documents = &subject.store.documents;
                documents.update_document(&acme, &name("documents"), next, Revision(1)).await.unwrap()
            }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == UpdateOutcome::Done).count(), 1);
    });
}

#[test]
fn delete_matching_removes_only_matching_documents() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        for organization in [&acme, &other] {
            subject.fill(organization, "documents", numbered(0, 1500)).await;
        }
        let documents = &subject.store.documents;
        let collection = name("documents");
        let removed = documents
            .delete_matching(&acme, &collection, &filter(r#"{"n":{"$gte":500}}"#), LONG)
            .await
            .unwrap();
        assert_eq!((removed.documents, removed.more), (1000, false));
        assert_eq!(subject.count_of(&acme, "documents", "{}").await, 500);
        let rest = documents.delete_matching(&acme, &collection, &filter("{}"), LONG).await.unwrap();
        assert_eq!((rest.documents, rest.more), (500, false));
        assert_eq!(subject.count_of(&acme, "documents", "{}").await, 0);
        assert_eq!(subject.count_of(&other, "documents", "{}").await, 1500);
        assert_eq!(subject.store.containers.count_documents(&other).await.unwrap(), 1500);
    });
}

#[test]
fn parallel_inserts_lose_no_document() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let (asked, acme_too) = (subject.clone(), acme.clone());
        in_parallel(20, move |writer| {
            let (subject, acme) = (asked.clone(), acme_too.clone());
            async move {
                let first = i32::try_from(writer).unwrap() * 1000;
                for round in 0..5 {
                    subject.fill(&acme, "documents", numbered(first + round * 10, 10)).await;
                }
            }
        })
        .await;
        assert_eq!(subject.count_of(&acme, "documents", "{}").await, 1000);
        let pages = subject.pages(&acme, "documents", &query("{}", "", 90)).await;
        assert_eq!(pages.concat().len(), 1000);
    });
}

#[test]
fn reserved_field_is_never_shown_nor_found() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.fill(&acme, "documents", numbered(1, 2)).await;
        let found = subject.found(&acme, "documents", &query("{}", "", 10)).await;
        assert_eq!(found.documents.len(), 2);
        for document in &found.documents {
            let names: Vec<_> = document.body.iter().map(|field| field.unwrap().0.to_string()).collect();
            assert_eq!(names, ["_id", "n"]);
        }
        // What a container begins with is no document.
        let own = DocumentId::from(ObjectId::from_bytes(*acme.id.as_bytes()));
        assert_eq!(subject.document(&acme, "documents", &own).await, None);
        for json in [r#"{"metadata":{"$exists":true}}"#, r#"{"metadata.schema_version":"1.0"}"#] {
            assert_eq!(subject.count_of(&acme, "documents", json).await, 0, "{json}");
        }
        let documents = &subject.store.documents;
        let collection = name("documents");
        let written = documents.delete_document(&acme, &collection, &own, None).await.unwrap();
        assert_eq!(written, UpdateOutcome::Stale);
        let removed = documents.delete_matching(&acme, &collection, &filter("{}"), LONG).await.unwrap();
        assert_eq!(removed.documents, 2);
        assert_eq!(
            subject.insert_into(&acme, "documents", numbered(1, 1)).await,
            [""],
            "the container is whole"
        );
    });
}

#[test]
fn query_that_takes_too_long_is_refused() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let text = "x".repeat(200);
        let documents: Vec<_> =
            (0..20_000).map(|n| stored(rawdoc! { "_id": n, "n": n, "text": text.as_str() })).collect();
        subject.fill(&acme, "documents", documents).await;
        let mut slow = query(r#"{"text":{"$regex":"(x|y)*z"}}"#, "-n", 10);
        slow.time = std::time::Duration::from_millis(1);
        let refused = subject.store.documents.find_documents(&acme, &name("documents"), &slow).await;
        assert_eq!(code(refused), ErrorCode::QueryTooSlow);
    });
}
