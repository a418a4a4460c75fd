//! Aggregates and distinct values: what they compute, what is refused, and what bounds them.

use crate::support::app::{App, Setup};
use crate::support::fixtures::{Organization, insert_lines, organization};
use serde_json::{Value, json};

/// An organization with 12 orders of three customers.
async fn orders(app: &App) -> Organization {
    let acme = organization(app, "Acme").await;
    let documents: Vec<Value> = (0..12)
        .map(|number| {
            json!({
                "_id": number,
                "customer": (["ann", "bob", "cem"][number % 3]),
                "total": { "$numberDecimal": format!("{number}.50") },
                "count": number,
                "lines": (0..number % 4).map(|line| json!({ "sku": format!("s{line}"), "n": line })).collect::<Vec<_>>(),
                "placed": { "$date": { "$numberLong": ((1_767_222_000_000 + number * 86_400_000).to_string()) } },
            })
        })
        .collect();
    acme.store(&documents).await;
    acme
}

impl Organization {
    async fn aggregate(&self, pipeline: Value) -> Value {
        let mut answer =
            self.owner.post(&self.about("aggregate"), &json!({ "pipeline": pipeline })).await.ok();
        answer["items"].take()
    }

    async fn distinct(&self, body: Value) -> Value {
        self.owner.post(&self.about("distinct"), &body).await.ok()["items"].take()
    }
}

#[tokio::test]
async fn aggregate_computes_groups_of_matching_documents() {
    let app = App::start().await;
    let acme = orders(&app).await;
    let report = acme
        .aggregate(json!([
            { "$match": { "count": { "$gte": 2 } } },
            { "$group": {
                "_id": "$customer",
                "orders": { "$count": {} },
                "total": { "$sum": "$total" },
                "average": { "$avg": "$count" },
                "first": { "$first": "$_id" },
                "largest": { "$max": "$count" },
            } },
            { "$sort": { "total": -1 } },
            { "$limit": 2 },
        ]))
        .await;
    assert_eq!(
        report,
        json!([
            { "_id": "cem", "orders": 4, "total": { "$numberDecimal": "28.00" }, "average": 6.5, "first": 2, "largest": 11 },
            { "_id": "bob", "orders": 3, "total": { "$numberDecimal": "22.50" }, "average": 7.0, "first": 4, "largest": 10 },
        ])
    );
    let weeks = acme
        .aggregate(json!([
            { "$unwind": "$lines" },
            { "$group": {
                "_id": { "$dateTrunc": {
                    "date": "$placed", "unit": "week", "timezone": "Europe/Berlin", "startOfWeek": "monday"
                } },
                "skus": { "$addToSet": "$lines.sku" },
                "n": { "$sum": { "$multiply": ["$lines.n", 2] } },
            } },
        ]))
        .await;
    assert_eq!(
        weeks,
        json!([
            { "_id": { "$date": "2025-12-28T23:00:00Z" }, "skus": ["s0", "s1", "s2"], "n": 8 },
            { "_id": { "$date": "2026-01-04T23:00:00Z" }, "skus": ["s0", "s1", "s2"], "n": 10 },
            { "_id": { "$date": "2026-01-11T23:00:00Z" }, "skus": ["s0", "s1", "s2"], "n": 6 },
        ])
    );
}

