//! Batches: all operations are carried out, or none, and what a response says.

mod conflicts;
mod repeats;

use crate::support::app::App;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{Organization, organization};
use crate::support::transactions::app_with_transactions;
use serde_json::{Value, json};

/// The path of batches.
fn path(acme: &Organization) -> String {
    format!("{}/batch", acme.path())
}

async fn batch(client: &Client, acme: &Organization, operations: Value) -> Answer {
    client.post(&path(acme), &json!({ "operations": operations })).await
}

/// All documents of a collection.
async fn items(acme: &Organization, collection: &str) -> Value {
    acme.owner.get(&format!("{}/{collection}/documents", acme.collections())).await.ok()["items"].take()
}

async fn with_orders(app: &App) -> Organization {
    let acme = organization(app, "Acme").await;
    acme.owner.post(&acme.collections(), &json!({ "name": "orders" })).await.created();
    acme
}

#[tokio::test]
async fn batch_carries_out_operations_of_all_kinds_in_order() {
    let (app, _set) = app_with_transactions().await;
    let acme = with_orders(&app).await;
    acme.store(&[json!({ "_id": 1, "n": 1 }), json!({ "_id": 2, "n": 2 }), json!({ "_id": 3, "n": 3 })])
        .await;
    let answer = batch(&acme.owner, &acme, json!([
        { "op": "check", "collection": "orders", "id": "order-1", "exists": false },
        { "op": "insert", "collection": "orders", "document": { "_id": "order-1", "total": 5 } },
        { "op": "update", "collection": "orders", "id": "order-1", "update": { "$inc": { "total": 2 } } },
        { "op": "check", "collection": "orders", "id": "order-1", "exists": true },
        { "op": "replace", "collection": "documents", "id": "~1.0", "document": { "n": 10 } },
        { "op": "patch", "collection": "documents", "id": "~2", "patch": { "n": null, "m": 1 } },
        { "op": "delete", "collection": "documents", "id": "~3" },
        { "op": "insert", "collection": "documents", "document": { "_id": 3, "again": true } },
        { "op": "update", "collection": "documents", "id": "counter", "update": { "$inc": { "n": 1 } }, "upsert": true },
        { "op": "update", "collection": "documents", "id": "counter", "update": { "$max": { "n": 0 } } },
    ]))
    .await
    .ok();
    let results = answer["results"].as_array().unwrap();
    let shown: Vec<(u64, &str, bool)> = (results.iter())
        .map(|result| {
            let status = result["status"].as_u64().unwrap();
            (status, result["id"].as_str().unwrap(), result["revision"].is_string())
        })
        .collect();
    let expected = [
        (200, "order-1", false),
        (201, "order-1", true),
        (200, "order-1", true),
        (200, "order-1", false),
        (200, "~1.0", true),
        (200, "~2", true),
        (204, "~3", false),
        (201, "~3", true),
        (201, "counter", true),
        (200, "counter", false),
    ];
    assert_eq!(shown, expected);
    assert_eq!((&results[2]["modified"], &results[9]["modified"]), (&json!(true), &json!(false)));
    assert_eq!(items(&acme, "orders").await, json!([{ "_id": "order-1", "total": 7 }]));
    let expected = json!([
        { "_id": 1, "n": 10 }, { "_id": 2, "m": 1 }, { "_id": 3, "again": true }, { "_id": "counter", "n": 1 },
    ]);
    assert_eq!(items(&acme, "documents").await, expected);
    // The revision in a result is that of the document.
    let order = acme.owner.get(&format!("{}/orders/documents/order-1", acme.collections())).await;
    assert_eq!(order.header("etag"), format!("\"{}\"", results[2]["revision"].as_str().unwrap()));
    let guarded = json!([
        { "op": "delete", "collection": "orders", "id": "order-1", "revision": results[2]["revision"] },
        { "op": "insert", "collection": "orders", "document": {} },
    ]);
    let made = batch(&acme.owner, &acme, guarded).await.ok();
    let id = made["results"][1]["id"].as_str().unwrap();
    assert_eq!(items(&acme, "orders").await, json!([{ "_id": { "$oid": id } }]));
}

