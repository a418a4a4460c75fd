//! Links that are sent to a person: proving an address, changing it, what ends a link, and that each is good for one use.

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{
    Organization, PASSWORD, again, credentials, organization, prove_address, sign_in, with_access, with_role,
};
use crate::support::keys::{organization_key, service_key, with_key};
use crate::support::records::tables_with;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

const NEW: &str = "another secret 47";

fn links(organization: &Organization) -> String {
    format!("{}/links", organization.member(organization.owner_id()))
}

async fn link(app: &App, organization: &Organization, body: &Value) -> Value {
    app.operator().post(&links(organization), body).await.created()
}

async fn verification(app: &App, organization: &Organization) -> Value {
    link(app, organization, &json!({ "kind": "email_verification" })).await
}

async fn address_change(app: &App, organization: &Organization, email: &str) -> Value {
    link(app, organization, &json!({ "kind": "email_change", "email": email })).await
}

async fn verify(client: &Client, link: &Value, password: Option<&str>) -> Answer {
    let mut body = json!({ "token": link["token"] });
    if let Some(password) = password {
        body["new_password"] = password.into();
    }
    client.post("/v1/auth/verify-email", &body).await
}

async fn confirm(client: &Client, link: &Value) -> Answer {
    client.post("/v1/me/email/confirm", &json!({ "token": link["token"] })).await
}

async fn kinds(client: &Client, path: &str) -> Vec<String> {
    let found = client.get(path).await.ok();
    let items = found["items"].as_array().unwrap().iter();
    items.map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
}

async fn verified_at(client: &Client) -> Value {
    client.get("/v1/me").await.ok()["email_verified_at"].clone()
}

async fn actions(client: &Client, organization: &Organization) -> Vec<String> {
    let page = client.get(&format!("{}/audit", organization.path())).await.ok();
    let items = page["items"].as_array().unwrap().iter();
    items.map(|event| event["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn address_is_proven_by_the_account_that_is_signed_in() {
    let app = Setup::unlimited().with("--public-url=https://api.example/tenants").start().await;
    let acme = organization(&app, "Acme").await;
    assert_eq!(verified_at(&acme.owner).await, Value::Null);
    let link = verification(&app, &acme).await;
    let token = link["token"].as_str().unwrap();
    assert!(token.starts_with("tnt_verify_"), "{token}");
    assert_eq!(link["url"], format!("https://api.example/tenants/verify-email#{token}"));
    assert_eq!([&link["email"], &link["delivery"]], [&json!(acme.email()), &json!("operator")]);
    assert_eq!(tables_with(&app, token), Vec::<String>::new());
    verify(&acme.owner, &link, Some(NEW)).await.refused_fields(&["/new_password"]);
    verify(&acme.owner, &link, None).await.done();
    assert!(verified_at(&acme.owner).await.is_string());
    verify(&acme.owner, &link, None).await.refused("link_invalid");
    app.operator()
        .post(&links(&acme), &json!({ "kind": "email_verification" }))
        .await
        .refused("email_already_verified");
    sign_in(&app, acme.email()).await;
    assert_eq!(actions(&acme.owner, &acme).await[1..3], ["email.verified", "link.issued"]);
}

/// Somebody may have made the account before the person who has the address came.
#[tokio::test]
async fn proof_without_a_session_ends_password_and_sessions() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let link = verification(&app, &acme).await;
    verify(&app.client(), &link, None).await.refused_fields(&["/new_password"]);
    verify(&app.client(), &link, Some("short")).await.refused_fields(&["/new_password"]);
    acme.owner.get("/v1/me").await.ok();
    verify(&app.client(), &link, Some(NEW)).await.done();
    acme.owner.get("/v1/me").await.refused("token_revoked");
    let refresh = json!({ "refresh_token": acme.tokens["refresh_token"] });
    app.client().post("/v1/auth/refresh", &refresh).await.refused("refresh_token_invalid");
    let old = credentials(acme.email(), PASSWORD);
    app.client().post("/admin/login", &old).await.refused("invalid_credentials");
    let tokens = app.client().post("/admin/login", &credentials(acme.email(), NEW)).await.ok();
    assert!(verified_at(&with_access(&app, &tokens)).await.is_string());
    verify(&app.client(), &link, Some("a third secret 48")).await.refused("link_invalid");
}

#[tokio::test]
async fn link_is_used_by_its_own_account_and_for_its_own_purpose() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let verify_link = verification(&app, &acme).await;
    let change_link = address_change(&app, &acme, "new@acme.example").await;
    verify(&globex.owner, &verify_link, None).await.refused("link_for_another");
    confirm(&globex.owner, &change_link).await.refused("link_for_another");
    confirm(&app.client(), &change_link).await.refused("token_missing");
    verify(&app.operator(), &verify_link, None).await.refused("token_invalid");
    let key = organization_key(&acme, &["members:write"]).await;
    verify(&with_key(&app, &key), &verify_link, None).await.refused("session_required");
    for (link, path) in [
        (&verify_link, "/v1/me/email/confirm"),
        (&verify_link, "/v1/auth/reset-password"),
        (&change_link, "/v1/auth/verify-email"),
    ] {
        let mut body = json!({ "token": link["token"] });
        if path.ends_with("password") {
            body["new_password"] = NEW.into();
        }
        acme.owner.post(path, &body).await.refused_fields(&["/token"]);
    }
    for field in ["verified", "email_verified_at", "role", "_id", "token_epoch", "permissions"] {
        let pointer = format!("/{field}");
        let body = json!({ "token": verify_link["token"], field: true });
        acme.owner.post("/v1/auth/verify-email", &body).await.refused_fields(&[&pointer]);
        let body = json!({ "kind": "email_verification", field: true });
        app.operator().post(&links(&acme), &body).await.refused_fields(&[&pointer]);
        let body = json!({ "email": "x@new.example", "role": "viewer", field: true });
        if field != "role" {
            let path = format!("{}/invitations", acme.path());
            acme.owner.post(&path, &body).await.refused_fields(&[&pointer]);
        }
    }
    assert_eq!(verified_at(&acme.owner).await, Value::Null);
}