#[tokio::test]
async fn aggregate_reshapes_documents_in_order_of_id() {
    let app = App::start().await;
    let acme = orders(&app).await;
    let shown = acme
        .aggregate(json!([
            { "$skip": 1 },
            { "$limit": 2 },
            { "$addFields": { "half": { "$divide": ["$count", 2] }, "lines.seen": true } },
            { "$project": { "half": 1, "lines": 1, "big": { "$cond": [{ "$gt": ["$count", 1] }, "yes", "no"] } } },
        ]))
        .await;
    assert_eq!(
        shown,
        json!([
            { "_id": 1, "lines": [{ "sku": "s0", "n": 0, "seen": true }], "half": 0.5, "big": "no" },
            {
                "_id": 2,
                "lines": [{ "sku": "s0", "n": 0, "seen": true }, { "sku": "s1", "n": 1, "seen": true }],
                "half": 1.0,
                "big": "yes"
            },
        ])
    );
    assert_eq!(acme.aggregate(json!([{ "$count": "n" }])).await, json!([{ "n": 12 }]));
    assert_eq!(acme.aggregate(json!([{ "$match": { "count": 99 } }, { "$count": "n" }])).await, json!([]));
    assert_eq!(
        acme.aggregate(json!([{ "$match": { "count": { "$lt": 3 } } }, { "$count": "n" }])).await,
        json!([{ "n": 3 }])
    );
    assert_eq!(acme.aggregate(json!([])).await.as_array().unwrap().len(), 12);
}

/// An index changes how long an aggregate takes, never what it computes.
#[tokio::test]
async fn aggregate_with_index_equals_aggregate_without() {
    let app = App::start().await;
    let acme = orders(&app).await;
    let pipelines = [
        json!([{ "$match": { "lines.sku": { "$in": ["s0", "s1"] } } }, { "$group": { "_id": null, "n": { "$count": {} } } }]),
        json!([{ "$match": { "customer": { "$gte": "b" } } }, { "$sort": { "customer": 1, "count": -1 } }, { "$limit": 3 }]),
        json!([{ "$match": { "customer": "ann" } }, { "$group": { "_id": "$customer", "ids": { "$push": "$_id" } } }]),
        json!([{ "$sort": { "customer": -1 } }, { "$skip": 2 }, { "$limit": 4 }, { "$project": { "customer": 1 } }]),
    ];
    let mut before = Vec::new();
    for pipeline in &pipelines {
        before.push(acme.aggregate(pipeline.clone()).await);
    }
    for keys in ["lines.sku", "customer,-count"] {
        acme.owner.post(&acme.about("indexes"), &json!({ "keys": keys })).await.created();
    }
    for (pipeline, before) in pipelines.iter().zip(before) {
        assert_eq!(acme.aggregate(pipeline.clone()).await, before, "{pipeline}");
    }
    assert_eq!(acme.aggregate(pipelines[0].clone()).await, json!([{ "_id": null, "n": 9 }]));
    assert_eq!(acme.aggregate(pipelines[2].clone()).await, json!([{ "_id": "ann", "ids": [0, 3, 6, 9] }]));
}

#[tokio::test]
async fn distinct_lists_values_once_in_their_order() {
    let app = App::start().await;
    let acme = orders(&app).await;
    acme.store(&[json!({ "_id": "x", "customer": ["bob", 1, 1.0, null], "count": 2 })]).await;
    assert_eq!(acme.distinct(json!({ "field": "customer" })).await, json!([null, 1, "ann", "bob", "cem"]));
    assert_eq!(acme.distinct(json!({ "field": "lines.sku" })).await, json!(["s0", "s1", "s2"]));
    let filter = json!({ "field": "customer", "filter": { "count": { "$lt": 2 } } });
    assert_eq!(acme.distinct(filter).await, json!(["ann", "bob"]));
    assert_eq!(acme.distinct(json!({ "field": "nothing" })).await, json!([]));
}