#[tokio::test]
async fn batch_with_refused_operation_changes_nothing() {
    let (app, _set) = app_with_transactions().await;
    let acme = with_orders(&app).await;
    acme.owner.post(&acme.about("indexes"), &json!({ "keys": "u", "unique": true })).await.created();
    acme.store(&[json!({ "_id": 1, "u": 1 }), json!({ "_id": 2, "u": 2, "text": "x" })]).await;
    let stale = acme.owner.get(&format!("{}/~1", acme.documents())).await.header("etag").replace('"', "");
    acme.owner.patch(&format!("{}/~1", acme.documents()), &json!({ "n": 1 })).await.ok();
    let before = (items(&acme, "documents").await, items(&acme, "orders").await);
    let of = |op: &str, more: Value| {
        let mut operation = json!({ "op": op, "collection": "documents", "id": "~2" });
        operation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        operation
    };
    for (bad, code, below) in [
        (
            json!({ "op": "insert", "collection": "documents", "document": { "_id": 1 } }),
            "document_exists",
            "",
        ),
        (
            json!({ "op": "insert", "collection": "documents", "document": { "_id": 9, "u": 1 } }),
            "unique_violation",
            "",
        ),
        (of("replace", json!({ "document": { "u": 1 } })), "unique_violation", ""),
        (of("update", json!({ "update": { "$set": { "u": 1 } } })), "unique_violation", ""),
        (of("update", json!({ "id": "none", "update": { "$set": { "u": 5 } } })), "document_not_found", ""),
        (of("patch", json!({ "id": "none", "patch": {} })), "document_not_found", ""),
        (of("delete", json!({ "id": "none" })), "document_not_found", ""),
        (of("delete", json!({ "id": "~1", "revision": stale })), "version_mismatch", ""),
        (of("check", json!({ "exists": false })), "version_mismatch", ""),
        (of("check", json!({ "id": "none", "exists": true })), "version_mismatch", ""),
        (of("check", json!({ "id": "~1", "revision": stale })), "version_mismatch", ""),
        (of("check", json!({ "collection": "missing", "exists": true })), "collection_not_found", ""),
        (json!({ "op": "insert", "collection": "missing", "document": {} }), "collection_not_found", ""),
        (of("update", json!({ "update": { "$inc": { "text": 1 } } })), "invalid_input", "/update/$inc/text"),
        (of("patch", json!({ "patch": { "_id": 5 } })), "invalid_input", "/patch/_id"),
        (of("replace", json!({ "document": { "_id": 5 } })), "invalid_input", "/document/_id"),
        (
            of("update", json!({ "update": { "$push": { "l": "y".repeat(600_000) } }, "upsert": true })),
            "",
            "",
        ),
    ] {
        let first = json!({ "op": "insert", "collection": "orders", "document": { "of": code } });
        let second = of("update", json!({ "update": { "$set": { "touched": true } } }));
        let last = json!({ "op": "insert", "collection": "orders", "document": { "last": true } });
        if code.is_empty() {
            // Twice that is too much for one document.
            let answer = batch(&acme.owner, &acme, json!([first, bad, bad])).await;
            answer.refused_at("invalid_input", "/operations/2/update/$push/l");
        } else {
            let answer = batch(&acme.owner, &acme, json!([first, second, bad, last])).await;
            answer.refused_at(code, &format!("/operations/2{below}"));
        }
        assert_eq!((items(&acme, "documents").await, items(&acme, "orders").await), before, "{bad}");
    }
}

/// Whether values are unique depends on the order, as it does for single requests.
#[tokio::test]
async fn batch_keeps_unique_values_in_order_of_operations() {
    let (app, _set) = app_with_transactions().await;
    let acme = with_orders(&app).await;
    acme.owner.post(&acme.about("indexes"), &json!({ "keys": "u", "unique": true })).await.created();
    acme.store(&[json!({ "_id": 1, "u": 1 }), json!({ "_id": 2, "u": 2 })]).await;
    let set = |id: &str, u: i32| json!({ "op": "update", "collection": "documents", "id": id, "update": { "$set": { "u": u } } });
    let swapped = [set("~1", 0), set("~2", 1), set("~1", 2)];
    batch(&acme.owner, &acme, json!(swapped)).await.ok();
    assert_eq!(items(&acme, "documents").await, json!([{ "_id": 1, "u": 2 }, { "_id": 2, "u": 1 }]));
    let early = batch(&acme.owner, &acme, json!([set("~1", 1), set("~2", 2)])).await;
    early.refused_at("unique_violation", "/operations/0");
    // A document that is not there takes no value, whatever a check of it does.
    let checked = json!([
        { "op": "check", "collection": "documents", "id": "none", "exists": false },
        { "op": "check", "collection": "documents", "id": "neither", "exists": false },
        set("~1", 7),
    ]);
    acme.owner.post(&acme.documents(), &json!({ "_id": "without" })).await.created();
    batch(&acme.owner, &acme, checked).await.ok();
}

