//! Batches that are sent again with the same `Idempotency-Key`.

use super::{batch, items, path, with_orders};
use crate::support::transactions::app_with_transactions;
use serde_json::{Value, json};

#[tokio::test]
async fn batch_sent_twice_with_one_key_is_carried_out_once() {
    let (app, _set) = app_with_transactions().await;
    let acme = with_orders(&app).await;
    acme.store(&[json!({ "_id": "n", "n": 0 })]).await;
    let increment =
        json!({ "op": "update", "collection": "documents", "id": "n", "update": { "$inc": { "n": 1 } } });
    let insert = json!({ "op": "insert", "collection": "orders", "document": { "a": 1 } });
    // The response of the second one is too long to be kept as it is.
    let long: Vec<Value> =
        (0..300).map(|n| if n == 0 { increment.clone() } else { insert.clone() }).collect();
    for (key, operations) in [("short", json!([increment, insert])), ("long", json!(long))] {
        let client = acme.owner.with_header("idempotency-key", key);
        let first = batch(&client, &acme, operations.clone()).await;
        let text = first.text.clone();
        first.ok();
        let again = batch(&client, &acme, operations).await;
        assert_eq!((again.text.as_str(), again.header("idempotency-replayed")), (text.as_str(), "true"));
        let other = json!([{ "op": "delete", "collection": "documents", "id": "n" }]);
        batch(&client, &acme, other).await.refused("idempotency_key_reused");
    }
    assert_eq!(items(&acme, "documents").await, json!([{ "_id": "n", "n": 2 }]));
    let orders = acme.owner.get(&format!("{}/orders/count", acme.collections())).await.ok();
    assert_eq!(orders["count"], 300);
    // A refused batch uses no key.
    let client = acme.owner.with_header("idempotency-key", "refused");
    let refused = json!({ "operations": [{ "op": "delete", "collection": "orders", "id": "none" }] });
    client.post(&path(&acme), &refused).await.refused("document_not_found");
    client.post(&path(&acme), &json!({ "operations": [insert] })).await.ok();
}