#[tokio::test]
async fn links_are_made_by_the_operator_and_seen_by_the_account() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let path = links(&acme);
    for kind in ["email_verification", "password_reset"] {
        let body = json!({ "kind": kind });
        acme.owner.post(&path, &body).await.refused("operator_only");
        let service = service_key(&app, &["members:write", "members:read"]).await;
        with_key(&app, &service).post(&path, &body).await.refused("operator_only");
        link(&app, &acme, &body).await;
    }
    acme.owner.get(&path).await.refused("operator_only");
    let listed = app.operator().get(&path).await;
    assert!(!listed.text.contains("tnt_") && !listed.text.contains("secret"), "{listed}");
    let expected = ["password_reset", "email_verification"];
    assert_eq!(kinds(&app.operator(), &path).await, expected);
    assert_eq!(kinds(&acme.owner, "/v1/me/links").await, expected);
    assert_eq!(kinds(&globex.owner, "/v1/me/links").await, Vec::<String>::new());
    acme.owner.delete("/v1/me/links/password_reset").await.done();
    acme.owner.delete("/v1/me/links/password_reset").await.refused("link_not_found");
    app.operator().delete(&format!("{path}/email_verification")).await.done();
    app.operator().delete(&format!("{path}/nothing")).await.refused("link_not_found");
    assert_eq!(kinds(&app.operator(), &path).await, Vec::<String>::new());
    let foreign = format!("{}/links", globex.member(acme.owner_id()));
    app.operator().get(&foreign).await.refused("member_not_found");
    for (body, fields) in [
        (json!({ "kind": "email_change" }), vec!["/email"]),
        (json!({ "kind": "password_reset", "email": "a@b.example" }), vec!["/email"]),
        (json!({ "kind": "nothing", "expires_in": 604_801 }), vec!["/kind", "/expires_in"]),
    ] {
        app.operator().post(&path, &body).await.refused_fields(&fields);
    }
    let (app, viewer) = with_role(app, &acme, "viewer").await;
    viewer.post(&path, &json!({ "kind": "email_verification" })).await.refused("operator_only");
    assert_eq!(kinds(&viewer, "/v1/me/links").await, Vec::<String>::new());
    drop(app);
}

#[tokio::test]
async fn link_ends_with_its_time_its_successor_and_changes() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let short = link(&app, &acme, &json!({ "kind": "email_verification", "expires_in": 60 })).await;
    app.clock.advance(Duration::from_secs(60));
    verify(&acme.owner, &short, None).await.refused("link_invalid");
    assert_eq!(kinds(&acme.owner, "/v1/me/links").await, Vec::<String>::new());
    let first = verification(&app, &acme).await;
    let second = verification(&app, &acme).await;
    verify(&acme.owner, &first, None).await.refused("link_invalid");
    app.operator().delete(&format!("{}/email_verification", links(&acme))).await.done();
    verify(&acme.owner, &second, None).await.refused("link_invalid");

    let verify_link = verification(&app, &acme).await;
    let change_link = address_change(&app, &acme, "new@acme.example").await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW });
    acme.owner.post("/v1/me/password", &body).await.done();
    verify(&acme.owner, &verify_link, None).await.refused("link_invalid");
    confirm(&acme.owner, &change_link).await.refused("link_invalid");

    let verify_link = verification(&app, &acme).await;
    let tokens = app.client().post("/admin/login", &credentials(acme.email(), NEW)).await.ok();
    let recent = with_access(&app, &tokens);
    let body = json!({ "organization_name": "Acme", "email": "other@acme.example" });
    recent.put("/org/update", &body).await.ok();
    verify(&recent, &verify_link, None).await.refused("link_invalid");
}