#[tokio::test]
async fn batch_names_every_bad_field_of_every_operation() {
    let (app, _set) = app_with_transactions().await;
    let acme = with_orders(&app).await;
    let operations = json!([
        { "op": "insert", "collection": "a b", "document": { "$x": 1, "_tenantry": 1 } },
        { "op": "upsert", "collection": "documents", "whatever": 1 },
        { "op": "update", "collection": "documents", "id": "", "update": { "$where": {} }, "document": {} },
        5,
        { "op": "check", "collection": "documents", "id": "x" },
        { "op": "check", "collection": "documents", "id": "x", "exists": true, "revision": "5" },
        { "op": "delete", "collection": "documents", "id": "~[1]", "revision": "W/5", "exists": true },
        { "op": "patch", "collection": "documents", "id": "x", "patch": [] },
        { "collection": "documents" },
        { "x": 1, "exists": true },
    ]);
    batch(&acme.owner, &acme, operations).await.refused_fields(&[
        "/operations/0/collection",
        "/operations/0/document/$x",
        "/operations/0/document/_tenantry",
        "/operations/1/op",
        "/operations/1/whatever",
        "/operations/2/id",
        "/operations/2/update/$where",
        "/operations/2/document",
        "/operations/3",
        "/operations/4/exists",
        "/operations/5/exists",
        "/operations/6/id",
        "/operations/6/revision",
        "/operations/6/exists",
        "/operations/7/patch",
        "/operations/8/op",
        "/operations/9/op",
        "/operations/9/collection",
        "/operations/9/x",
    ]);
    for (body, pointers) in [
        (json!({}), &["/operations"][..]),
        (json!({ "operations": [] }), &["/operations"]),
        (json!({ "operations": {}, "more": 1 }), &["/operations", "/more"]),
        (
            json!({ "operations": vec![json!({ "op": "insert", "collection": "documents", "document": {} }); 1001] }),
            &["/operations"],
        ),
    ] {
        acme.owner.post(&path(&acme), &body).await.refused_fields(pointers);
    }
    assert_eq!(items(&acme, "documents").await, json!([]));
}

#[tokio::test]
async fn batch_has_a_thousand_operations_and_a_limit_of_bytes() {
    let (app, _set) = app_with_transactions().await;
    let acme = with_orders(&app).await;
    let inserts: Vec<Value> = (0..1000)
        .map(|n| json!({ "op": "insert", "collection": if n % 2 == 0 { "orders" } else { "documents" }, "document": { "_id": n } }))
        .collect();
    let results = batch(&acme.owner, &acme, json!(inserts)).await.ok();
    assert_eq!(results["results"].as_array().unwrap().len(), 1000);
    let count = acme.owner.get(&acme.about("count")).await.ok();
    assert_eq!(count["count"], 500);
    let updates: Vec<Value> = (0..500)
        .map(|n| json!({ "op": "update", "collection": "orders", "id": format!("~{}", 2 * n), "update": { "$inc": { "n": 1 } } }))
        .collect();
    batch(&acme.owner, &acme, json!(updates)).await.ok();
    let changed = format!("{}/orders/count?filter=%7B%22n%22%3A1%7D", acme.collections());
    assert_eq!(acme.owner.get(&changed).await.ok()["count"], 500);

    let large: Vec<Value> =
        (0..20).map(|n| json!({ "_id": format!("large-{n}"), "text": "x".repeat(1_000_000) })).collect();
    for some in large.chunks(2) {
        acme.store(some).await;
    }
    // Few bytes are sent, and many would be read and written.
    let touch: Vec<Value> = (0..20)
        .map(|n| json!({ "op": "update", "collection": "documents", "id": format!("large-{n}"), "update": { "$set": { "n": 1 } } }))
        .collect();
    batch(&acme.owner, &acme, json!(touch)).await.refused_at("invalid_input", "/operations/8");
    batch(&acme.owner, &acme, json!(touch[..4])).await.ok();
}

