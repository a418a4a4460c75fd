//! Aggregates and distinct values: which documents they read, in which order, and what bounds them.

use super::{LONG, StoredDocument, code, filter, index, name, numbered, stored};
use crate::engines::{Subject, in_every_placement};
use bson::raw::RawBson;
use bson::{RawArrayBuf, rawdoc};
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::aggregate::{AggregateResult, Aggregation, Distinct, Pipeline};
use tenantry_documents::document::Path;
use tenantry_documents::query::SORT_POINTER;
use tenantry_domain::error::{ErrorCode, Result};
use tenantry_domain::organization::Organization;
use tenantry_domain::store::{InsertOutcome, NewContainer, UpdateOutcome};

fn pipeline(json: &str) -> Arc<Aggregation> {
    Arc::new(Aggregation::Pipeline(Pipeline::parse(json, "/pipeline").unwrap()))
}

fn distinct(path: &str, json: &str) -> Arc<Aggregation> {
    Arc::new(Aggregation::Distinct(Distinct::new(Path::parse(path).unwrap(), filter(json), "/field")))
}

fn document(item: &RawBson) -> bson::RawDocumentBuf {
    match item {
        RawBson::Document(document) => document.clone(),
        other => panic!("{other:?} is no document"),
    }
}

impl Subject {
    async fn try_aggregate(
        &self,
        organization: &Organization,
        collection: &str,
        aggregation: &Arc<Aggregation>,
        time: Duration,
    ) -> Result<AggregateResult> {
        let documents = &self.store.documents;
        documents.aggregate_documents(organization, &name(collection), aggregation, time).await
    }

    async fn aggregated(
        &self,
        organization: &Organization,
        collection: &str,
        aggregation: &Arc<Aggregation>,
    ) -> Vec<RawBson> {
        self.try_aggregate(organization, collection, aggregation, LONG).await.unwrap().items
    }

    /// The pointer at which an aggregate is refused, and why.
    async fn refused(&self, organization: &Organization, aggregation: &Arc<Aggregation>) -> (String, String) {
        let refused = self.try_aggregate(organization, "documents", aggregation, LONG).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidInput, "{refused}");
        let field = &refused.fields()[0];
        (field.pointer.clone(), field.detail.clone())
    }
}

/// Twelve orders, inserted from the last to the first.
fn orders() -> Vec<StoredDocument> {
    let order = |n: i32| {
        let lines = (0..n % 3).map(RawBson::from).collect::<RawArrayBuf>();
        stored(
            rawdoc! { "_id": n, "n": n, "customer": format!("c{}", n % 3), "lines": lines, "half": f64::from(n) / 2.0 },
        )
    };
    (0..12).rev().map(order).collect()
}

#[test]
fn aggregate_computes_same_with_and_without_index() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        // Neither the documents of others nor those of other collections.
        subject.fill(&other, "documents", numbered(100, 50)).await;
        for collection in ["plain", "indexed"] {
            subject.add_collection(&acme, collection).await;
            subject.fill(&acme, collection, orders()).await;
        }
        for keys in ["customer,-n", "lines", "n"] {
            subject.add_index(&acme, "indexed", &index(keys, false)).await;
        }
        for collection in ["plain", "indexed"] {
            let items = async |json: &str| subject.aggregated(&acme, collection, &pipeline(json)).await;
            // Without a `$sort` the order is that of the `_id`, and groups come in that of their keys.
            let groups = items(
                r#"[{"$match":{"n":{"$gte":1}}},
                {"$group":{"_id":"$customer","n":{"$sum":"$n"},"half":{"$sum":"$half"},"first":{"$first":"$_id"},"all":{"$push":"$_id"}}}]"#,
            )
            .await;
            let ids = |ids: &[i32]| ids.iter().map(|id| RawBson::from(*id)).collect::<RawArrayBuf>();
            let expected = [
                rawdoc! { "_id": "c0", "n": 18, "half": 9.0, "first": 3, "all": ids(&[3, 6, 9]) },
                rawdoc! { "_id": "c1", "n": 22, "half": 11.0, "first": 1, "all": ids(&[1, 4, 7, 10]) },
                rawdoc! { "_id": "c2", "n": 26, "half": 13.0, "first": 2, "all": ids(&[2, 5, 8, 11]) },
            ];
            assert_eq!(groups, expected.map(RawBson::Document), "{collection}");
            let shown = items(
                r#"[{"$match":{"customer":"c1"}},{"$sort":{"customer":1,"n":-1}},{"$skip":1},{"$limit":2},{"$project":{"n":1}}]"#,
            )
            .await;
            let expected = [rawdoc! { "_id": 7, "n": 7 }, rawdoc! { "_id": 4, "n": 4 }];
            assert_eq!(shown, expected.map(RawBson::Document), "{collection}");
            // A document that several entries lead to is read once.
            let counted =
                items(r#"[{"$match":{"lines":{"$in":[0,1]}}},{"$group":{"_id":null,"n":{"$count":{}}}}]"#)
                    .await;
            assert_eq!(
                counted,
                [RawBson::Document(rawdoc! { "_id": RawBson::Null, "n": 8 })],
                "{collection}"
            );
            assert_eq!(
                items(r#"[{"$match":{"n":{"$lt":5}}},{"$count":"few"}]"#).await,
                [RawBson::Document(rawdoc! { "few": 5 })],
                "{collection}"
            );
            assert_eq!(items(r#"[{"$match":{"n":99}},{"$count":"few"}]"#).await, [], "{collection}");
        }
    });
}