/// The classic update keeps its answers: the address changes at once, and is not proven.
#[tokio::test]
async fn address_that_is_changed_without_a_link_is_not_proven() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    prove_address(&app, &acme).await;
    let body = json!({ "organization_name": "Acme", "email": "OWNER@acme.example" });
    acme.owner.put("/org/update", &body).await.ok();
    assert!(verified_at(&acme.owner).await.is_string(), "it is the same mailbox");
    let body = json!({ "organization_name": "Acme", "email": "other@acme.example" });
    acme.owner.put("/org/update", &body).await.ok();
    assert_eq!(verified_at(&acme.owner).await, Value::Null);
}

#[tokio::test]
async fn address_is_changed_by_link_of_the_account_that_is_signed_in() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let other = with_access(&app, &sign_in(&app, acme.email()).await);
    let link = address_change(&app, &acme, "New@Acme.example").await;
    assert!(link["token"].as_str().unwrap().starts_with("tnt_address_"), "{link}");
    confirm(&acme.owner, &link).await.done();
    other.get("/v1/me").await.refused("token_revoked");
    let me = acme.owner.get("/v1/me").await.ok();
    assert_eq!(me["email"], "New@Acme.example");
    assert!(me["email_verified_at"].is_string(), "{me}");
    let old = credentials(acme.email(), PASSWORD);
    app.client().post("/admin/login", &old).await.refused("invalid_credentials");
    sign_in(&app, "new@acme.example").await;
    confirm(&acme.owner, &link).await.refused("link_invalid");
    let taken = address_change(&app, &acme, globex.email()).await;
    confirm(&acme.owner, &taken).await.refused("email_taken");
    assert_eq!(acme.owner.get("/v1/me").await.ok()["email"], "New@Acme.example");
    let trail = actions(&acme.owner, &acme).await;
    assert!(trail.contains(&"email.changed".to_owned()), "{trail:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn links_used_in_parallel_have_one_winner() {
    let app = Setup::default().with("--hash-queue=64").with("--request-timeout=120").start().await;
    let acme = organization(&app, "Acme").await;
    let change_link = address_change(&app, &acme, "new@acme.example").await;
    let uses = join_all((0..50).map(|_| confirm(&acme.owner, &change_link))).await;
    assert_eq!(uses.iter().filter(|answer| answer.status.is_success()).count(), 1);
    for answer in uses.iter().filter(|answer| !answer.status.is_success()) {
        assert!(answer.is_refused("link_invalid"), "{answer}");
    }
    // Its address is proven now; the other account's is not.
    let globex = organization(&app, "Globex").await;
    let verify_link = verification(&app, &globex).await;
    let passwords: Vec<String> = (0..50).map(|number| format!("another secret {number}")).collect();
    let client = app.client();
    let uses = join_all(passwords.iter().map(|password| verify(&client, &verify_link, Some(password)))).await;
    let winners: Vec<usize> = (0..50).filter(|index| uses[*index].status.is_success()).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    app.client().post("/admin/login", &credentials(globex.email(), &passwords[winners[0]])).await.ok();
}

/// An admin who holds the link of an invitation gets nothing of the account that has the address.
#[tokio::test]
async fn invitation_link_that_was_shown_takes_no_account_over() {
    let app = App::start().await;
    let (host, victim) = (organization(&app, "Host").await, organization(&app, "Victim").await);
    let body = json!({ "email": victim.email(), "role": "viewer" });
    let invitation = host.owner.post(&format!("{}/invitations", host.path()), &body).await.created();
    let accept = async |client: &Client, password: Option<&str>| {
        let mut body = json!({ "token": invitation["token"] });
        if let Some(password) = password {
            body["password"] = password.into();
        }
        client.post("/v1/invitations/accept", &body).await
    };
    accept(&app.client(), Some(NEW)).await.refused("account_exists");
    accept(&host.owner, None).await.refused("invitation_for_another");
    // Nor does the account itself join before its address is proven.
    accept(&victim.owner, None).await.refused("email_not_verified");
    accept(&app.client(), Some(PASSWORD)).await.refused("email_not_verified");
    victim.owner.get("/v1/me").await.ok();
    prove_address(&app, &victim).await;
    accept(&app.client(), Some(NEW)).await.refused("account_exists");
    accept(&victim.owner, None).await.ok();
    again(&app, &victim.owner).get(&victim.path()).await.ok();
}
