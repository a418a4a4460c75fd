//! What batches have of MongoDB: a standalone server refuses more than one operation, and all placements take them.

use crate::support::app::App;
use crate::support::transactions::app_with_transactions;
use serde_json::{Value, json};
use tenantry_domain::organization::Placement;

fn insert(id: &str) -> Value {
    json!({ "op": "insert", "collection": "documents", "document": { "_id": id } })
}

#[tokio::test]
async fn batch_on_standalone_server_says_what_to_start_instead() {
    let app = App::start().await;
    let acme = crate::support::fixtures::organization(&app, "Acme").await;
    let path = format!("{}/batch", acme.path());
    let problem = acme.owner.post(&path, &json!({ "operations": [insert("a"), insert("b")] })).await;
    let problem = problem.refused("batches_unsupported");
    assert_eq!(problem["status"], 409);
    assert!(problem["detail"].as_str().unwrap().contains("replica set"), "{problem}");
    // Bad fields are named all the same, and one operation works.
    let bad = json!({ "operations": [insert("a"), { "op": "delete" }] });
    acme.owner.post(&path, &bad).await.refused_fields(&["/operations/1/collection", "/operations/1/id"]);
    acme.owner.post(&path, &json!({ "operations": [insert("a")] })).await.ok();
    assert_eq!(acme.owner.get(&acme.documents()).await.ok()["items"], json!([{ "_id": "a" }]));
}

#[tokio::test]
async fn batch_works_in_every_placement() {
    let (app, _set) = app_with_transactions().await;
    for placement in Placement::ALL {
        let email = format!("owner@{}.example", placement.as_str());
        let body = json!({
            "organization_name": format!("In {}", placement.as_str()), "email": email,
            "password": crate::support::fixtures::PASSWORD, "placement": placement.as_str(),
        });
        let made = app.operator().post("/v1/organizations", &body).await.created();
        let owner = crate::support::fixtures::with_access(
            &app,
            &crate::support::fixtures::sign_in(&app, &email).await,
        );
        let path = format!("/v1/organizations/{}", made["id"].as_str().unwrap());
        owner.post(&format!("{path}/collections"), &json!({ "name": "orders" })).await.created();
        let unique = json!({ "keys": "a.b,c", "unique": true });
        owner.post(&format!("{path}/collections/orders/indexes"), &unique).await.created();
        let id = made["id"].as_str().unwrap();
        let operations = json!([
            // The `_id` of the container's own document.
            { "op": "check", "collection": "documents", "id": id, "exists": false },
            { "op": "insert", "collection": "documents", "document": { "_id": "x", "n": 1 } },
            { "op": "insert", "collection": "orders", "document": { "_id": 1 } },
            { "op": "update", "collection": "documents", "id": "x", "update": { "$inc": { "n": 1 } } },
        ]);
        let made = owner.post(&format!("{path}/batch"), &json!({ "operations": operations })).await.ok();
        // Checks leave no trace in what is read, and stay possible.
        for _ in 0..3 {
            let operations = json!([
                { "op": "check", "collection": "documents", "id": "x", "revision": made["results"][1]["revision"] },
                { "op": "check", "collection": "orders", "id": "none", "exists": false },
                { "op": "check", "collection": "orders", "id": "neither", "exists": false },
                { "op": "check", "collection": "orders", "id": "~1", "exists": true },
            ]);
            owner.post(&format!("{path}/batch"), &json!({ "operations": operations })).await.ok();
        }
        let found = owner.get(&format!("{path}/collections/documents/documents/x")).await;
        let tag = format!("\"{}\"", made["results"][1]["revision"].as_str().unwrap());
        assert_eq!((found.header("etag"), found.json()), (tag.as_str(), json!({ "_id": "x", "n": 2 })));
        let bytes = owner.get(&format!("{path}/usage")).await.ok()["bytes"].as_u64().unwrap();
        assert_eq!(bytes, 23 + 14, "{placement:?}");
    }
}