/// MongoDB answers some queries from an index alone, in which a missing field is null and fields have another order.
#[test]
fn aggregate_by_index_tells_missing_from_null() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let documents = vec![
            stored(rawdoc! { "_id": 1, "n": 5, "k": 1 }),
            stored(rawdoc! { "_id": 2, "k": 1 }),
            stored(rawdoc! { "_id": 3, "n": RawBson::Null, "k": 1 }),
            stored(rawdoc! { "_id": 4, "k": 1, "n": 5.0 }),
        ];
        for collection in ["plain", "indexed"] {
            subject.add_collection(&acme, collection).await;
        }
        for keys in ["k,n", "n"] {
            subject.add_index(&acme, "indexed", &index(keys, false)).await;
        }
        for collection in ["plain", "indexed"] {
            subject.fill(&acme, collection, documents.clone()).await;
            let aggregated = async |json: &str| subject.aggregated(&acme, collection, &pipeline(json)).await;
            let all: RawArrayBuf = [5.into(), RawBson::Null, 5.0.into()].into_iter().collect();
            let pushed = aggregated(
                r#"[{"$match":{"k":1}},{"$group":{"_id":null,"all":{"$push":"$n"},"n":{"$count":{}}}}]"#,
            )
            .await;
            let expected = rawdoc! { "_id": RawBson::Null, "all": all, "n": 4 };
            assert_eq!(pushed, [RawBson::Document(expected)], "{collection}");
            let shown = aggregated(r#"[{"$match":{"k":1}},{"$project":{"n":1,"k":1}}]"#).await;
            let expected = documents.iter().map(|document| RawBson::Document(document.body.clone()));
            assert_eq!(shown, expected.collect::<Vec<_>>(), "{collection}");
            let values = subject.aggregated(&acme, collection, &distinct("n", r#"{"k":1}"#)).await;
            assert_eq!((values.len(), &values[0]), (2, &RawBson::Null), "{collection}");
            let without_null = distinct("n", r#"{"k":1,"_id":{"$in":[2,4]}}"#);
            assert_eq!(
                subject.aggregated(&acme, collection, &without_null).await,
                [RawBson::Double(5.0)],
                "{collection}"
            );
        }
    });
}

#[test]
fn aggregate_sees_documents_and_nothing_beside_them() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        let body = rawdoc! { "_id": "x", "b": 1, "a": { "d": [1, { "c": 2.0 }] } };
        subject.fill(&acme, "documents", vec![stored(body.clone())]).await;
        subject.fill(&other, "documents", vec![stored(rawdoc! { "_id": "x", "secret": 1 })]).await;
        let whole = RawBson::Document(body);
        for json in ["[]", r#"[{"$match":{"b":1}}]"#, r#"[{"$sort":{"b":-1}}]"#, r#"[{"$limit":5}]"#] {
            assert_eq!(
                subject.aggregated(&acme, "documents", &pipeline(json)).await,
                std::slice::from_ref(&whole),
                "{json}"
            );
        }
        let root =
            subject.aggregated(&acme, "documents", &pipeline(r#"[{"$group":{"_id":"$$ROOT"}}]"#)).await;
        assert_eq!(document(&root[0]).get("_id").unwrap().map(Into::into), Some(whole));
        // What an engine may keep beside a document.
        for field in
            ["revision", "rev", "org_id", "collection", "document", "document.b", "id", "bytes", "secret"]
        {
            let group = pipeline(&format!(r#"[{{"$group":{{"_id":"${field}"}}}}]"#));
            let nothing = RawBson::Document(rawdoc! { "_id": RawBson::Null });
            assert_eq!(subject.aggregated(&acme, "documents", &group).await, [nothing], "{field}");
            let values = distinct(field, "{}");
            assert_eq!(subject.aggregated(&acme, "documents", &values).await, [], "{field}");
            let exists = pipeline(&format!(r#"[{{"$match":{{"{field}":{{"$exists":true}}}}}}]"#));
            assert_eq!(subject.aggregated(&acme, "documents", &exists).await, [], "{field}");
        }
    });
}

#[test]
fn distinct_lists_values_of_own_documents_in_order() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        subject.fill(&other, "documents", numbered(100, 20)).await;
        let values = |id: i32, items: Vec<RawBson>| {
            stored(rawdoc! { "_id": id, "v": items.into_iter().collect::<RawArrayBuf>(), "n": id % 2 })
        };
        let one = |id: i32, value: RawBson| stored(rawdoc! { "_id": id, "v": value, "n": id % 2 });
        let documents = vec![
            values(0, vec!["b".into(), 3.into(), RawBson::Null, "b".into()]),
            one(1, RawBson::Int64(3)),
            one(2, "a".into()),
            one(3, RawBson::Document(rawdoc! { "x": 1 })),
            one(4, RawBson::Document(rawdoc! { "x": 2 })),
            values(5, vec![true.into(), RawBson::Document(rawdoc! { "x": 1 })]),
            stored(rawdoc! { "_id": 6, "n": 0 }),
        ];
        subject.fill(&acme, "documents", documents.clone()).await;
        subject.add_collection(&acme, "indexed").await;
        subject.fill(&acme, "indexed", documents).await;
        subject.add_index(&acme, "indexed", &index("v", false)).await;
        for collection in ["documents", "indexed"] {
            let found = async |path: &str, json: &str| {
                subject.aggregated(&acme, collection, &distinct(path, json)).await
            };
            let object = |x: i32| RawBson::Document(rawdoc! { "x": x });
            let all = [RawBson::Null, 3.into(), "a".into(), "b".into(), object(1), object(2), true.into()];
            let mut values = found("v", "{}").await;
            // Of equal values of several types either may be shown.
            if let Some(RawBson::Int64(3)) = values.get(1) {
                values[1] = 3.into();
            }
            assert_eq!(values, all, "{collection}");
            assert_eq!(found("v.x", "{}").await, [RawBson::Int32(1), RawBson::Int32(2)], "{collection}");
            assert_eq!(
                found("v", r#"{"n":0,"v":{"$exists":true},"_id":{"$gt":1}}"#).await,
                [RawBson::from("a"), object(2)],
                "{collection}"
            );
            assert_eq!(found("nothing", "{}").await, [], "{collection}");
        }
    });
}

#[test]
fn aggregate_reports_full_scan() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.fill(&acme, "documents", numbered(0, 300)).await;
        let scanned = async |aggregation: Arc<Aggregation>| {
            subject.try_aggregate(&acme, "documents", &aggregation, LONG).await.unwrap().scanned
        };
        assert_eq!(scanned(pipeline(r#"[{"$match":{"n":7}}]"#)).await, Some(300));
        assert_eq!(scanned(pipeline(r#"[{"$group":{"_id":"$n"}},{"$limit":1}]"#)).await, Some(300));
        assert_eq!(scanned(distinct("n", r#"{"n":{"$lt":3}}"#)).await, Some(300));
        assert_eq!(scanned(pipeline(r#"[{"$match":{"_id":7}},{"$project":{"n":1}}]"#)).await, None);
        assert_eq!(scanned(distinct("n", r#"{"_id":{"$in":[1,2]}}"#)).await, None);
        // All documents in the order of their ids: no index is missing, and a limit ends it early.
        for in_order in [
            "[]",
            r#"[{"$limit":5}]"#,
            r#"[{"$project":{"_id":1}}]"#,
            r#"[{"$group":{"_id":null,"n":{"$first":"$n"}}}]"#,
        ] {
            assert_eq!(scanned(pipeline(in_order)).await, None, "{in_order}");
        }
        assert_eq!(scanned(pipeline(r#"[{"$sort":{"n":1}},{"$limit":5}]"#)).await, Some(300));
    });
}

#[test]
fn aggregate_of_nothing_is_told_from_missing_collection() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.add_collection(&acme, "empty").await;
        for aggregation in [
            pipeline("[]"),
            pipeline(r#"[{"$count":"n"}]"#),
            pipeline(r#"[{"$sort":{"a":1}},{"$group":{"_id":null}}]"#),
            distinct("a", "{}"),
            distinct("a", r#"{"a":{"$gt":1}}"#),
        ] {
            assert_eq!(subject.aggregated(&acme, "empty", &aggregation).await, [], "{aggregation:?}");
            let missing = subject.try_aggregate(&acme, "missing", &aggregation, LONG).await;
            assert_eq!(code(missing), ErrorCode::CollectionNotFound, "{aggregation:?}");
        }
        assert!(subject.store.collections.delete_collection(&acme, &name("empty")).await.unwrap());
        let gone = subject.try_aggregate(&acme, "empty", &distinct("a", "{}"), LONG).await;
        assert_eq!(code(gone), ErrorCode::CollectionNotFound);
    });
}

/// A deleted organization is out of reach, not empty; the next one in its place has none of its documents.
#[test]
fn aggregate_of_deleted_organization_finds_nothing() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        for organization in [&acme, &other] {
            subject.fill(organization, "documents", numbered(0, 3)).await;
        }
        let mut acme = acme;
        acme.version += 1;
        let updated = subject.store.organizations.update_organization(&acme).await.unwrap();
        assert_eq!(updated, UpdateOutcome::Done);
        let asked =
            [pipeline(r#"[{"$match":{"n":{"$gte":0}}},{"$group":{"_id":"$n"}}]"#), distinct("n", "{}")];
        subject.store.containers.drop_container(&acme).await.unwrap();
        for aggregation in &asked {
            let outcome = subject.try_aggregate(&acme, "documents", aggregation, LONG).await;
            assert_eq!(code(outcome), ErrorCode::StoreUnavailable);
            assert_eq!(subject.aggregated(&other, "documents", aggregation).await.len(), 3);
        }
        let container = NewContainer {
            organization_id: acme.id,
            fence: 1,
            namespace: acme.naming.namespace.clone(),
            placement: acme.placement,
            created_at: crate::given::START,
        };
        acme.container = subject.store.containers.create_container(&container).await.unwrap();
        let made = subject.store.collections.insert_collection(&acme, &name("documents")).await.unwrap();
        assert!(matches!(made, InsertOutcome::New | InsertOutcome::Exists), "{made:?}");
        for aggregation in &asked {
            assert_eq!(subject.aggregated(&acme, "documents", aggregation).await, []);
        }
    });
}

/// Documents whose lists a pipeline multiplies.
fn wide(length: i32) -> StoredDocument {
    let list = || (0..length).map(RawBson::from).collect::<RawArrayBuf>();
    stored(rawdoc! { "_id": 1, "a": list(), "b": list() })
}

#[test]
fn aggregate_beyond_bounds_is_refused_at_its_stage() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.fill(&acme, "documents", vec![wide(400)]).await;
        let long = "x".repeat(4_000);
        let product = r#"{"$unwind":"$a"},{"$unwind":"$b"}"#;
        for (json, pointer, bound) in [
            (format!("[{product}]"), "/pipeline", "10000 results"),
            (
                format!(
                    r#"[{{"$unwind":"$a"}},{{"$unwind":"$b"}},{{"$limit":9000}},{{"$project":{{"long":{{"$literal":"{long}"}}}}}}]"#
                ),
                "/pipeline",
                "4 MiB",
            ),
            (
                format!(r#"[{product},{{"$group":{{"_id":["$a","$b"]}}}},{{"$count":"n"}}]"#),
                "/pipeline/2/$group",
                "100000 groups",
            ),
            (
                format!(
                    r#"[{product},{{"$group":{{"_id":null,"all":{{"$push":{{"a":"$a","long":{{"$literal":"{long}"}}}}}}}}}}]"#
                ),
                "/pipeline/2/$group",
                "32 MiB",
            ),
            (
                format!(
                    r#"[{product},{{"$project":{{"a":1,"long":{{"$literal":"{long}"}}}}}},{{"$sort":{{"a":1}}}},{{"$count":"n"}}]"#
                ),
                "/pipeline/3/$sort",
                "32 MiB",
            ),
        ] {
            let (at, why) = subject.refused(&acme, &pipeline(&json)).await;
            assert!(at == pointer && why.contains(bound), "{at}: {why}");
        }
        // As much as is allowed.
        let most = pipeline(&format!(r#"[{product},{{"$limit":10000}},{{"$project":{{"_id":1}}}}]"#));
        assert_eq!(subject.aggregated(&acme, "documents", &most).await.len(), 10_000);
    });
}

#[test]
fn distinct_beyond_bounds_is_refused_at_its_field() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let most = (0..10_000).map(RawBson::from).collect::<RawArrayBuf>();
        subject.fill(&acme, "documents", vec![stored(rawdoc! { "_id": 1, "v": most })]).await;
        assert_eq!(subject.aggregated(&acme, "documents", &distinct("v", "{}")).await.len(), 10_000);
        subject.fill(&acme, "documents", vec![stored(rawdoc! { "_id": 2, "v": -1 })]).await;
        let (at, why) = subject.refused(&acme, &distinct("v", "{}")).await;
        assert!(at == "/field" && why.contains("10000 values"), "{at}: {why}");
        let long = |id: i32| stored(rawdoc! { "_id": id, "text": format!("{id}{}", "x".repeat(900_000)) });
        subject.fill(&acme, "documents", (3..8).map(long).collect()).await;
        let (at, why) = subject.refused(&acme, &distinct("text", "{}")).await;
        assert!(at == "/field" && why.contains("4 MiB"), "{at}: {why}");
    });
}

#[test]
fn aggregate_without_result_for_document_is_refused() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let body = rawdoc! { "_id": 1, "text": "x", "a": [1, 2], "b": [3] };
        subject.fill(&acme, "documents", vec![stored(body)]).await;
        for (json, pointer) in [
            (r#"[{"$match":{}},{"$group":{"_id":{"$add":["$text",1]}}}]"#, "/pipeline/1/$group/_id/$add"),
            // The engine's own order, whose pointer its caller knows.
            (r#"[{"$sort":{"a":1,"b":1}}]"#, SORT_POINTER),
            (r#"[{"$match":{"_id":1}},{"$sort":{"a":1,"b":1}}]"#, SORT_POINTER),
            (r#"[{"$addFields":{"c":1}},{"$sort":{"a":1,"b":1}}]"#, "/pipeline/1/$sort"),
        ] {
            let refused = subject.try_aggregate(&acme, "documents", &pipeline(json), LONG).await.unwrap_err();
            assert_eq!(refused.code(), ErrorCode::InvalidInput, "{json}");
            assert_eq!(refused.fields()[0].pointer, pointer, "{json}");
        }
    });
}

/// A minute's work, and a few milliseconds for it.
#[test]
fn aggregate_over_its_time_is_too_slow() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.fill(&acme, "documents", vec![wide(20_000)]).await;
        let work = pipeline(
            r#"[{"$unwind":"$a"},{"$unwind":"$b"},{"$group":{"_id":{"$mod":[{"$add":["$a","$b"]},7]},"n":{"$sum":"$b"}}}]"#,
        );
        let outcome = subject.try_aggregate(&acme, "documents", &work, Duration::from_millis(50)).await;
        assert_eq!(code(outcome), ErrorCode::QueryTooSlow);
        // Neither a permit nor the processor is kept.
        let next = pipeline(r#"[{"$project":{"_id":1}}]"#);
        assert_eq!(subject.aggregated(&acme, "documents", &next).await.len(), 1);
    });
}