/// At every moment the count of the quota is exact, also after batches that were refused.
#[tokio::test]
async fn batch_beyond_quota_is_refused_and_leaves_no_claim() {
    let (app, _set) = app_with_transactions().await;
    let acme = with_orders(&app).await;
    let quota = json!({ "quota": { "documents": 10, "bytes": 1000, "index_bytes": 10_000 } });
    app.operator().patch(&acme.path(), &quota).await.ok();
    acme.owner.post(&acme.about("indexes"), &json!({ "keys": "n" })).await.created();
    let insert = |n: i32| json!({ "op": "insert", "collection": "orders", "document": { "_id": n } });
    let some: Vec<Value> = (0..8).map(insert).collect();
    batch(&acme.owner, &acme, json!(some)).await.ok();
    for _ in 0..5 {
        let many: Vec<Value> = (8..12).map(insert).collect();
        batch(&acme.owner, &acme, json!(many)).await.refused_at("quota_exceeded", "/operations/2");
        let refused = json!([insert(8), insert(9), { "op": "delete", "collection": "orders", "id": "none" }]);
        batch(&acme.owner, &acme, refused).await.refused_at("document_not_found", "/operations/2");
        let exists = json!([insert(8), insert(9), insert(7)]);
        let answer = batch(&acme.owner, &acme, exists).await;
        assert!(answer.is_refused("quota_exceeded") || answer.is_refused("document_exists"), "{answer}");
        let grown = json!([insert(8), { "op": "update", "collection": "orders", "id": "~1", "update": { "$set": { "t": "x".repeat(1000) } } }]);
        batch(&acme.owner, &acme, grown).await.refused_at("quota_exceeded", "/operations/1");
    }
    batch(&acme.owner, &acme, json!([insert(8), insert(9)])).await.ok();
    // What is removed first makes room; what is removed later does not.
    let delete = |n: i32| json!({ "op": "delete", "collection": "orders", "id": format!("~{n}") });
    batch(&acme.owner, &acme, json!([insert(10), delete(0)]))
        .await
        .refused_at("quota_exceeded", "/operations/0");
    batch(&acme.owner, &acme, json!([delete(0), insert(10), delete(1), insert(11)])).await.ok();
    let usage = acme.owner.get(&format!("{}/usage", acme.path())).await.ok();
    assert_eq!((&usage["documents"], &usage["bytes"]), (&json!(10), &json!(140)), "{usage}");

    // With less than there is, nothing is added; what adds nothing in the end is possible.
    app.operator().patch(&acme.path(), &json!({ "quota": { "documents": 5 } })).await.ok();
    batch(&acme.owner, &acme, json!([delete(10), insert(12)])).await.ok();
    batch(&acme.owner, &acme, json!([delete(12), insert(13), insert(14)]))
        .await
        .refused_at("quota_exceeded", "/operations/2");
}

/// A viewer may not, and a key without the permission may not.
#[tokio::test]
async fn batch_of_one_operation_works_on_every_server() {
    let app = App::start().await;
    let acme = with_orders(&app).await;
    for operation in [
        json!({ "op": "insert", "collection": "orders", "document": { "_id": 1 } }),
        json!({ "op": "update", "collection": "orders", "id": "~1", "update": { "$set": { "a": 1 } } }),
        json!({ "op": "patch", "collection": "orders", "id": "~1", "patch": { "b": 1 } }),
        json!({ "op": "check", "collection": "orders", "id": "~1", "exists": true }),
        json!({ "op": "check", "collection": "orders", "id": "~2", "exists": false }),
        json!({ "op": "replace", "collection": "orders", "id": "~1", "document": { "c": 1 } }),
        json!({ "op": "update", "collection": "orders", "id": "up", "update": { "$set": { "d": 1 } }, "upsert": true }),
        json!({ "op": "delete", "collection": "orders", "id": "~1" }),
    ] {
        batch(&acme.owner, &acme, json!([operation])).await.ok();
    }
    let again = json!([{ "op": "insert", "collection": "orders", "document": { "_id": "up" } }]);
    batch(&acme.owner, &acme, again).await.refused_at("document_exists", "/operations/0");
    assert_eq!(items(&acme, "orders").await, json!([{ "_id": "up", "d": 1 }]));
}
