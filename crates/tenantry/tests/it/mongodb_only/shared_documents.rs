//! Documents that two instances change at the same time.

use crate::support::app::Setup;
use crate::support::fixtures::{again, organization};
use crate::support::test_env::TestEnv;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::task::JoinSet;

const CALLERS: i64 = 100;

/// Half of the callers ask one instance, half the other.
#[tokio::test(flavor = "multi_thread")]
async fn two_instances_count_and_hand_out_exactly() {
    let test_env = TestEnv::new();
    let start = || Setup::unlimited().start_on(test_env.clone());
    let (first, second) = (start().await, start().await);
    let acme = organization(&first, "Acme").await;
    let clients = [acme.owner.clone(), again(&second, &acme.owner)];
    let tasks: Vec<Value> = (0..CALLERS).map(|n| json!({ "_id": n, "state": "new" })).collect();
    acme.store(&tasks).await;
    acme.owner.post(&acme.documents(), &json!({ "_id": "counter", "n": 0 })).await.created();

    let mut calls = JoinSet::new();
    for number in 0..CALLERS {
        let client = clients[usize::try_from(number % 2).unwrap()].clone();
        let (counter, queue) = (format!("{}/counter/update", acme.documents()), acme.about("update"));
        calls.spawn(async move {
            client.post(&counter, &json!({ "update": { "$inc": { "n": 1 } } })).await.ok();
            let update = json!({ "$set": { "state": "taken" } });
            let take = json!({ "filter": { "state": "new" }, "update": update, "return": "before" });
            client.post(&queue, &take).await.ok()["document"]["_id"].as_i64().unwrap()
        });
    }
    let taken: BTreeSet<i64> = calls.join_all().await.into_iter().collect();
    assert_eq!(taken, (0..CALLERS).collect());
    let counter = acme.owner.get(&format!("{}/counter", acme.documents())).await.ok();
    assert_eq!(counter["n"], CALLERS);
}
