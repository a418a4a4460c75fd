//! A build of a unique partial index that a kill cuts off.
//!
//! A failed run is repeated with the seed it has printed: `TENANTRY_TEST_SEED=…`.

use crate::support::client::Client;
use crate::support::fixtures::{PASSWORD, credentials, email_for, insert_lines, new_organization};
use crate::support::process::{Launch, Server};
use crate::support::rng::TestRng;
use crate::support::test_env::TestEnv;
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;

const DOCUMENTS: usize = 20_000;
const ROUNDS: u32 = 3;

async fn owner(server: &Server) -> Client {
    let tokens = server.client().post("/admin/login", &credentials(&email_for("Acme"), PASSWORD)).await.ok();
    server.client().with_token(tokens["access_token"].as_str().unwrap())
}

/// Whenever the kill comes, the index is there as a whole or not at all, and can be made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unique_partial_index_is_whole_or_absent_after_kill() {
    let mut rng = TestRng::of_this_run();
    let test_env = TestEnv::new();
    let mut server = Launch::on(&test_env).start();
    let body = new_organization("Acme", &email_for("Acme"));
    let id = server.client().post("/org/create", &body).await.created()["id"].as_str().unwrap().to_owned();
    let base = format!("/v1/organizations/{id}/collections/documents");
    let mut lines = String::new();
    for n in 0..DOCUMENTS {
        writeln!(lines, r#"{{"_id":{n},"n":{},"even":{}}}"#, n / 2, n % 2 == 0).unwrap();
    }
    let stored = insert_lines(&owner(&server).await, &format!("{base}/bulk"), &lines).await;
    assert_eq!(stored.lines().last().unwrap()["inserted"], DOCUMENTS, "{stored}");
    let index = json!({ "name": "even_n", "keys": "n", "unique": true, "partial_filter": { "even": true } });
    for _ in 0..ROUNDS {
        let asking = owner(&server).await.with_header("prefer", "respond-async");
        let begun = asking.post(&format!("{base}/indexes"), &index).await;
        assert!([200, 201, 202].contains(&begun.status.as_u16()), "{begun}");
        tokio::time::sleep(Duration::from_millis(rng.between(0, 150))).await;
        server.kill().await;
        test_env.end_leases();
        server = Launch::on(&test_env).start();
        let asking = owner(&server).await;
        let listed = asking.get(&format!("{base}/indexes")).await.ok();
        println!("after the kill: {listed}");
        let count = json!({ "filter": { "even": true, "n": { "$gte": 0 } } });
        assert_eq!(asking.post(&format!("{base}/count"), &count).await.ok()["count"], DOCUMENTS / 2);
    }
    let asking = owner(&server).await;
    let made = asking.post(&format!("{base}/indexes"), &index).await;
    assert!([200, 201].contains(&made.status.as_u16()), "{made}");
    let documents = format!("{base}/documents");
    let taken = json!({ "n": 7, "even": true });
    asking.post(&documents, &taken).await.refused("unique_violation");
    asking.post(&documents, &json!({ "n": 7, "even": false })).await.created();
    let query = json!({ "filter": { "even": true, "n": 7 }, "explain": true });
    let explained = asking.post(&format!("{base}/query"), &query).await.ok();
    assert_eq!(explained["explanation"]["index"], "even_n", "{explained}");
    assert_eq!(explained["explanation"]["matched"], 1, "{explained}");
    server.stop().await;
}