#[tokio::test]
async fn aggregate_that_is_not_allowed_is_refused_where_it_is() {
    let app = Setup::unlimited().start().await;
    let acme = orders(&app).await;
    let many: Vec<Value> = (0..33).map(|_| json!({ "$skip": 1 })).collect();
    for (pipeline, pointers) in [
        (json!({ "$match": {} }), ""),
        (json!(["$match"]), "/0"),
        (json!([{}]), "/0"),
        (json!([{ "$match": {}, "$skip": 1 }]), "/0"),
        (json!(many), ""),
        (json!([{ "$out": "x" }]), "/0/$out"),
        (json!([{ "$merge": { "into": "x" } }, { "$lookup": { "from": "x" } }]), "/0/$merge /1/$lookup"),
        (
            json!([{ "$unionWith": "x" }, { "$graphLookup": {} }, { "$facet": {} }]),
            "/0/$unionWith /1/$graphLookup /2/$facet",
        ),
        (
            json!([{ "$collStats": {} }, { "$indexStats": {} }, { "$currentOp": {} }]),
            "/0/$collStats /1/$indexStats /2/$currentOp",
        ),
        (
            json!([{ "$match": { "$expr": { "$eq": ["$a", 1] }, "_tenantry.rev": 1 } }]),
            "/0/$match/$expr /0/$match/_tenantry.rev",
        ),
        (json!([{ "$match": { "$where": "sleep(1)" } }]), "/0/$match/$where"),
        (json!([{ "$limit": 0 }, { "$skip": -1 }, { "$limit": 1.5 }]), "/0/$limit /1/$skip /2/$limit"),
        (
            json!([{ "$sort": {} }, { "$sort": { "a": 2, "_tenantry": 1 } }]),
            "/0/$sort /1/$sort/_tenantry /1/$sort/a",
        ),
        (
            json!([{ "$unwind": "a" }, { "$unwind": "$_tenantry.rev" }, { "$unwind": { "index": "i" } }]),
            "/0/$unwind /1/$unwind /2/$unwind/index /2/$unwind",
        ),
        (json!([{ "$group": { "n": { "$sum": 1 } } }]), "/0/$group"),
        (
            json!([{ "$group": { "_id": "$_tenantry", "a.b": { "$sum": 1 }, "c": 1, "d": { "$accumulator": {} } } }]),
            "/0/$group/_id /0/$group/a.b /0/$group/c /0/$group/d/$accumulator",
        ),
        (
            json!([{ "$group": { "_id": null, "n": { "$sum": ["$a", "$b"] }, "m": { "$count": 1 } } }]),
            "/0/$group/m/$count /0/$group/n/$sum",
        ),
        (
            json!([{ "$project": { "a": { "$function": { "body": "x" } }, "b": "$$NOW", "c": "$$USER_ROLES" } }]),
            "/0/$project/a/$function /0/$project/b /0/$project/c",
        ),
        (
            json!([{ "$project": { "a": 1, "b": 0 } }, { "$project": {} }, { "$project": { "a": {} } }]),
            "/0/$project /1/$project /2/$project/a",
        ),
        (
            json!([{ "$addFields": { "a": 1, "a.b": 2, "_tenantry.rev": 1, "c": { "d.e": 1 } } }]),
            "/0/$addFields/_tenantry.rev /0/$addFields/a.b /0/$addFields/c/d.e",
        ),
        (
            json!([{ "$addFields": { "a": { "$divide": ["$b"] }, "c": { "$divide": [1, 0] }, "d": { "$add": ["x", 1] } } }]),
            "/0/$addFields/a/$divide /0/$addFields/c/$divide /0/$addFields/d/$add",
        ),
        (
            json!([{ "$addFields": { "a": { "$dateTrunc": { "date": "$d", "unit": "era", "timezone": "Mars/Base", "binSize": 0 } } } }]),
            "/0/$addFields/a/$dateTrunc/binSize /0/$addFields/a/$dateTrunc/timezone /0/$addFields/a/$dateTrunc/unit",
        ),
        (json!([{ "$count": "" }, { "$count": "a.b" }, { "$count": "$a" }]), "/0/$count /1/$count /2/$count"),
    ] {
        let expected: Vec<String> = match pointers {
            "" => vec!["/pipeline".to_owned()],
            pointers => pointers.split(' ').map(|pointer| format!("/pipeline{pointer}")).collect(),
        };
        let answer = acme.owner.post(&acme.about("aggregate"), &json!({ "pipeline": pipeline })).await;
        assert_eq!(answer.outcome(), expected.join(" "), "{pipeline}");
    }
    for (path, body, pointers) in [
        ("aggregate", json!({}), "/pipeline"),
        ("aggregate", json!({ "pipeline": null, "explain": true }), "/pipeline /explain"),
        ("distinct", json!({}), "/field"),
        (
            "distinct",
            json!({ "field": "_tenantry.rev", "filter": { "a": { "$foo": 1 } } }),
            "/field /filter/a/$foo",
        ),
        ("distinct", json!({ "field": "a..b", "limit": 1 }), "/field /limit"),
    ] {
        assert_eq!(acme.owner.post(&acme.about(path), &body).await.outcome(), pointers, "{body}");
    }
}

