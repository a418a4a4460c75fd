//! An earlier version and this one beside each other on one database, as they are while instances are replaced one after
//! the other (docs/upgrading.md). What one does, the other sees.
//!
//! It runs only on request, with the program of the earlier version: `cargo xtask neighbours`.
//!
//! # Pitfalls
//! An instance may answer from what it has read within the last second, so what the other one did is waited for.

use crate::support::checker::Snapshot;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{PASSWORD, credentials, email_for, encoded, new_organization};
use crate::support::process::{Launch, Server};
use crate::support::test_env::TestEnv;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long one may take to see what the other did, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program of the earlier version.
#[expect(clippy::disallowed_methods, reason = "no setting: what a test runs")]
fn previous() -> PathBuf {
    let named = std::env::var("TENANTRY_TEST_PREVIOUS");
    named.expect("TENANTRY_TEST_PREVIOUS names the earlier version: run `cargo xtask neighbours`").into()
}

/// The answer to a read, once it is what `is_expected` says.
async fn eventually(client: &Client, path: &str, is_expected: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.get(path).await;
        if is_expected(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "the other instance has done something else: {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn has(member: &'static str, value: Value) -> impl Fn(&Answer) -> bool {
    move |answer| answer.status.is_success() && answer.json()[member] == value
}

fn is_gone(answer: &Answer) -> bool {
    answer.status == StatusCode::NOT_FOUND
}

async fn sign_in(server: &Server, email: &str) -> Client {
    let tokens = server.client().post("/admin/login", &credentials(email, PASSWORD)).await.ok();
    server.client().with_token(tokens["access_token"].as_str().unwrap())
}

/// The same caller at the other instance.
fn at(server: &Server, caller: &Client) -> Client {
    server.client().with_header("authorization", caller.header("authorization").unwrap())
}

/// Everything that people do, each step at the one or the other instance, and seen by the one that did not do it.
async fn take_turns(one: &Server, other: &Server, name: &str) {
    let email = email_for(name);
    let made = one.client().post("/org/create", &new_organization(name, &email)).await.created();
    let path = format!("/v1/organizations/{}", made["id"].as_str().unwrap());
    let found = format!("/org/get?organization_name={}", encoded(name));
    eventually(&other.client(), &found, has("id", made["id"].clone())).await;

    // A session of one, used at the other, and the other way round.
    let owner = sign_in(one, &email).await;
    let owner_at_other = at(other, &owner);
    owner_at_other.get(&path).await.ok();
    at(one, &sign_in(other, &email).await).get(&path).await.ok();

    documents(&owner, &owner_at_other, &path).await;
    documents(&owner_at_other, &owner, &path).await;
    members(one, other, &owner, &path, name).await;
    life(one, other, &owner, &path, name).await;
}

/// Documents that one writes and the other reads, changes and deletes.
async fn documents(writer: &Client, reader: &Client, path: &str) {
    let documents = format!("{path}/collections/documents/documents");
    let document = format!("{documents}/shared");
    writer.post(&documents, &json!({ "_id": "shared", "count": 1, "tags": ["a"] })).await.created();
    assert_eq!(reader.get(&document).await.ok()["count"], 1);
    let update = json!({ "update": { "$inc": { "count": 1 }, "$push": { "tags": "b" } } });
    reader.post(&format!("{document}/update"), &update).await.ok();
    let seen = writer.get(&document).await.ok();
    assert_eq!((&seen["count"], &seen["tags"]), (&json!(2), &json!(["a", "b"])));
    let query = json!({ "filter": { "count": { "$gte": 2 } } });
    let page = writer.post(&format!("{path}/collections/documents/query"), &query).await.ok();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    reader.delete(&document).await.done();
    writer.get(&document).await.refused("document_not_found");
}

/// A member who is invited through one, joins through the other, gets another role, and is removed.
async fn members(one: &Server, other: &Server, owner: &Client, path: &str, name: &str) {
    let email = format!("member@{}", email_for(name).split('@').nth(1).unwrap());
    let invitation = json!({ "email": email, "role": "member" });
    let made = owner.post(&format!("{path}/invitations"), &invitation).await.created();
    let accept = json!({ "token": made["token"], "password": PASSWORD });
    let joined = other.client().post("/v1/invitations/accept", &accept).await.created();
    let member = format!("{path}/members/{}", joined["admin_id"].as_str().unwrap());
    eventually(owner, &member, has("role", json!("member"))).await;
    at(other, owner).patch(&member, &json!({ "role": "viewer" })).await.ok();
    eventually(owner, &member, has("role", json!("viewer"))).await;
    // Rights end at the other instance, too.
    let their = sign_in(one, &email).await;
    at(other, &their).get(path).await.ok();
    owner.delete(&member).await.done();
    eventually(&at(other, &their), path, |answer| answer.status.is_client_error()).await;
}

/// A rename, a delete and a restore, each seen by the other.
async fn life(one: &Server, other: &Server, owner: &Client, path: &str, name: &str) {
    for (server, neighbour, renamed) in [(one, other, "First"), (other, one, "Second")] {
        let renamed = format!("{name} {renamed}");
        at(server, owner).patch(path, &json!({ "organization_name": renamed })).await.ok();
        eventually(&at(neighbour, owner), path, has("organization_name", json!(renamed))).await;
        at(neighbour, owner).get(&format!("{path}/collections/documents")).await.ok();
    }
    one.operator().delete(path).await.ok();
    let status = |status: &str| has("status", json!(status));
    eventually(&other.operator(), path, status("deleted")).await;
    eventually(&at(other, owner), path, |answer| answer.status.is_client_error()).await;
    other.operator().post(&format!("{path}/restore"), &json!({})).await.ok();
    eventually(&one.operator(), path, status("active")).await;
    let purged = new_organization(&format!("{name} Gone"), &email_for(&format!("{name} gone")));
    let purged = one.client().post("/org/create", &purged).await.created();
    let gone = format!("/v1/organizations/{}", purged["id"].as_str().unwrap());
    other.operator().delete(&format!("{gone}?purge=true")).await.ok();
    eventually(&one.operator(), &gone, is_gone).await;
}

/// The old one is there first, the new one beside it, then the old one ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the program of an earlier version: `cargo xtask neighbours`"]
async fn earlier_version_works_beside_this_one() {
    let test_env = TestEnv::new();
    let old = Launch::on(&test_env).program(previous()).start();
    let before = "Before";
    old.client().post("/org/create", &new_organization(before, &email_for(before))).await.created();
    let owner = sign_in(&old, &email_for(before)).await;
    let id = old.client().get("/org/get?organization_name=Before").await.ok()["id"].clone();
    let document = format!("/v1/organizations/{}/collections/documents/documents", id.as_str().unwrap());
    owner.post(&document, &json!({ "_id": "kept", "n": 1 })).await.created();

    let new = Launch::on(&test_env).start();
    // What was there, and a session from before.
    assert_eq!(at(&new, &owner).get(&format!("{document}/kept")).await.ok()["n"], 1);
    take_turns(&old, &new, "Old first").await;
    take_turns(&new, &old, "New first").await;
    // Both at once, on organizations of their own.
    tokio::join!(take_turns(&old, &new, "Old beside new"), take_turns(&new, &old, "New beside old"));

    old.stop().await;
    let owner = at(&new, &owner);
    assert_eq!(owner.get(&format!("{document}/kept")).await.ok()["n"], 1);
    owner.post(&document, &json!({ "_id": "later", "n": 2 })).await.created();
    new.stop().await;
    Snapshot::sound(&test_env);
}

/// What docs/upgrading.md says of the way back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the program of an earlier version: `cargo xtask neighbours`"]
async fn earlier_version_does_not_start_after_upgrade() {
    let test_env = TestEnv::new();
    let old = Launch::on(&test_env).program(previous());
    old.start().stop().await;
    Launch::on(&test_env).start().stop().await;
    let refusal = old.refused().await;
    assert!(refusal.contains("was written by a newer version"), "{refusal}");
    // It has changed nothing.
    Launch::on(&test_env).start().stop().await;
}
