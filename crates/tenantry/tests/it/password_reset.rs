//! Links for a new password: made by the operator, good for one use, and gone with any change of the account.

use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{
    Organization, PASSWORD, again, credentials, email_for, joined, organization, sign_in, with_access,
    with_role,
};
use crate::support::keys::{organization_key, service_key, with_key};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

const NEW: &str = "another secret 47";

async fn reset_link(app: &App, organization: &Organization, body: &Value) -> Value {
    let path = format!("{}/password-reset", organization.member(organization.owner_id()));
    app.operator().post(&path, body).await.created()
}

async fn use_link(client: &Client, link: &Value, password: &str) -> crate::support::client::Answer {
    let body = json!({ "token": link["token"], "new_password": password });
    client.post("/v1/auth/reset-password", &body).await
}

#[tokio::test]
async fn reset_link_gives_a_new_password_and_ends_sessions() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let link = reset_link(&app, &acme, &json!({})).await;
    assert_eq!(link["account_id"], acme.owner_id());
    assert!(link["token"].as_str().unwrap().starts_with("tnt_reset_") && link["url"].is_null(), "{link}");
    acme.owner.get("/v1/me").await.ok();
    use_link(&app.client(), &link, NEW).await.done();
    acme.owner.get("/v1/me").await.refused("token_revoked");
    let refresh = json!({ "refresh_token": acme.tokens["refresh_token"] });
    app.client().post("/v1/auth/refresh", &refresh).await.refused("refresh_token_invalid");
    app.client()
        .post("/admin/login", &credentials(acme.email(), PASSWORD))
        .await
        .refused("invalid_credentials");
    let tokens = app.client().post("/admin/login", &credentials(acme.email(), NEW)).await.ok();
    use_link(&app.client(), &link, "a third secret 48").await.refused("reset_invalid");
    let owner = with_access(&app, &tokens);
    let page = owner.get(&format!("{}/audit", acme.path())).await.ok();
    let actions: Vec<&str> =
        page["items"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..3], ["session.started", "password.changed", "password.reset_issued"]);
    assert!(!page.to_string().contains("tnt_reset_"));
}

#[tokio::test]
async fn reset_link_is_used_once_in_parallel() {
    let app = Setup::default().with("--hash-queue=64").with("--request-timeout=120").start().await;
    let acme = organization(&app, "Acme").await;
    let link = reset_link(&app, &acme, &json!({})).await;
    let client = app.client();
    let passwords: Vec<String> = (0..50).map(|number| format!("another secret {number}")).collect();
    let uses = join_all(passwords.iter().map(|password| use_link(&client, &link, password))).await;
    let winners: Vec<usize> = (0..50).filter(|index| uses[*index].status.is_success()).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    let known = ["reset_invalid", "sign_in_busy"];
    assert!(
        uses.iter()
            .filter(|answer| answer.status.is_client_error())
            .all(|answer| known.contains(&answer.outcome().as_str()))
    );
    app.client().post("/admin/login", &credentials(acme.email(), &passwords[winners[0]])).await.ok();
}

#[tokio::test]
async fn reset_link_ends_with_its_time_and_with_changes() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let short = reset_link(&app, &acme, &json!({ "expires_in": 60 })).await;
    let long = reset_link(&app, &acme, &json!({ "expires_in": 604_800 })).await;
    app.clock.advance(Duration::from_secs(60));
    use_link(&app.client(), &short, NEW).await.refused("reset_invalid");
    let owner = with_access(&app, &sign_in(&app, acme.email()).await);
    let body = json!({ "current_password": PASSWORD, "new_password": NEW });
    owner.post("/v1/me/password", &body).await.done();
    use_link(&app.client(), &long, "a third secret 48").await.refused("reset_invalid");
    let mut forged = reset_link(&app, &acme, &json!({})).await;
    forged["token"] = short["token"].clone();
    use_link(&app.client(), &forged, NEW).await.refused("reset_invalid");
    let garbage = json!({ "token": "tnt_reset_1", "new_password": "short" });
    app.client().post("/v1/auth/reset-password", &garbage).await.refused_fields(&["/token", "/new_password"]);
}

#[tokio::test]
async fn reset_links_are_made_by_the_operator_alone() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let path = format!("{}/password-reset", acme.member(acme.owner_id()));
    acme.owner.post(&path, &json!({})).await.refused("operator_only");
    let service = service_key(&app, &["members:write", "members:read"]).await;
    with_key(&app, &service).post(&path, &json!({})).await.refused("operator_only");
    let key = organization_key(&acme, &["members:write"]).await;
    with_key(&app, &key).post(&path, &json!({})).await.refused("operator_only");
    let foreign = format!("{}/password-reset", globex.member(acme.owner_id()));
    app.operator().post(&foreign, &json!({})).await.refused("member_not_found");
    let (app, viewer) = with_role(app, &acme, "viewer").await;
    viewer.post(&path, &json!({})).await.refused("operator_only");
    for seconds in [0, 604_801] {
        let body = json!({ "expires_in": seconds });
        app.operator().post(&path, &body).await.refused_fields(&["/expires_in"]);
    }
}

#[tokio::test]
async fn reset_link_opens_every_organization_of_the_person() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let (app, person) = joined(app, &globex, &acme, "member").await;
    let path = format!("{}/password-reset", acme.member(globex.owner_id()));
    let link = app.operator().post(&path, &json!({})).await.created();
    use_link(&app.client(), &link, NEW).await.done();
    person.get("/v1/me").await.refused("token_revoked");
    again(&app, &globex.owner).get("/v1/me").await.refused("token_revoked");
    let tokens = app.client().post("/admin/login", &credentials(&email_for("Globex"), NEW)).await.ok();
    with_access(&app, &tokens).get("/v1/me").await.ok();
}