/// What only a document makes wrong is refused at the operator.
#[tokio::test]
async fn aggregate_without_result_for_document_is_refused() {
    let app = Setup::unlimited().start().await;
    let acme = orders(&app).await;
    acme.store(&[json!({ "_id": "x", "count": "many", "a": [1], "b": [2] })]).await;
    for (pipeline, pointer) in [
        (json!([{ "$group": { "_id": { "$add": ["$count", 1] } } }]), "/pipeline/0/$group/_id/$add"),
        (
            json!([{ "$match": {} }, { "$addFields": { "n": { "$mod": [5, "$count"] } } }]),
            "/pipeline/1/$addFields/n/$mod",
        ),
        (
            json!([{ "$project": { "d": { "$dateTrunc": { "date": "$count", "unit": "day" } } } }]),
            "/pipeline/0/$project/d/$dateTrunc",
        ),
        (json!([{ "$sort": { "a": 1, "b": 1 } }]), "/pipeline/0/$sort"),
        (json!([{ "$match": {} }, { "$sort": { "a": 1, "b": 1 } }]), "/pipeline/1/$sort"),
        (json!([{ "$addFields": { "c": 1 } }, { "$sort": { "a": 1, "b": 1 } }]), "/pipeline/1/$sort"),
    ] {
        let answer = acme.owner.post(&acme.about("aggregate"), &json!({ "pipeline": pipeline })).await;
        assert_eq!(answer.outcome(), pointer, "{pipeline}: {answer}");
    }
}

/// No path, no `$$ROOT` and no stage shows what the service keeps beside a document.
#[tokio::test]
async fn aggregate_never_sees_reserved_fields() {
    let app = App::start().await;
    let acme = orders(&app).await;
    let whole = acme.aggregate(json!([{ "$match": { "_id": 0 } }, { "$group": { "_id": "$$ROOT" } }])).await;
    let names: Vec<&String> = whole[0]["_id"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["_id", "count", "customer", "lines", "placed", "total"]);
    for field in ["revision", "org_id", "collection", "document", "document.customer", "_tenantry2"] {
        let body = json!({ "field": field });
        assert_eq!(acme.distinct(body).await, json!([]), "{field}");
        let group = json!([{ "$group": { "_id": format!("${field}") } }]);
        assert_eq!(acme.aggregate(group).await, json!([{ "_id": null }]), "{field}");
    }
}

#[tokio::test]
async fn aggregate_of_missing_collection_is_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = format!("{}/nothing", acme.collections());
    let pipeline = json!({ "pipeline": [{ "$count": "n" }] });
    acme.owner.post(&format!("{path}/aggregate"), &pipeline).await.refused("collection_not_found");
    let grouped = json!({ "pipeline": [{ "$group": { "_id": null } }] });
    acme.owner.post(&format!("{path}/aggregate"), &grouped).await.refused("collection_not_found");
    acme.owner
        .post(&format!("{path}/distinct"), &json!({ "field": "a" }))
        .await
        .refused("collection_not_found");
}

