//! Partial and sparse indexes: which documents they have, and what they refuse.

use super::{Revision, StoredDocument, code, id, index, name, partial, stored};
use crate::engines::{in_every_placement, in_parallel};
use bson::rawdoc;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::{Quota, QuotaLimit};
use tenantry_domain::store::{InsertOutcome, UpdateOutcome};

#[test]
fn partial_index_is_listed_as_made_beside_others_of_its_keys() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        let (collections, collection) = (&subject.store.collections, name("documents"));
        let all = index("n", false);
        let open =
            partial("n", false, Some(r#"{"s": "open", "n": {"$gt": 1.5, "$lte": {"$numberLong": "9"}}}"#));
        let sparse = partial("n", true, None);
        let two = partial("n,-_id", false, None);
        for made in [&all, &open, &sparse, &two] {
            assert_eq!(subject.try_index(&acme, "documents", made).await.unwrap(), InsertOutcome::New);
            assert_eq!(subject.try_index(&acme, "documents", made).await.unwrap(), InsertOutcome::Exists);
        }
        let listed = collections.list_indexes(&acme, &collection).await.unwrap();
        let mut expected = [all, open.clone(), sparse.clone(), two];
        expected.sort_by(|one, other| one.name.cmp(&other.name));
        assert_eq!(listed, expected);
        assert_eq!(collections.list_indexes(&other, &collection).await.unwrap(), []);

        let mut again = partial("n", false, Some(r#"{"n": {"$gt": 1.5, "$lte": 9}, "s": "open"}"#));
        assert_eq!(code(subject.try_index(&acme, "documents", &again).await), ErrorCode::IndexExists);
        again.name = tenantry_documents::index::IndexName::parse("again").unwrap();
        // The same, written in another way.
        assert_eq!(code(subject.try_index(&acme, "documents", &again).await), ErrorCode::IndexExists);
        again.coverage = partial("n", false, Some(r#"{"n": {"$gt": 1.5, "$lte": 8}, "s": "open"}"#)).coverage;
        assert_eq!(subject.try_index(&acme, "documents", &again).await.unwrap(), InsertOutcome::New);
        for gone in [&open, &sparse] {
            assert!(collections.delete_index(&acme, &collection, &gone.name).await.unwrap());
            assert!(!collections.delete_index(&acme, &collection, &gone.name).await.unwrap());
        }
        assert_eq!(subject.try_index(&acme, "documents", &open).await.unwrap(), InsertOutcome::New);
    });
}

#[test]
fn unique_partial_index_rejects_duplicates_within_filter_only() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        let documents = |first: i32| {
            vec![
                stored(rawdoc! { "_id": first, "e": "a", "s": "open" }),
                stored(rawdoc! { "_id": first + 1, "e": "a", "s": "paid" }),
                stored(rawdoc! { "_id": first + 2, "e": "a" }),
            ]
        };
        for organization in [&acme, &other] {
            subject.fill(organization, "documents", documents(0)).await;
        }
        let by_e = partial("e", true, Some(r#"{"s": "open"}"#));
        subject.add_index(&acme, "documents", &by_e).await;
        let refused = ["unique_violation", "", ""];
        assert_eq!(subject.insert_into(&acme, "documents", documents(10)).await, refused);
        assert_eq!(
            subject.insert_into(&other, "documents", documents(10)).await,
            [""; 3],
            "it is not theirs"
        );

        let (store, collection) = (&subject.store.documents, name("documents"));
        let write = |n: i32, s: &str, e: &str, revision| {
            let (body, revision) = (rawdoc! { "_id": n, "s": s, "e": e }, Revision(revision));
            store.update_document(
                &acme,
                &collection,
                StoredDocument { body, revision: Revision(revision.0 + 1) },
                revision,
            )
        };
        // Into the filter, and out of it.
        let error = write(1, "open", "a", 1).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::UniqueViolation);
        assert!(error.sentence().contains("`partial_e`"), "{}", error.sentence());
        assert_eq!(subject.document(&acme, "documents", &id(1)).await.unwrap().revision, Revision(1));
        assert_eq!(write(1, "open", "b", 1).await.unwrap(), UpdateOutcome::Done);
        assert_eq!(code(write(1, "open", "a", 2).await), ErrorCode::UniqueViolation);
        assert_eq!(write(0, "paid", "a", 1).await.unwrap(), UpdateOutcome::Done);
        assert_eq!(write(1, "open", "a", 2).await.unwrap(), UpdateOutcome::Done);
        for (json, count) in
            [(r#"{"e":"a"}"#, 5), (r#"{"e":"a","s":"open"}"#, 1), (r#"{"e":"b","s":"open"}"#, 0)]
        {
            assert_eq!(subject.count_of(&acme, "documents", json).await, count, "{json}");
        }
    });
}

/// Unique where present.
#[test]
fn unique_sparse_index_allows_many_without_the_field() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.add_index(&acme, "documents", &partial("m", true, None)).await;
        subject.add_index(&acme, "documents", &partial("a,b", true, None)).await;
        // An index of all documents may have one without the field.
        subject.add_index(&acme, "documents", &index("u", false)).await;
        let outcomes = subject.insert_into(
            &acme,
            "documents",
            vec![
                stored(rawdoc! { "_id": 1 }),
                stored(rawdoc! { "_id": 2 }),
                stored(rawdoc! { "_id": 3, "m": null }),
                stored(rawdoc! { "_id": 4, "m": null }),
                stored(rawdoc! { "_id": 5, "a": 1 }),
                stored(rawdoc! { "_id": 6, "a": 1, "b": null }),
                stored(rawdoc! { "_id": 7, "b": 1 }),
                stored(rawdoc! { "_id": 8, "m": [], "a": 2, "b": 1 }),
            ],
        );
        assert_eq!(outcomes.await, ["", "", "", "unique_violation", "", "unique_violation", "", ""]);
        for (json, count) in [
            (r#"{"m":null}"#, 5),
            (r#"{"m":{"$exists":true}}"#, 2),
            (r#"{"m":{"$exists":false}}"#, 4),
            (r#"{"a":{"$ne":1}}"#, 5),
            ("{}", 6),
        ] {
            assert_eq!(subject.count_of(&acme, "documents", json).await, count, "{json}");
        }
    });
}

#[test]
fn partial_unique_build_fails_over_duplicates_in_filter() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let documents = (0..200).map(|n| stored(rawdoc! { "_id": n, "n": n / 2, "odd": n % 2 })).collect();
        subject.fill(&acme, "documents", documents).await;
        let all = partial("n", true, Some(r#"{"odd": {"$gte": 0}}"#));
        assert_eq!(code(subject.try_index(&acme, "documents", &all).await), ErrorCode::UniqueViolation);
        let collection = name("documents");
        assert_eq!(subject.store.collections.list_indexes(&acme, &collection).await.unwrap(), []);
        subject.add_index(&acme, "documents", &partial("n", true, Some(r#"{"odd": 1}"#))).await;
        // What the index does not have need not be indexable.
        subject.add_index(&acme, "documents", &partial("x,y", false, Some(r#"{"odd": 2}"#))).await;
        let parallel =
            |n: i32, odd: i32| stored(rawdoc! { "_id": n, "odd": odd, "x": [1], "y": [2], "n": n });
        let outcomes = subject.insert_into(&acme, "documents", vec![parallel(900, 3), parallel(901, 2)]);
        assert_eq!(outcomes.await, ["", "invalid_input"]);
    });
}

#[test]
fn partial_index_is_complete_after_writes_during_its_build() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let documents = |first: i32, count: i32| {
            (first..first + count).map(|n| stored(rawdoc! { "_id": n, "n": n, "even": n % 2 == 0 })).collect()
        };
        subject.fill(&acme, "documents", documents(0, 2000)).await;
        let (asked, acme_too) = (subject.clone(), acme.clone());
        in_parallel(4, move |task| {
            let (subject, acme) = (asked.clone(), acme_too.clone());
            async move {
                if task == 0 {
                    subject
                        .add_index(&acme, "documents", &partial("n", true, Some(r#"{"even": true}"#)))
                        .await;
                }
                let first = 10_000 * i32::try_from(task + 1).unwrap();
                for round in 0..20 {
                    subject.fill(&acme, "documents", documents(first + round * 10, 10)).await;
                    // Out of the filter, while the index may be built.
                    let n = i32::try_from(task).unwrap() * 400 + round * 20;
                    let body = rawdoc! { "_id": n, "n": n, "even": false };
                    let moved = StoredDocument { body, revision: Revision(2) };
                    let collection = name("documents");
                    let written =
                        subject.store.documents.update_document(&acme, &collection, moved, Revision(1)).await;
                    assert_eq!(written.unwrap(), UpdateOutcome::Done);
                }
            }
        })
        .await;
        let expected = 1000 + 400 - 80;
        assert_eq!(subject.count_of(&acme, "documents", r#"{"even":true,"n":{"$gte":0}}"#).await, expected);
        for n in [2, 1998, 10_000, 40_198] {
            let json = format!(r#"{{"even":true,"n":{n}}}"#);
            assert_eq!(subject.count_of(&acme, "documents", &json).await, 1, "{n}");
        }
    });
}

#[test]
fn partial_index_counts_only_its_documents_towards_quota() {
    in_every_placement(|subject| async move {
        let quota = Quota { index_bytes: QuotaLimit::new(3000).ok(), ..Quota::default() };
        let acme = subject.home_with("Acme", quota).await;
        let long = "x".repeat(1000);
        let document = |n: i32, long: &str| stored(rawdoc! { "_id": n, "t": long, "n": n });
        subject.fill(&acme, "documents", (0..5).map(|n| document(n, &long)).collect()).await;
        let collections = &subject.store.collections;
        assert_eq!(
            code(subject.try_index(&acme, "documents", &index("t", false)).await),
            ErrorCode::QuotaExceeded
        );
        subject.add_index(&acme, "documents", &partial("t", false, Some(r#"{"n": {"$lt": 1}}"#))).await;
        subject
            .add_index(
                &acme,
                "documents",
                &partial("t,absent", false, Some(r#"{"absent": {"$exists": true}}"#)),
            )
            .await;
        let used = collections.get_usage(&acme).await.unwrap().index_bytes.unwrap();
        assert!((1000..1100).contains(&used), "{used}");
        assert_eq!(subject.insert_into(&acme, "documents", vec![document(10, &long)]).await, [""]);
        let outcomes =
            subject.insert_into(&acme, "documents", vec![document(-1, &long), document(-2, &long)]);
        assert_eq!(outcomes.await, ["", "quota_exceeded"]);
    });
}
