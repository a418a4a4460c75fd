//! Batches and a service that is killed: all of a batch is there, or nothing; what was answered is there; and a key counts
//! once.

use crate::support::client::Client;
use crate::support::fixtures::{PASSWORD, credentials, email_for, new_organization};
use crate::support::process::{Launch, Server};
use crate::support::test_env::TestEnv;
use crate::support::transactions::env_with_transactions;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const CALLERS: usize = 8;
/// How many are answered before the kill.
const ANSWERS: u64 = 60;

async fn owner(server: &Server) -> Client {
    let tokens = server.client().post("/admin/login", &credentials(&email_for("Acme"), PASSWORD)).await.ok();
    server.client().with_token(tokens["access_token"].as_str().unwrap())
}

/// A service with an organization, and the path of that.
async fn begin(test_env: &TestEnv) -> (Server, String) {
    let server = Launch::on(test_env).start();
    let body = new_organization("Acme", &email_for("Acme"));
    let id = server.client().post("/org/create", &body).await.created()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/organizations/{id}");
    let client = owner(&server).await;
    client.post(&format!("{path}/collections"), &json!({ "name": "log" })).await.created();
    client
        .post(&format!("{path}/collections/documents/documents"), &json!({ "_id": "n", "n": 0 }))
        .await
        .created();
    (server, path)
}

/// Counts, and logs that under a key of its own.
fn operations(key: &str) -> Value {
    json!({ "operations": [
        { "op": "update", "collection": "documents", "id": "n", "update": { "$inc": { "n": 1 } } },
        { "op": "insert", "collection": "log", "document": { "_id": key } },
    ] })
}

/// The status of the answer, if there is one.
async fn send(client: &Client, path: &str, key: &str) -> Option<u16> {
    let client = client.with_header("idempotency-key", key);
    let body = Some(("application/json", operations(key).to_string().into_bytes()));
    let answer = client.try_send(Method::POST, &format!("{path}/batch"), body).await.ok()?;
    assert!(answer.status == 200 || answer.is_refused("idempotency_outcome_unknown"), "{answer}");
    Some(answer.status.as_u16())
}

/// The number, and the keys that are logged.
async fn state(client: &Client, path: &str) -> (u64, BTreeSet<String>) {
    let n =
        client.get(&format!("{path}/collections/documents/documents/n")).await.ok()["n"].as_u64().unwrap();
    let mut keys = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("{path}/collections/log/documents?limit=200{cursor}")).await.ok();
        keys.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["_id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (n, keys),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_whole_after_a_kill_and_keys_count_once() {
    let (test_env, _set) = tokio::task::spawn_blocking(env_with_transactions).await.unwrap();
    let (server, path) = begin(&test_env).await;
    let client = owner(&server).await;
    let answered = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, path, answered) = (client.clone(), path.clone(), answered.clone());
        callers.spawn(async move {
            let mut done = Vec::new();
            for number in 0.. {
                let key = format!("{caller}-{number}");
                if send(&client, &path, &key).await != Some(200) {
                    return (done, key);
                }
                done.push(key);
                answered.fetch_add(1, Ordering::SeqCst);
            }
            unreachable!("the service is killed")
        });
    }
    while answered.load(Ordering::SeqCst) < ANSWERS {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.kill().await;
    let (done, open): (Vec<Vec<String>>, Vec<String>) = callers.join_all().await.into_iter().unzip();
    test_env.end_leases();

    let server = Launch::on(&test_env).start();
    let client = owner(&server).await;
    let (n, keys) = state(&client, &path).await;
    assert_eq!(n, keys.len() as u64, "a batch is there in part");
    assert!(done.concat().iter().all(|key| keys.contains(key)), "an answered batch is missing");
    for key in open {
        let first = send(&client, &path, &key).await;
        assert_eq!(send(&client, &path, &key).await, first);
    }
    let (n, keys) = state(&client, &path).await;
    assert_eq!(n, keys.len() as u64, "a key has counted twice");
    server.stop().await;
}

/// Killed at each point of one batch.
#[cfg(feature = "crash-points")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batch_is_whole_when_killed_at_any_point() {
    let (test_env, set) = tokio::task::spawn_blocking(env_with_transactions).await.unwrap();
    let (server, path) = begin(&test_env).await;
    server.stop().await;
    let points: &[(&str, bool)] = match set {
        None => &[("batch.container_writer.step", false), ("worker.container_writer.answer", true)],
        Some(_) => &[("batch.transaction.before", false), ("batch.transaction.committed", true)],
    };
    let mut expected = 0;
    for (point, is_there) in points {
        let server = Launch::on(&test_env).env("TENANTRY_CRASH_AT", point).start();
        let client = owner(&server).await;
        assert_eq!(send(&client, &path, point).await, None, "{point}");
        server.crashed().await;
        test_env.end_leases();

        let server = Launch::on(&test_env).start();
        let client = owner(&server).await;
        expected += u64::from(*is_there);
        let (n, keys) = state(&client, &path).await;
        assert_eq!((n, keys.len() as u64, keys.contains(*point)), (expected, expected, *is_there), "{point}");
        // If it was not carried out, it is now: the counter has not been written since. Otherwise nobody knows.
        let again = send(&client, &path, point).await;
        assert_eq!(again, Some(if *is_there { 409 } else { 200 }), "{point}");
        expected = state(&client, &path).await.0;
        assert_eq!(expected, n + u64::from(!is_there), "{point}");
        server.stop().await;
    }
}
