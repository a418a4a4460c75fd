//! What makes an access token valid besides its session: the clock, its owner before a purge, and how it is sent.

use crate::support::app::App;
use crate::support::fixtures::{new_organization, organization, sign_in, with_access};
use crate::support::records::{keep_sessions, put_back_sessions};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn clock_set_back_revives_no_token_and_locks_nobody_out() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    app.clock.advance(HOUR);
    acme.owner.get(&acme.path()).await.refused("token_expired");
    let refreshed = sign_in(&app, acme.email()).await;
    // Before the moment when either was issued.
    app.clock.set_back(HOUR + Duration::from_secs(61));
    acme.owner.get(&acme.path()).await.refused("token_invalid");
    with_access(&app, &refreshed).get(&acme.path()).await.refused("token_invalid");
    let tokens = sign_in(&app, acme.email()).await;
    with_access(&app, &tokens).get(&acme.path()).await.ok();
    // A minute is what clocks of two machines may differ by.
    app.clock.advance(Duration::from_secs(1));
    acme.owner.get(&acme.path()).await.ok();
}

#[tokio::test]
async fn access_token_names_requesting_client() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let token = acme.tokens["access_token"].as_str().unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    for claim in ["iss", "sub", "aud", "client_id", "jti"] {
        assert!(claims[claim].is_string(), "{claim} in {claims}");
    }
    assert_eq!(claims["client_id"], "tenantry");
}

/// A slow sign-in may store its session after the purge has removed all others.
#[tokio::test]
async fn session_from_before_purge_is_dead_after_import() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let archive = app.operator().get(&format!("{}/export", acme.path())).await.text;
    let mut kept = None;
    let app = app.restart_after(|test_env| kept = Some(keep_sessions(test_env))).await;
    acme_is_reachable(&app, &acme.tokens, &acme.path()).await;
    app.operator().delete(&format!("{}?purge=true", acme.path())).await.ok();
    let body = Some(("application/x-ndjson", archive.into_bytes()));
    let made = app.operator().send(Method::POST, "/v1/organizations/import", body).await.created();
    assert_eq!((&made["id"], &made["admin_id"]), (&acme.body["id"], &acme.body["admin_id"]));

    let app = app.restart_after(|test_env| put_back_sessions(test_env, kept.take().unwrap())).await;
    with_access(&app, &acme.tokens).get(&acme.path()).await.refused("token_revoked");
    let refresh = json!({ "refresh_token": acme.tokens["refresh_token"] });
    app.client().post("/v1/auth/refresh", &refresh).await.refused("refresh_token_invalid");
    let tokens = sign_in(&app, acme.email()).await;
    acme_is_reachable(&app, &tokens, &acme.path()).await;
}

async fn acme_is_reachable(app: &App, tokens: &Value, path: &str) {
    with_access(app, tokens).get(path).await.ok();
}

#[tokio::test]
async fn repeated_single_header_is_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let token = format!("Bearer {}", acme.tokens["access_token"].as_str().unwrap());
    for second in [token.as_str(), "Bearer another", "Basic YTpi", ""] {
        let twice = acme.owner.with_another_header("authorization", second);
        let other =
            app.client().with_header("authorization", second).with_another_header("authorization", &token);
        for client in [twice, other] {
            for path in
                [acme.path().as_str(), "/v1/organizations", "/org/get?organization_name=Acme", "/health"]
            {
                let answer = client.get(path).await;
                assert!(answer.text.contains("`Authorization`"), "{answer}");
                answer.refused("invalid_header");
            }
        }
    }
    for second in ["key-1", "key-2", ""] {
        let twice = app
            .operator()
            .with_header("idempotency-key", "key-1")
            .with_another_header("idempotency-key", second);
        let answer = twice.post("/v1/organizations", &new_organization("Twice", "owner@twice.example")).await;
        assert!(answer.text.contains("`Idempotency-Key`"), "{answer}");
        answer.refused("invalid_header");
    }
    app.client().get("/org/get?organization_name=Twice").await.refused("organization_not_found");
}
