//! The server is away when the service starts, freezes, dies and comes back: every request is answered within its
//! time, the service says that it lives and cannot work, and nobody has to restart anything.

use super::sound_at_last;
use crate::support::fixtures::{credentials, email_for, new_organization};
use crate::support::process::{Launch, Server};
use crate::support::test_env::TestEnv;
use reqwest::Method;
use std::time::{Duration, Instant};
use tenantry_test_mongod::Mongod;

/// How long an answer may take, with the settings as they come.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a driver may take to notice that its server is back.
const BACK: Duration = Duration::from_secs(30);

/// Expects the service to live, to report that it is not ready, and to answer every request.
async fn is_alive_and_cannot_work(server: &Server, name: &str) {
    let client = server.client();
    let look_up = format!("/org/get?organization_name={name}");
    let create = new_organization(name, &email_for(name));
    let login = credentials(&email_for(name), "whatever it was");
    let body = |value: serde_json::Value| Some(("application/json", value.to_string().into_bytes()));
    let (livez, health, found, created, signed_in) = tokio::join!(
        client.get("/livez"),
        client.get("/health"),
        client.get(&look_up),
        client.send(Method::POST, "/org/create", body(create)),
        client.send(Method::POST, "/admin/login", body(login)),
    );
    livez.ok();
    health.ok();
    for answer in [client.get("/readyz").await, found, created, signed_in] {
        assert!(answer.took < ANSWER, "{answer}: after {:?}", answer.took);
        assert_eq!(answer.status, 503, "{answer}");
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        answer.refused("store_unavailable");
    }
}

/// Expects it to work again after a while, by itself.
async fn works_again(test_env: &TestEnv, server: &Server, name: &str) {
    let since = Instant::now();
    // A service that began without its records makes its operator key when it has found them.
    let key = test_env.data_dir().join("operator.key");
    while server.client().get("/readyz").await.status != 200
        || !key.exists()
        || server.operator().get("/v1/organizations").await.status != 200
    {
        assert!(since.elapsed() < BACK, "it does not come back: {}", server.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.client().post("/org/create", &new_organization(name, &email_for(name))).await.created();
    server.client().get(&format!("/org/get?organization_name={name}")).await.ok();
}

/// The server is away, then frozen, then killed; each time the service recovers by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_outage_needs_no_restart_of_the_service() {
    let mut mongod = Mongod::start();
    let test_env = TestEnv::at(&mongod.uri());
    mongod.kill();
    let server = Launch::on(&test_env).start();
    is_alive_and_cannot_work(&server, "Absent").await;
    mongod.restart();
    works_again(&test_env, &server, "First").await;

    mongod.pause();
    is_alive_and_cannot_work(&server, "Frozen").await;
    mongod.resume();
    works_again(&test_env, &server, "Second").await;

    mongod.kill();
    is_alive_and_cannot_work(&server, "Dead").await;
    mongod.restart();
    works_again(&test_env, &server, "Third").await;

    // What was asked for in vain may have reached the server all the same; then it is finished.
    let found = sound_at_last(&test_env).await;
    server.stop().await;
    for name in ["First", "Second", "Third"] {
        assert!(found.named(name).is_some(), "{name} is lost");
    }
}

/// A request in progress when the server freezes is answered, and its change is finished later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_at_frozen_server_is_answered_and_finished_later() {
    let mut mongod = Mongod::start();
    let test_env = TestEnv::at(&mongod.uri());
    let server = Launch::on(&test_env).env("TENANTRY_STOP_AT", "create.create_container.before").start();
    let client = server.client();
    let request = tokio::spawn(async move {
        client.post("/org/create", &new_organization("Acme", &email_for("Acme"))).await
    });
    server.stopped().await;
    mongod.pause();
    server.wake();
    let answer = request.await.unwrap();
    assert!(answer.took < ANSWER, "{answer}: after {:?}", answer.took);
    assert!(
        ["store_unavailable", "overloaded"].contains(&answer.json()["code"].as_str().unwrap()),
        "{answer}"
    );
    mongod.resume();

    // Nobody ends its lease: the instance that began it goes on with it, as any other would.
    let since = Instant::now();
    while server.client().get("/org/get?organization_name=Acme").await.status != 200 {
        assert!(since.elapsed() < BACK, "it is not finished: {}", server.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    sound_at_last(&test_env).await;
    server.stop().await;
}
