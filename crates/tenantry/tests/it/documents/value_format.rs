//! `values=canonical`: every value with its type, in each response that has values of documents.

use crate::support::app::App;
use crate::support::fixtures::{Organization, organization};
use serde_json::{Value, json};

const LONG: i64 = (1 << 53) + 1;

fn long() -> Value {
    json!({ "$numberLong": LONG.to_string() })
}

/// The document with the values of every kind that the relaxed form does not tell apart.
fn canonical(id: i64) -> Value {
    json!({
        "_id": { "$numberLong": (LONG + id).to_string() },
        "n": long(),
        "i": { "$numberInt": "5" },
        "d": { "$numberDouble": "1.0" },
        "t": { "$date": { "$numberLong": "0" } },
        "a": [{ "$numberInt": "1" }, "x", null],
    })
}

fn collection(acme: &Organization) -> String {
    acme.documents().strip_suffix("/documents").unwrap().to_owned()
}

#[tokio::test]
async fn canonical_values_are_returned_wherever_documents_are() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (documents, collection) = (acme.documents(), collection(&acme));
    let in_canonical = |path: &str| format!("{path}?values=canonical");
    let made = acme.owner.post(&in_canonical(&documents), &canonical(0)).await;
    assert_eq!(made.status, 201, "{made}");
    assert_eq!(made.json(), canonical(0));
    let path = made.header("location").to_owned();

    assert_eq!(acme.owner.get(&in_canonical(&path)).await.ok(), canonical(0));
    let relaxed = acme.owner.get(&format!("{path}?values=relaxed")).await.ok();
    assert_eq!((&relaxed["n"], &relaxed["d"], &relaxed["i"]), (&json!(LONG), &json!(1.0), &json!(5)));
    assert_eq!(acme.owner.put(&in_canonical(&path), &canonical(0)).await.ok(), canonical(0));
    assert_eq!(acme.owner.patch(&in_canonical(&path), &json!({})).await.ok(), canonical(0));

    let listed = acme.owner.get(&in_canonical(&documents)).await.ok();
    assert_eq!(listed["items"], json!([canonical(0)]));
    let found = acme.owner.post(&in_canonical(&format!("{collection}/query")), &json!({})).await.ok();
    assert_eq!(found["items"], json!([canonical(0)]));
    let pipeline = json!({ "pipeline": [{ "$group": { "_id": "$i", "n": { "$max": "$n" } } }] });
    let grouped = acme.owner.post(&in_canonical(&format!("{collection}/aggregate")), &pipeline).await.ok();
    assert_eq!(grouped["items"], json!([{ "_id": { "$numberInt": "5" }, "n": long() }]));
    let field = json!({ "field": "n" });
    let distinct = acme.owner.post(&in_canonical(&format!("{collection}/distinct")), &field).await.ok();
    assert_eq!(distinct["items"], json!([long()]));

    let update = json!({ "update": { "$set": { "x": 1 } }, "return": "before" });
    let updated = acme.owner.post(&in_canonical(&format!("{path}/update")), &update).await.ok();
    assert_eq!(updated["document"], canonical(0));
    let update = json!({ "filter": {}, "update": { "$unset": { "x": 1 } }, "return": "after" });
    let updated = acme.owner.post(&in_canonical(&format!("{collection}/update")), &update).await.ok();
    assert_eq!(updated["document"], canonical(0));
    let upsert = json!({ "filter": { "_id": long() }, "update": { "$inc": { "i": 1 } }, "upsert": true });
    let upserted = acme.owner.post(&in_canonical(&format!("{collection}/update")), &upsert).await;
    assert_eq!(upserted.json()["matched"], 1, "{upserted}");

    let bulk = in_canonical(&format!("{collection}/bulk"));
    let body = Some(("application/x-ndjson", format!("{}\n", canonical(7)).into_bytes()));
    let lines = acme.owner.send(reqwest::Method::POST, &bulk, body).await;
    let first: Value = serde_json::from_str(lines.text.lines().next().unwrap()).unwrap();
    assert_eq!(first["id"], canonical(7)["_id"], "{lines}");
    let gone = json!({ "filter": { "_id": canonical(7)["_id"] } });
    let gone = acme.owner.post(&in_canonical(&format!("{collection}/find-one-and-delete")), &gone).await.ok();
    assert_eq!(gone["document"], canonical(7));
}

#[tokio::test]
async fn response_of_another_form_is_not_replayed() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = format!("{}/update", collection(&acme));
    let update =
        json!({ "filter": { "k": 1 }, "update": { "$set": { "n": 5 } }, "upsert": true, "return": "after" });
    let keyed = acme.owner.with_header("idempotency-key", "once");
    let made = keyed.post(&path, &update).await;
    assert_eq!(made.status, 201, "{made}");
    assert_eq!(made.json()["document"]["n"], 5, "{made}");
    let again = keyed.post(&path, &update).await;
    assert_eq!(again.status, 201, "{again}");
    assert_eq!(again.header("idempotency-replayed"), "true");
    keyed.post(&format!("{path}?values=canonical"), &update).await.refused("idempotency_key_reused");
    // A document is rewritten for each replay.
    let keyed = acme.owner.with_header("idempotency-key", "another");
    keyed.post(&acme.documents(), &json!({ "_id": 1 })).await.created();
    let again = keyed.post(&format!("{}?values=canonical", acme.documents()), &json!({ "_id": 1 })).await;
    assert_eq!(again.json(), json!({ "_id": { "$numberInt": "1" } }), "{again}");
}

#[tokio::test]
async fn unknown_form_of_values_is_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let made = acme.owner.post(&acme.documents(), &json!({ "_id": "d" })).await;
    assert_eq!(made.status, 201);
    for values in ["", "Canonical", "json"] {
        for path in [format!("{}/d", acme.documents()), acme.documents()] {
            let problem = acme.owner.get(&format!("{path}?values={values}")).await.refused("invalid_input");
            assert_eq!(problem["errors"][0]["pointer"], "?values", "{problem}");
        }
    }
    let problem = acme.owner.get(&format!("{}?values=x&limit=0", acme.documents())).await;
    let problem = problem.refused("invalid_input");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2, "{problem}");
}
