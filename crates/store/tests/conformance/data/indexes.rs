//! Indexes: which may be made, what they refuse, and that they are whole.

use super::{Revision, StoredDocument, code, id, index, name, numbered, stored};
use crate::engines::{in_every_placement, in_parallel};
use bson::rawdoc;
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::error::ErrorCode;
use tenantry_domain::limits::{INDEXES_MAX, SHARED_INDEXES_MAX};
use tenantry_domain::organization::Placement;
use tenantry_domain::store::{InsertOutcome, UpdateOutcome};

#[test]
fn index_is_created_listed_and_dropped() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        let collections = &subject.store.collections;
        let collection = name("documents");
        subject.fill(&acme, "documents", numbered(0, 10)).await;
        let (by_n, by_two) = (index("n", false), index("b,-n", true));
        assert_eq!(subject.try_index(&acme, "documents", &by_two).await.unwrap(), InsertOutcome::New);
        assert_eq!(subject.try_index(&acme, "documents", &by_n).await.unwrap(), InsertOutcome::New);
        assert_eq!(subject.try_index(&acme, "documents", &by_n).await.unwrap(), InsertOutcome::Exists);
        assert_eq!(
            collections.list_indexes(&acme, &collection).await.unwrap(),
            [by_two.clone(), by_n.clone()]
        );
        assert_eq!(collections.get_collection(&acme, &collection).await.unwrap().unwrap().indexes, 2);
        assert_eq!(collections.list_indexes(&other, &collection).await.unwrap(), []);

        let other_name = Index { name: IndexName::parse("mine").unwrap(), ..by_n.clone() };
        let other_keys = Index { keys: by_two.keys.clone(), ..by_n.clone() };
        let not_unique = Index { unique: true, ..by_n.clone() };
        for refused in [other_name, other_keys, not_unique] {
            assert_eq!(code(subject.try_index(&acme, "documents", &refused).await), ErrorCode::IndexExists);
        }
        assert!(collections.delete_index(&acme, &collection, &by_n.name).await.unwrap());
        assert!(!collections.delete_index(&acme, &collection, &by_n.name).await.unwrap());
        assert_eq!(collections.list_indexes(&acme, &collection).await.unwrap(), [by_two]);
        for refused in [
            collections.list_indexes(&acme, &name("none")).await.map(|_| ()),
            collections.delete_index(&acme, &name("none"), &by_n.name).await.map(|_| ()),
            subject.try_index(&acme, "none", &by_n).await.map(|_| ()),
        ] {
            assert_eq!(code(refused), ErrorCode::CollectionNotFound);
        }
    });
}

#[test]
fn unique_index_rejects_duplicate_values() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        subject.add_collection(&acme, "orders").await;
        for organization in [&acme, &other] {
            subject.fill(organization, "documents", vec![stored(rawdoc! { "_id": 1, "e": "a" })]).await;
        }
        subject.add_index(&acme, "documents", &index("e", true)).await;
        let batch = || {
            vec![
                stored(rawdoc! { "_id": 2, "e": "a" }),
                stored(rawdoc! { "_id": 3, "e": "b" }),
                stored(rawdoc! { "_id": 4, "e": ["c", "c", "d"] }),
                stored(rawdoc! { "_id": 5, "e": ["x", "d"] }),
                stored(rawdoc! { "_id": 6 }),
                stored(rawdoc! { "_id": 7, "e": null }),
            ]
        };
        let outcomes = subject.insert_into(&acme, "documents", batch()).await;
        assert_eq!(outcomes, ["unique_violation", "", "", "unique_violation", "", "unique_violation"]);
        for (organization, collection) in [(&other, "documents"), (&acme, "orders")] {
            assert_eq!(
                subject.insert_into(organization, collection, batch()).await,
                [""; 6],
                "it is not theirs"
            );
        }
        let documents = &subject.store.documents;
        let taken = StoredDocument { body: rawdoc! { "_id": 3, "e": "a" }, revision: Revision(2) };
        let collection = name("documents");
        let refused = documents.update_document(&acme, &collection, taken.clone(), Revision(1)).await;
        let error = refused.unwrap_err();
        assert_eq!(error.code(), ErrorCode::UniqueViolation);
        assert!(error.sentence().contains("e_1"), "{}", error.sentence());
        assert_eq!(subject.document(&acme, "documents", &id(3)).await.unwrap().revision, Revision(1));
        let _ = documents.delete_document(&acme, &collection, &id(1), None).await.unwrap();
        let written = documents.update_document(&acme, &collection, taken, Revision(1)).await.unwrap();
        assert_eq!(written, UpdateOutcome::Done);
        assert_eq!(
            subject.insert_into(&acme, "documents", vec![stored(rawdoc! { "_id": 8, "e": "b" })]).await,
            [""]
        );
    });
}

