//! Counters and a service that is killed: what was answered is counted, and a key counts once.

use crate::support::client::Client;
use crate::support::fixtures::{PASSWORD, credentials, email_for, new_organization};
use crate::support::process::{Launch, Server};
use crate::support::test_env::TestEnv;
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const CALLERS: usize = 16;
/// How many are answered before the kill.
const ANSWERS: u64 = 200;

async fn owner(server: &Server) -> Client {
    let tokens = server.client().post("/admin/login", &credentials(&email_for("Acme"), PASSWORD)).await.ok();
    server.client().with_token(tokens["access_token"].as_str().unwrap())
}

/// Sends increments, each with a key of its own, until the service is gone; how many were answered, and the key that was not.
async fn count_until_killed(client: Client, path: String, caller: usize, answered: Arc<AtomicU64>) -> String {
    for number in 0.. {
        let key = format!("{caller}-{number}");
        if increment(&client, &path, &key).await != Some(200) {
            return key;
        }
        answered.fetch_add(1, Ordering::SeqCst);
    }
    unreachable!("the service is killed")
}

/// The status of the answer, if there is one.
async fn increment(client: &Client, path: &str, key: &str) -> Option<u16> {
    let body = json!({ "update": { "$inc": { "n": 1 } } }).to_string().into_bytes();
    let client = client.with_header("idempotency-key", key);
    let answer = client.try_send(Method::POST, path, Some(("application/json", body))).await.ok()?;
    assert!(answer.status == 200 || answer.is_refused("idempotency_outcome_unknown"), "{answer}");
    Some(answer.status.as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_survive_a_kill_and_count_once() {
    let test_env = TestEnv::new();
    let server = Launch::on(&test_env).start();
    let body = new_organization("Acme", &email_for("Acme"));
    let id = server.client().post("/org/create", &body).await.created()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/organizations/{id}/collections/documents/documents");
    let client = owner(&server).await;
    client.post(&path, &json!({ "_id": "d", "n": 0 })).await.created();
    let (answered, of_counter) = (Arc::new(AtomicU64::new(0)), format!("{path}/d/update"));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(count_until_killed(client.clone(), of_counter.clone(), caller, answered.clone()));
    }
    while answered.load(Ordering::SeqCst) < ANSWERS {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.kill().await;
    let keys = callers.join_all().await;
    test_env.end_leases();

    let server = Launch::on(&test_env).start();
    let client = owner(&server).await;
    let (mut counted, mut unknown) = (answered.load(Ordering::SeqCst), 0);
    for key in keys {
        // Sent again and again, it counts once or, if nobody knows, at most once.
        let first = increment(&client, &of_counter, &key).await;
        assert_eq!(increment(&client, &of_counter, &key).await, first);
        *(if first == Some(200) { &mut counted } else { &mut unknown }) += 1;
    }
    let shown = client.get(&format!("{path}/d")).await.ok()["n"].as_u64().unwrap();
    assert!((counted..=counted + unknown).contains(&shown), "{counted} {unknown} {shown}");
    println!("{counted} counted, of {unknown} nobody knows");
    server.stop().await;
}
