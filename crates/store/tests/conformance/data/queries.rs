//! Pages of documents, in order, with and without an index.

use super::{StoredDocument, code, ids, index, name, numbered, query, stored};
use crate::engines::in_every_placement;
use bson::raw::RawBson;
use bson::{RawDocumentBuf, rawdoc};
use tenantry_documents::fuel::Fuel;
use tenantry_domain::error::ErrorCode;

/// Values of many types, in MongoDB's order, each with its number as `_id`.
fn mixed() -> Vec<RawDocumentBuf> {
    let values = [
        RawBson::MinKey,
        RawBson::Array(bson::RawArrayBuf::new()),
        RawBson::Null,
        RawBson::Int32(-1),
        RawBson::Double(2.5),
        RawBson::Int64(3),
        RawBson::String(String::new()),
        RawBson::String("a".into()),
        RawBson::Document(rawdoc! { "x": 1 }),
        RawBson::Boolean(false),
        RawBson::Boolean(true),
        RawBson::MaxKey,
    ];
    let document = |(number, value): (i32, RawBson)| {
        let mut body = rawdoc! { "_id": number };
        body.append(bson::raw::cstr!("v"), value);
        body
    };
    (0..).zip(values).map(document).collect()
}

#[test]
fn query_pages_are_ordered_without_gaps_or_duplicates() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.fill(&acme, "documents", mixed().into_iter().map(stored).collect()).await;
        subject.add_collection(&acme, "indexed").await;
        subject.add_index(&acme, "indexed", &index("v", false)).await;
        subject.fill(&acme, "indexed", mixed().into_iter().map(stored).collect()).await;
        let up: Vec<i32> = (0..12).collect();
        let down: Vec<i32> = (0..12).rev().collect();
        for collection in ["documents", "indexed"] {
            for limit in [1, 2, 5, 11, 12, 50] {
                for (sort, expected) in
                    [("", &up), ("v", &up), ("-v", &down), ("-_id", &down), ("v,-_id", &up), ("nothing", &up)]
                {
                    let pages = subject.pages(&acme, collection, &query("{}", sort, limit)).await;
                    assert_eq!(&pages.concat(), expected, "{collection} {sort} {limit}");
                    assert!(pages.iter().all(|page| page.len() <= limit as usize));
                }
            }
        }
    });
}

/// Values in MongoDB's order that are compared by what is in them; `n` says which place each has.
fn composed() -> Vec<StoredDocument> {
    let decimal = |text: &str| RawBson::Decimal128(text.parse().unwrap());
    let values = [
        decimal("NaN"),
        decimal("-Infinity"),
        RawBson::Int32(-5),
        decimal("-0.1"),
        decimal("0.10"),
        RawBson::Double(0.25),
        decimal("1E+3"),
        decimal("9999999999999999999999999999999999"),
        decimal("Infinity"),
        RawBson::String("a".into()),
        RawBson::Document(rawdoc! {}),
        RawBson::Document(rawdoc! { "a": 1 }),
        RawBson::Document(rawdoc! { "a": 1, "b": 0 }),
        RawBson::Document(rawdoc! { "a": 2.5 }),
        RawBson::Document(rawdoc! { "b": 1 }),
        RawBson::Document(rawdoc! { "a": "x" }),
        RawBson::Document(rawdoc! { "a": { "b": 1 } }),
        RawBson::Boolean(true),
    ];
    let document = |(number, value): (i32, RawBson)| {
        let mut body = RawDocumentBuf::new();
        body.append(bson::raw::cstr!("_id"), value.clone());
        body.append(bson::raw::cstr!("n"), number);
        body.append(bson::raw::cstr!("v"), value);
        stored(body)
    };
    (0..).zip(values).map(document).collect()
}

#[test]
fn query_pages_over_objects_and_decimals_are_ordered() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.fill(&acme, "documents", composed()).await;
        subject.add_collection(&acme, "indexed").await;
        subject.add_index(&acme, "indexed", &index("v", false)).await;
        subject.fill(&acme, "indexed", composed()).await;
        let up: Vec<i32> = (0..18).collect();
        let down: Vec<i32> = (0..18).rev().collect();
        for collection in ["documents", "indexed"] {
            for (sort, expected) in [("", &up), ("-_id", &down), ("v", &up), ("-v", &down)] {
                for limit in [1, 5] {
                    let mut asked = query("{}", sort, limit);
                    let mut met = Vec::new();
                    loop {
                        let found = subject.found(&acme, collection, &asked).await;
                        met.extend(found.documents.iter().map(|found| found.body.get_i32("n").unwrap()));
                        let Some(last) = found.documents.last().filter(|_| found.more) else { break };
                        asked.after = Some(asked.sort.position(&last.body, &Fuel::unlimited()).unwrap());
                    }
                    assert_eq!(&met, expected, "{collection} {sort} {limit}");
                }
            }
        }
    });
}

#[test]
fn query_page_continues_at_its_position_after_changes() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let documents = (0..20).map(|n| stored(rawdoc! { "_id": n * 10, "n": n / 3 })).collect();
        subject.fill(&acme, "documents", documents).await;
        let mut asked = query("{}", "n", 7);
        let first = subject.found(&acme, "documents", &asked).await;
        assert_eq!(ids(&first), [0, 10, 20, 30, 40, 50, 60]);
        asked.after = Some(asked.sort.position(&first.documents[6].body, &Fuel::unlimited()).unwrap());
        // The document at the cursor is removed; one is added before it and one after it.
        let collection = name("documents");
        for gone in [60, 70] {
            let _ = subject
                .store
                .documents
                .delete_document(&acme, &collection, &super::id(gone), None)
                .await
                .unwrap();
        }
        let come = vec![stored(rawdoc! { "_id": 5, "n": 0 }), stored(rawdoc! { "_id": 65, "n": 2 })];
        subject.fill(&acme, "documents", come).await;
        let second = subject.found(&acme, "documents", &asked).await;
        assert_eq!(ids(&second), [65, 80, 90, 100, 110, 120, 130]);
    });
}

