//! Batches that meet other writes: their checks hold when they are committed.

use super::{batch, items, path, with_orders};
use crate::support::client::Client;
use crate::support::fixtures::Organization;
use crate::support::transactions::app_with_transactions;
use serde_json::{Value, json};
use tokio::task::JoinSet;

const ROUNDS: u32 = 50;

/// Sends two batches at once; how many were carried out. The other one was refused by its check.
async fn winners(acme: &Organization, batches: [Value; 2]) -> usize {
    let mut calls = JoinSet::new();
    for operations in batches {
        let (client, path): (Client, String) = (acme.owner.clone(), path(acme));
        calls.spawn(async move { client.post(&path, &json!({ "operations": operations })).await });
    }
    let mut carried_out = 0;
    for answer in calls.join_all().await {
        match answer.status.as_u16() {
            200 => carried_out += 1,
            _ => answer.refused_at("version_mismatch", "/operations/0"),
        }
    }
    carried_out
}

/// Each writes what the other has checked: a revision, or that there is no such document.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_batches_that_check_what_the_other_writes_never_both_win() {
    let (app, _set) = app_with_transactions().await;
    let acme = with_orders(&app).await;
    for round in 0..ROUNDS {
        let (one, other) = (format!("a{round}"), format!("b{round}"));
        let absent = |checked: &str, written: &str| {
            json!([
                { "op": "check", "collection": "documents", "id": checked, "exists": false },
                { "op": "insert", "collection": "documents", "document": { "_id": written, "by": 1 } },
            ])
        };
        assert_eq!(winners(&acme, [absent(&one, &other), absent(&other, &one)]).await, 1, "{round}");

        let fresh = json!([
            { "op": "update", "collection": "documents", "id": one, "update": { "$set": { "by": 2 } }, "upsert": true },
            { "op": "update", "collection": "orders", "id": other, "update": { "$set": { "by": 2 } }, "upsert": true },
        ]);
        let made = batch(&acme.owner, &acme, fresh).await.ok();
        let revision = |place: usize| made["results"][place]["revision"].clone();
        let checks = [
            json!([
                { "op": "check", "collection": "documents", "id": one, "revision": revision(0) },
                { "op": "update", "collection": "orders", "id": other, "update": { "$set": { "by": 3 } } },
            ]),
            json!([
                { "op": "check", "collection": "orders", "id": other, "revision": revision(1) },
                { "op": "update", "collection": "documents", "id": one, "update": { "$set": { "by": 3 } } },
            ]),
        ];
        assert_eq!(winners(&acme, checks).await, 1, "{round}");

        // A check that it exists, against its removal.
        let exist = [
            json!([
                { "op": "check", "collection": "documents", "id": one, "exists": true },
                { "op": "delete", "collection": "orders", "id": other },
            ]),
            json!([
                { "op": "check", "collection": "orders", "id": other, "exists": true },
                { "op": "delete", "collection": "documents", "id": one },
            ]),
        ];
        assert_eq!(winners(&acme, exist).await, 1, "{round}");
    }
}

/// Transfers between accounts keep the sum, whatever else changes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_and_single_updates_lose_nothing_of_each_other() {
    const ACCOUNTS: u64 = 4;
    const CALLERS: u64 = 12;
    const TRANSFERS: u64 = 10;
    let (app, _set) = app_with_transactions().await;
    let acme = with_orders(&app).await;
    let accounts: Vec<Value> =
        (0..ACCOUNTS).map(|n| json!({ "_id": n, "balance": 100, "paid": 0 })).collect();
    acme.store(&accounts).await;
    let mut calls = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, path, documents) = (acme.owner.clone(), path(&acme), acme.documents());
        calls.spawn(async move {
            for number in 0..TRANSFERS {
                let (from, to) = ((caller + number) % ACCOUNTS, (caller + number + 1 + number % 3) % ACCOUNTS);
                let add = |id: u64, amount: i64| {
                    json!({ "op": "update", "collection": "documents", "id": format!("~{id}"), "update": { "$inc": { "balance": amount } } })
                };
                let log = json!({ "op": "insert", "collection": "orders", "document": { "from": from, "to": to } });
                let body = json!({ "operations": [add(from, -1), add(to, 1), log] });
                client.post(&path, &body).await.ok();
                let paid = json!({ "update": { "$inc": { "paid": 1 } } });
                client.post(&format!("{documents}/~{from}/update"), &paid).await.ok();
            }
        });
    }
    calls.join_all().await;
    let found = items(&acme, "documents").await;
    let sum = |field: &str| -> i64 {
        found.as_array().unwrap().iter().map(|account| account[field].as_i64().unwrap()).sum()
    };
    assert_eq!((sum("balance"), sum("paid")), (400, (CALLERS * TRANSFERS) as i64), "{found}");
    let logged = acme.owner.get(&format!("{}/orders/count", acme.collections())).await.ok();
    assert_eq!(logged["count"], CALLERS * TRANSFERS);
}

/// Whatever happens to the organization and the collection meanwhile, both documents of a batch are there, or neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_stay_whole_during_renames_and_drops() {
    let (app, _set) = app_with_transactions().await;
    let acme = with_orders(&app).await;
    let mut calls = JoinSet::new();
    for caller in 0..4 {
        let (client, path) = (acme.owner.clone(), path(&acme));
        calls.spawn(async move {
            let mut carried_out = Vec::new();
            for number in 0..40 {
                let id = format!("{caller}-{number}");
                let insert = |collection: &str| json!({ "op": "insert", "collection": collection, "document": { "_id": id } });
                let answer = client.post(&path, &json!({ "operations": [insert("documents"), insert("orders")] })).await;
                match answer.status.as_u16() {
                    200 => carried_out.push(id),
                    404 => answer.refused_at("collection_not_found", "/operations/1"),
                    // While it moves.
                    409 | 503 => {}
                    _ => panic!("{answer}"),
                }
            }
            carried_out
        });
    }
    for round in 0..6 {
        let renamed = json!({ "organization_name": format!("Acme {round}") });
        app.operator().patch(&acme.path(), &renamed).await.ok();
        if round % 2 == 1 {
            acme.owner.delete(&format!("{}/orders", acme.collections())).await.done();
            acme.owner.post(&acme.collections(), &json!({ "name": "orders" })).await.created();
        }
    }
    // From here on nothing is dropped any more.
    let all: Vec<String> = calls.join_all().await.concat();
    let ids = |found: Value| -> Vec<String> {
        found
            .as_array()
            .unwrap()
            .iter()
            .map(|document| document["_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut documents = Vec::new();
    let mut orders = Vec::new();
    for (collection, found) in [("documents", &mut documents), ("orders", &mut orders)] {
        let path = format!("{}/{collection}/documents?limit=200", acme.collections());
        found.extend(ids(acme.owner.get(&path).await.ok()["items"].take()));
    }
    // A 503 leaves open whether it was carried out.
    assert!(all.iter().all(|id| documents.contains(id)), "an answered batch is missing: {documents:?}");
    assert!(orders.iter().all(|id| documents.contains(id)), "a batch is there in part: {orders:?}");
    assert!(!all.is_empty());
}