#[tokio::test]
async fn aggregate_beyond_bounds_names_the_bound() {
    let app = Setup::unlimited().with("--query-timeout=60").start().await;
    let acme = organization(&app, "Acme").await;
    let lines: Vec<String> =
        (0..11_000).map(|number| format!("{{\"_id\":{number},\"n\":{}}}\n", number % 1_000)).collect();
    insert_lines(&acme.owner, &acme.about("bulk"), &lines.concat()).await;
    let long = "x".repeat(4_000);
    for (pipeline, pointer, bound) in [
        (json!([]), "/pipeline", "10000 results"),
        (json!([{ "$group": { "_id": "$_id" } }]), "/pipeline", "10000 results"),
        (json!([{ "$limit": 9_000 }, { "$addFields": { "long": long } }]), "/pipeline", "4 MiB"),
        (
            json!([{ "$group": { "_id": null, "all": { "$push": { "n": "$n", "long": long } } } }]),
            "/pipeline/0/$group",
            "32 MiB",
        ),
        (
            json!([{ "$limit": 5_000 }, { "$group": { "_id": null, "all": { "$push": { "n": "$n", "long": long } } } }]),
            "/pipeline/1/$group",
            "16 MiB",
        ),
        (
            json!([{ "$addFields": { "long": long } }, { "$sort": { "n": 1 } }, { "$count": "n" }]),
            "/pipeline/1/$sort",
            "32 MiB",
        ),
        (
            json!([{ "$group": { "_id": null, "a": { "$push": "$_id" } } },
            { "$project": { "a": 1, "b": "$a" } }, { "$unwind": "$a" }, { "$unwind": "$b" },
            { "$group": { "_id": ["$a", "$b"] } }, { "$count": "n" }]),
            "/pipeline/4/$group",
            "100000 groups",
        ),
    ] {
        let problem = acme.owner.post(&acme.about("aggregate"), &json!({ "pipeline": pipeline })).await;
        let problem = problem.refused("invalid_input");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        assert!(problem["errors"][0]["detail"].as_str().unwrap().contains(bound), "{problem}");
    }
    let distinct =
        acme.owner.post(&acme.about("distinct"), &json!({ "field": "_id" })).await.refused("invalid_input");
    assert!(distinct["errors"][0]["detail"].as_str().unwrap().contains("10000 values"), "{distinct}");
    // What is sorted and cut is never held whole.
    let sorted = acme
        .aggregate(json!([{ "$addFields": { "long": long } }, { "$sort": { "n": -1 } }, { "$limit": 1 }, { "$project": { "n": 1 } }]))
        .await;
    assert_eq!(sorted, json!([{ "_id": 999, "n": 999 }]));
    let counted = acme
        .owner
        .post(
            &acme.about("aggregate"),
            &json!({ "pipeline": [{ "$group": { "_id": "$n" } }, { "$count": "n" }] }),
        )
        .await;
    assert_eq!(
        (counted.header("full-scan"), counted.json()),
        ("11000", json!({ "items": [{ "n": 1_000 }], "scanned": 11_000 }))
    );
}

/// It ends with its time, and holds nothing up.
#[tokio::test]
async fn aggregate_over_its_time_is_too_slow() {
    let app = Setup::unlimited().with("--query-timeout=1").start().await;
    let acme = organization(&app, "Acme").await;
    let wide: Vec<Value> =
        (0..60).map(|id| json!({ "_id": id, "a": vec![1; 2_000], "b": vec![2; 2_000] })).collect();
    acme.store(&wide).await;
    let pipeline = json!([{ "$unwind": "$a" }, { "$unwind": "$b" }, { "$group": { "_id": { "$add": ["$a", "$b"] }, "n": { "$sum": "$b" } } }]);
    let began = std::time::Instant::now();
    acme.owner
        .post(&acme.about("aggregate"), &json!({ "pipeline": pipeline }))
        .await
        .refused("query_too_slow");
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}
