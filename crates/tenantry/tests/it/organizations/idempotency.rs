//! `Idempotency-Key`: a create that is sent again makes no second organization.

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{PASSWORD, credentials, new_organization, organization, sign_in};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

/// The two routes that take a key, each with its caller.
fn routes(app: &App) -> [(Client, &'static str); 2] {
    [(app.client(), "/org/create"), (app.operator(), "/v1/organizations")]
}

async fn send(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    client.with_header("idempotency-key", key).post(path, body).await
}

async fn organizations(app: &App) -> usize {
    app.operator().get("/v1/organizations?limit=200&show_deleted=true").await.ok()["items"]
        .as_array()
        .unwrap()
        .len()
}

/// The parts that must be the same in every replay of a response.
fn essence(answer: &Answer) -> (u16, String, Vec<String>) {
    let headers = ["content-type", "etag", "location", "operation-location"];
    (answer.status.as_u16(), answer.text.clone(), headers.map(|name| answer.header(name).to_owned()).to_vec())
}

#[tokio::test]
async fn idempotency_key_replays_response_for_a_day() {
    let app = App::start().await;
    for (number, (client, path)) in routes(&app).iter().enumerate() {
        let new = new_organization(&format!("Acme {number}"), &format!("owner@acme-{number}.example"));
        let first = send(client, path, "key-1", &new).await;
        assert!(!first.headers.contains_key("idempotency-replayed"));
        // Even if the organization changes meanwhile.
        let id = first.json()["id"].as_str().unwrap().to_owned();
        app.operator()
            .patch(
                &format!("/v1/organizations/{id}"),
                &json!({ "organization_name": format!("New {number}") }),
            )
            .await
            .ok();
        app.clock.advance(Duration::from_secs(3600));
        let again = send(client, path, "key-1", &new).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(essence(&again), essence(&first));
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
        first.created();
    }
    assert_eq!(organizations(&app).await, 2);

    app.advance_days(1);
    let (client, path) = &routes(&app)[0];
    // Forgotten, whether or not it was tidied away.
    let new = new_organization("New 0", "owner@other.example");
    send(client, path, "key-1", &new).await.refused("name_taken");
}

#[tokio::test]
async fn idempotency_response_outlives_restart() {
    let app = App::start().await;
    let new = new_organization("Acme", "owner@acme.example");
    let first = send(&app.client(), "/org/create", "key-1", &new).await;
    let app = app.restart().await;
    let again = send(&app.client(), "/org/create", "key-1", &new).await;
    assert_eq!(essence(&again), essence(&first));
    assert_eq!(organizations(&app).await, 1);
}

#[tokio::test]
async fn idempotency_key_is_bound_to_request_and_caller_kind() {
    let app = App::start().await;
    let [(anybody, classic), (operator, v1)] = routes(&app);
    let new = new_organization("Acme", "owner@acme.example");
    send(&operator, v1, "key-1", &new).await.created();
    let other = new_organization("Other", "owner@other.example");
    send(&operator, v1, "key-1", &other).await.refused("idempotency_key_reused");
    // Another path is another request, a space in the body is another body.
    send(&operator, classic, "key-1", &new).await.refused("idempotency_key_reused");
    let spaced = Some(("application/json", format!(" {new}").into_bytes()));
    let keyed = operator.with_header("idempotency-key", "key-1");
    keyed.send(reqwest::Method::POST, v1, spaced).await.refused("idempotency_key_reused");
    // Another caller's key is another key.
    send(&anybody, classic, "key-1", &other).await.created();
    send(&anybody, classic, "KEY-1", &other).await.refused("name_taken");
    assert_eq!(organizations(&app).await, 2);
}

#[tokio::test]
async fn idempotency_key_of_refused_request_stays_free() {
    let app = App::start().await;
    organization(&app, "Taken").await;
    for (number, (client, path)) in routes(&app).iter().enumerate() {
        let email = format!("owner@acme-{number}.example");
        for refused in [
            json!({ "organization_name": "A" }),
            new_organization("taken", &email),
            new_organization("Other", "owner@taken.example"),
        ] {
            assert!(send(client, path, "key-1", &refused).await.status.is_client_error());
        }
        send(client, path, "key-1", &new_organization(&format!("Acme {number}"), &email)).await.created();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idempotency_key_in_use_is_reported_as_in_progress() {
    // On a busy machine the last of a hundred hashes is made after the usual deadline of a request.
    let app = Setup::unlimited().with("--hash-threads=1").with("--request-timeout=120").start().await;
    let acme = organization(&app, "Acme").await;
    for (number, (client, path)) in routes(&app).into_iter().enumerate() {
        // Sign-ins keep the one hashing thread busy, so that a create takes its time.
        let mut sign_ins = JoinSet::new();
        for _ in 0..100 {
            let (client, body) = (app.client(), credentials(acme.email(), PASSWORD));
            sign_ins.spawn(async move { client.post("/admin/login", &body).await.ok() });
        }
        while app.waiting_hashes() < 30 {
            assert!(
                sign_ins.try_join_next().is_none() || sign_ins.len() > 60,
                "the sign-ins were over too soon"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let email = format!("owner@new-{number}.example");
        let new = new_organization(&format!("New {number}"), &email);
        let (one, two) = tokio::join!(send(&client, path, "key-1", &new), send(&client, path, "key-1", &new));
        let (made, told) = if one.status == 201 { (one, two) } else { (two, one) };
        assert!(told.header("retry-after").parse::<u64>().unwrap() > 0);
        told.refused("idempotency_in_progress");
        let again = send(&client, path, "key-1", &new).await;
        assert_eq!(essence(&again), essence(&made));
        made.created();
        sign_in(&app, &email).await;
        sign_ins.join_all().await;
    }
    assert_eq!(organizations(&app).await, 3);
}
