//! Queries that take long: what they may cost is bounded, and nobody else waits for them.

use crate::engine;
use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{Organization, PASSWORD, new_organization, organization};
use crate::support::process::Launch;
use crate::support::test_env::{Engine, TestEnv};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a query of these tests may take, in a flag: far longer than any test waits.
const QUERY_TIME: &str = "--query-timeout=60";
/// How long a test waits for what must not wait for a query.
const SOON: Duration = Duration::from_secs(20);

/// How many documents such a query goes through.
const DOCUMENTS: u32 = 100;

/// Documents with arrays that take long to go through.
fn wide_documents() -> Vec<Value> {
    (0..DOCUMENTS).map(|id| json!({ "_id": id, "values": vec![1; 40_000] })).collect()
}

/// A filter within all bounds that takes long for each of them.
fn long_filter() -> Value {
    let conditions: Vec<Value> =
        (0..85).map(|number| json!({ "values": { "$gt": 1_000_000 + number } })).collect();
    json!({ "$or": conditions })
}

/// Waits until that organization's query for what matches [`long_filter`] runs, which it does until it is stopped.
async fn begin_long_query(client: &Client, owner: &Client, path: String) -> tokio::task::JoinHandle<u16> {
    let (before, owner) = (begun(client, "blocking").await, owner.clone());
    let query = tokio::spawn(async move {
        let body = json!({ "filter": long_filter() });
        let body = Some(("application/json", body.to_string().into_bytes()));
        owner.try_send(reqwest::Method::POST, &path, body).await.map_or(0, |answer| answer.status.as_u16())
    });
    let deadline = Instant::now() + SOON;
    // MongoDB runs it by itself; there is no telling when.
    while engine() == Engine::Embedded && begun(client, "blocking").await == before {
        assert!(Instant::now() < deadline, "it does not begin");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    query
}

/// Queries that have begun so far on that sort of thread, in this process.
async fn begun(client: &Client, thread: &str) -> u64 {
    let metrics = client.get("/metrics").await.text;
    let name = format!("query_starts_total{{thread=\"{thread}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |number| number.parse().unwrap())
}

async fn with_wide_documents(app: &App) -> Organization {
    let acme = organization(app, "Acme").await;
    acme.store(&wide_documents()).await;
    acme
}

#[tokio::test]
async fn filter_over_price_is_refused_at_its_excess() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let paths: Vec<Value> =
        (0..40).map(|number| json!({ format!("f{number}{}", ".a".repeat(30)): 1 })).collect();
    let patterns: Vec<Value> =
        (0..12).map(|number| json!({ format!("f{number}"): { "$regex": "^a{1,950}$" } })).collect();
    for (filter, pointer, bound) in [
        (json!({ "$or": patterns }), "/filter/$or/10/f10/$regex", "20000 states"),
        (json!({ "$or": paths }), "/filter/$or/33/f33", "1024 parts"),
        (json!({ "a.0.1.2.3.4.5.6.7.8": 1 }), "/filter/a.0.1.2.3.4.5.6.7.8", "8 parts that are numbers"),
    ] {
        let problem = acme.owner.post(&acme.about("query"), &json!({ "filter": filter })).await;
        let problem = problem.refused("invalid_input");
        let errors = problem["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "the first excess ends it: {problem}");
        assert!(errors[0]["pointer"].as_str().unwrap().starts_with(pointer), "{problem}");
        assert!(errors[0]["detail"].as_str().unwrap().contains(bound), "{problem}");
    }
}

#[tokio::test]
async fn query_timeout_names_its_bound_and_blocks_no_other() {
    let app = Setup::unlimited().with("--query-timeout=1").start().await;
    let acme = with_wide_documents(&app).await;
    let problem = acme.owner.post(&acme.about("query"), &json!({ "filter": long_filter() })).await;
    let problem = problem.refused("query_too_slow");
    assert!(problem["detail"].as_str().unwrap().contains("QUERY_TIMEOUT"), "{problem}");
    acme.owner.get(&format!("{}/~1", acme.documents())).await.ok();
}

#[tokio::test]
async fn purge_does_not_wait_for_running_query() {
    let app = Setup::unlimited().with(QUERY_TIME).start().await;
    let acme = with_wide_documents(&app).await;
    let query = begin_long_query(&app.client(), &acme.owner, acme.about("query")).await;
    let began = Instant::now();
    acme.owner.delete(&format!("{}?purge=true", acme.path())).await.ok();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    let status = tokio::time::timeout(SOON, query).await.expect("the query goes on").unwrap();
    assert_ne!(status, 200, "it has not seen all documents");
    app.operator().get(&acme.path()).await.refused("organization_not_found");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_running_query() {
    let test_env = TestEnv::new();
    let server = Launch::on(&test_env).with(QUERY_TIME).with("--drain-timeout=1").start();
    let (client, email) = (server.client(), "owner@acme.example");
    let acme = client.post("/org/create", &new_organization("Acme", email)).await.created();
    let signed_in = client.post("/admin/login", &json!({ "email": email, "password": PASSWORD })).await.ok();
    let owner = client.with_token(signed_in["access_token"].as_str().unwrap());
    let path = format!("/v1/organizations/{}/collections/documents", acme["id"].as_str().unwrap());
    let lines: Vec<String> = wide_documents().iter().map(|document| format!("{document}\n")).collect();
    crate::support::fixtures::insert_lines(&owner, &format!("{path}/documents"), &lines.concat())
        .await
        .lines();
    let query = begin_long_query(&client, &owner, format!("{path}/query")).await;
    let began = Instant::now();
    server.terminate();
    server.ended_well().await;
    // A second for the drain, one for the end, and some for a busy machine; the query would take a hundred.
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert_ne!(query.await.unwrap(), 200);
    // What was stored is there.
    let server = Launch::on(&test_env).start();
    let signed_in =
        server.client().post("/admin/login", &json!({ "email": email, "password": PASSWORD })).await.ok();
    let owner = server.client().with_token(signed_in["access_token"].as_str().unwrap());
    assert_eq!(owner.get(&format!("{path}/count")).await.ok()["count"], DOCUMENTS);
    server.stop().await;
}

#[tokio::test]
async fn query_not_known_to_be_short_leaves_async_threads() {
    if engine() == Engine::MongoDb {
        return;
    }
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.store(&[json!({ "_id": 1, "a": "text" })]).await;
    let client = app.client();
    let many: Vec<Value> = (0..65).map(|number| json!({ format!("f{number}"): 1 })).collect();
    for filter in [
        json!({ "a": { "$regex": "^[a-z]{1,300}$" } }),
        json!({ "$or": many }),
        json!({ "a": { "$in": (0..101).collect::<Vec<_>>() } }),
        json!({ "a": "x".repeat(20_000) }),
    ] {
        let before = (begun(&client, "async").await, begun(&client, "blocking").await);
        acme.owner.post(&acme.about("query"), &json!({ "filter": filter })).await.ok();
        let after = (begun(&client, "async").await, begun(&client, "blocking").await);
        assert_eq!((after.0 - before.0, after.1 - before.1), (0, 1), "{filter}");
    }
    let before = begun(&client, "async").await;
    acme.owner.post(&acme.about("query"), &json!({ "filter": { "a": "text" } })).await.ok();
    assert_eq!(begun(&client, "async").await - before, 1);
}