#[test]
fn unique_index_build_fails_over_duplicate_values() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject
            .fill(&acme, "documents", (0..500).map(|n| stored(rawdoc! { "_id": n, "n": n / 2 })).collect())
            .await;
        assert_eq!(
            code(subject.try_index(&acme, "documents", &index("n", true)).await),
            ErrorCode::UniqueViolation
        );
        let collection = name("documents");
        assert_eq!(subject.store.collections.list_indexes(&acme, &collection).await.unwrap(), []);
        subject.add_index(&acme, "documents", &index("n", false)).await;
        assert_eq!(
            subject.insert_into(&acme, "documents", vec![stored(rawdoc! { "_id": 900, "n": 1 })]).await,
            [""]
        );
    });
}

#[test]
fn index_over_parallel_arrays_is_refused_without_change() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.add_collection(&acme, "orders").await;
        let parallel = || vec![stored(rawdoc! { "_id": 1, "a": [1], "b": [2] })];
        subject.fill(&acme, "orders", parallel()).await;
        assert_eq!(
            code(subject.try_index(&acme, "orders", &index("a,b", false)).await),
            ErrorCode::InvalidInput
        );
        assert_eq!(subject.store.collections.list_indexes(&acme, &name("orders")).await.unwrap(), []);
        subject.add_index(&acme, "documents", &index("a,b", false)).await;
        let mut batch = parallel();
        batch.push(stored(rawdoc! { "_id": 2, "a": [1], "b": 2 }));
        assert_eq!(subject.insert_into(&acme, "documents", batch).await, ["invalid_input", ""]);
        assert_eq!(subject.document(&acme, "documents", &id(1)).await, None);
        let worse = StoredDocument { body: rawdoc! { "_id": 2, "a": [1], "b": [2] }, revision: Revision(2) };
        let refused =
            subject.store.documents.update_document(&acme, &name("documents"), worse, Revision(1)).await;
        assert_eq!(code(refused), ErrorCode::InvalidInput);
    });
}

#[test]
fn index_count_of_collection_is_bounded() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let most = if acme.placement == Placement::Shared { SHARED_INDEXES_MAX } else { INDEXES_MAX };
        for number in 0..most {
            subject.add_index(&acme, "documents", &index(&format!("f{number}"), false)).await;
        }
        let refused = subject.try_index(&acme, "documents", &index("one_more", false)).await;
        assert_eq!(code(refused), ErrorCode::TooManyIndexes);
    });
}

#[test]
fn index_is_complete_after_writes_during_its_build() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.fill(&acme, "documents", numbered(0, 2000)).await;
        let (asked, acme_too) = (subject.clone(), acme.clone());
        in_parallel(5, move |task| {
            let (subject, acme) = (asked.clone(), acme_too.clone());
            async move {
                if task == 0 {
                    subject.add_index(&acme, "documents", &index("n", false)).await;
                }
                let first = 10_000 * i32::try_from(task + 1).unwrap();
                for round in 0..20 {
                    subject.fill(&acme, "documents", numbered(first + round * 10, 10)).await;
                }
            }
        })
        .await;
        assert_eq!(subject.count_of(&acme, "documents", r#"{"n":{"$gte":0}}"#).await, 3000);
        for n in [0, 1999, 10_000, 50_199] {
            assert_eq!(subject.count_of(&acme, "documents", &format!(r#"{{"n":{n}}}"#)).await, 1, "{n}");
        }
    });
}