#[test]
fn query_page_is_bounded_by_bytes_and_reports_more() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let text = "x".repeat(1000);
        let documents = (0..10).map(|n| stored(rawdoc! { "_id": n, "text": text.as_str() })).collect();
        subject.fill(&acme, "documents", documents).await;
        let mut asked = query("{}", "", 200);
        asked.max_bytes = 3500;
        let found = subject.found(&acme, "documents", &asked).await;
        assert!(found.more && (3..=4).contains(&found.documents.len()), "{}", found.documents.len());
        asked.max_bytes = 1;
        let pages = subject.pages(&acme, "documents", &asked).await;
        assert_eq!(pages, (0..10).map(|n| vec![n]).collect::<Vec<_>>());
        let exact = subject.found(&acme, "documents", &query("{}", "", 10)).await;
        assert!(!exact.more && exact.documents.len() == 10);
    });
}

#[test]
fn index_never_changes_query_results() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let documents = || {
            let body = |n: i32| {
                let tags = rawdoc! { "tags": [format!("t{}", n % 5), format!("t{}", n % 7)] };
                let tags = tags.get_array("tags").unwrap().to_owned();
                stored(
                    rawdoc! { "_id": n, "kind": format!("k{}", n % 10), "size": n % 97, "tags": tags, "in": { "n": n } },
                )
            };
            (0..1200).map(body).collect()
        };
        subject.fill(&acme, "documents", documents()).await;
        subject.add_collection(&acme, "indexed").await;
        subject.fill(&acme, "indexed", documents()).await;
        for keys in ["kind,-size", "tags", "in.n", "-size"] {
            subject.add_index(&acme, "indexed", &index(keys, false)).await;
        }
        for (json, sort) in [
            (r#"{"kind":"k3"}"#, ""),
            (r#"{"kind":"k3"}"#, "-size"),
            (r#"{"kind":"k3","size":{"$gt":50}}"#, "kind,-size"),
            (r#"{"kind":{"$in":["k1","k9"]}}"#, "size"),
            (r#"{"tags":"t4"}"#, ""),
            (r#"{"tags":"t4"}"#, "tags"),
            (r#"{"tags":{"$all":["t1","t6"]}}"#, "-size"),
            (r#"{"tags":{"$elemMatch":{"$gt":"t2","$lt":"t4"}}}"#, "-tags"),
            (r#"{"in.n":{"$gte":100,"$lt":130}}"#, ""),
            (r#"{"in.n":{"$gte":100}}"#, "-in.n"),
            (r#"{"$or":[{"in.n":5},{"kind":"k7"}]}"#, "size,kind"),
            (r#"{"size":null}"#, ""),
            ("{}", "-size"),
            ("{}", "kind,-size"),
            (r#"{"kind":{"$regex":"^k1"}}"#, ""),
            (r#"{"_id":{"$in":[3,900,5000]}}"#, "-_id"),
        ] {
            let asked = query(json, sort, 150);
            let (plain, indexed) = (
                subject.pages(&acme, "documents", &asked).await,
                subject.pages(&acme, "indexed", &asked).await,
            );
            assert_eq!(plain, indexed, "{json} {sort}");
            let count = subject.count_of(&acme, "indexed", json).await;
            assert_eq!(count, plain.concat().len() as u64, "{json}");
        }
    });
}

#[test]
fn query_reports_full_scan() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.fill(&acme, "documents", numbered(0, 300)).await;
        let scanned = async |json: &str, sort: &str| {
            subject.found(&acme, "documents", &query(json, sort, 5)).await.scanned
        };
        assert_eq!(scanned("{}", "").await, None);
        assert_eq!(scanned("{}", "-_id").await, None);
        assert_eq!(scanned(r#"{"_id":7}"#, "").await, None);
        assert_eq!(scanned(r#"{"n":7}"#, "").await, Some(300));
        assert_eq!(scanned("{}", "n").await, Some(300));
        subject.add_index(&acme, "documents", &index("n", false)).await;
        // What an engine knows of its indexes may be some seconds old.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while scanned(r#"{"n":7}"#, "").await.is_some() {
            assert!(std::time::Instant::now() < deadline);
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(scanned("{}", "n").await, None);
        assert_eq!(scanned(r#"{"m":7}"#, "").await, Some(300));
    });
}

#[test]
fn query_over_parallel_arrays_is_refused() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.fill(&acme, "documents", vec![stored(rawdoc! { "_id": 1, "a": [1, 2], "b": [3] })]).await;
        let asked = query("{}", "a,b", 10);
        let refused = subject.store.documents.find_documents(&acme, &name("documents"), &asked).await;
        let error = refused.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput);
        assert_eq!(error.fields()[0].pointer, "?sort");
        let absent = subject.store.documents.find_documents(&acme, &name("none"), &query("{}", "", 1)).await;
        assert_eq!(code(absent), ErrorCode::CollectionNotFound);
    });
}
