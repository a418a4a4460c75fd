//! Workers that panic outside a job, where the guard of the job does not apply: waiting callers are answered at once, and the
//! worker goes on for those who come after.

use crate::engine;
use crate::support::client::Client;
use crate::support::fixtures::{PASSWORD, credentials, email_for, new_organization};
use crate::support::process::Launch;
use crate::support::test_env::{Engine, TestEnv};
use serde_json::{Value, json};
use std::time::Duration;
use tenantry_domain::failpoints::WORKER_POINTS;

/// A caller who is left waiting is answered after `REQUEST_TIMEOUT`, which is longer.
const AT_ONCE: Duration = Duration::from_secs(5);
/// How often the point is passed before, so that the service is up and the organization is there.
const PASSED_BEFORE: u32 = 12;
const ROUNDS: u32 = 30;

/// The points that a worker of this engine passes.
fn points() -> impl Iterator<Item = &'static str> {
    let is_passed = |point: &&str| engine() == Engine::Embedded || !point.contains("_writer.");
    WORKER_POINTS.into_iter().filter(is_passed)
}

/// Reaches every worker: a sign-in hashes and writes records, an insert writes into the container.
async fn use_everything(anybody: &Client, owner: &Client, path: &str, round: u32) -> Vec<u16> {
    let login = credentials(&email_for("Acme"), PASSWORD);
    let sign_in = anybody.post("/admin/login", &login).await;
    let insert = owner.post(path, &json!({ "_id": round })).await;
    for answer in [&sign_in, &insert] {
        assert!(answer.took < AT_ONCE, "{answer}: answered after {:?}", answer.took);
    }
    vec![sign_in.status.as_u16(), insert.status.as_u16()]
}

async fn owner(anybody: &Client) -> (Client, String) {
    let acme = anybody.post("/org/create", &new_organization("Acme", &email_for("Acme"))).await.created();
    let tokens = anybody.post("/admin/login", &credentials(&email_for("Acme"), PASSWORD)).await.ok();
    let owner = anybody.with_token(tokens["access_token"].as_str().unwrap());
    let path = format!("/v1/organizations/{}/collections/documents/documents", acme["id"].as_str().unwrap());
    (owner, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_that_panics_leaves_no_request_waiting() {
    for point in points() {
        let test_env = TestEnv::new();
        let launch = Launch::on(&test_env).env("TENANTRY_PANIC_AT", &format!("{point}:{PASSED_BEFORE}"));
        let server = launch.start();
        let anybody = server.client();
        let (owner, path) = owner(&anybody).await;
        let mut statuses: Vec<u16> = Vec::new();
        for round in 0..ROUNDS {
            statuses.extend(use_everything(&anybody, &owner, &path, round).await);
        }
        let log = server.log();
        assert!(log.contains("a test asks for a panic at"), "{point} was not passed often enough: {log}");
        let failed = statuses.iter().filter(|status| **status >= 500).count();
        assert!(failed <= 1, "{point}: {statuses:?}");
        assert!(statuses.iter().all(|status| [200, 201, 500, 503].contains(status)), "{point}: {statuses:?}");
        // All that was acknowledged is there.
        let stored = statuses.iter().filter(|status| **status == 201).count();
        let count: Value = owner.get(&path.replace("/documents/documents", "/documents/count")).await.ok();
        let count = usize::try_from(count["count"].as_u64().unwrap()).unwrap();
        assert!((stored..=stored + failed).contains(&count), "{point}: {stored} of {count}");
        server.stop().await;
    }
}
