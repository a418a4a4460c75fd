//! The keys of a provider over HTTP: one that is away or slow delays nobody else, and tokens with made-up names of keys
//! make few calls.

use super::{Provider, ProviderKey, invite};
use crate::support::app::App;
use crate::support::fixtures::Organization;
use crate::support::identity_provider::key_set;
use crate::support::jwks_server::{Behavior, JwksServer, url};
use crate::support::smtp::free_port;
use futures_util::future::join_all;
use serde_json::{Value, json};

fn at(url: &str) -> Value {
    json!({ "jwks_file": null, "jwks_url": url })
}

/// A service that has the keys of a provider from its server, after one call.
async fn service(provider: &Provider) -> (JwksServer, App, Organization) {
    let server = JwksServer::start(Behavior::Serves(key_set(&[&provider.key]))).await;
    let (app, acme) = provider.service(at(&server.url())).await;
    server.answered(1).await;
    (server, app, acme)
}

/// A token of Ada's that names a key which the provider does not have.
fn with_unknown_key(provider: &Provider, app: &App, kid: &str) -> String {
    let key = ProviderKey::new("unknown");
    let mut header = key.header();
    header.kid = Some(kid.to_owned());
    key.sign(&header, &provider.claims(app, "ada"))
}

#[tokio::test]
async fn provider_away_at_start_stops_nobody() {
    let provider = Provider::new();
    let port = free_port();
    let (app, acme) = provider.service(at(&url(port))).await;
    acme.owner.get(&acme.path()).await.ok();
    let invitation = json!({ "token": invite(&acme, "ada@people.example", "viewer").await });
    // It comes back: the first token that names a key which is not known has the keys got.
    let _server = JwksServer::start_on(port, Behavior::Serves(key_set(&[&provider.key]))).await;
    let ada = app.client().with_token(&provider.token(&app, "ada"));
    ada.post("/v1/invitations/accept", &invitation).await.ok();
    ada.get(&acme.path()).await.ok();
}

#[tokio::test]
async fn keys_that_are_known_outlive_the_provider() {
    let provider = Provider::new();
    let (server, app, acme) = service(&provider).await;
    let invitation = json!({ "token": invite(&acme, "ada@people.example", "viewer").await });
    let ada = || app.client().with_token(&provider.token(&app, "ada"));
    ada().post("/v1/invitations/accept", &invitation).await.ok();
    assert_eq!(server.calls(), 1, "a key that is known takes no call");
    server.does(Behavior::Fails);
    let unknown = app.client().with_token(&with_unknown_key(&provider, &app, "second"));
    unknown.get(&acme.path()).await.refused("token_invalid");
    assert_eq!(server.calls(), 2);
    ada().get(&acme.path()).await.ok();
    drop(server);
    ada().get(&acme.path()).await.ok();
}

/// Only the requests whose key is not known wait for the provider.
#[tokio::test]
async fn slow_provider_delays_no_other_request() {
    let provider = Provider::new();
    let (server, app, acme) = service(&provider).await;
    let invitation = json!({ "token": invite(&acme, "ada@people.example", "viewer").await });
    let ada = app.client().with_token(&provider.token(&app, "ada"));
    ada.post("/v1/invitations/accept", &invitation).await.ok();
    server.does(Behavior::Hangs);
    let unknown = app.client().with_token(&with_unknown_key(&provider, &app, "second"));
    let path = acme.path();
    let waiting = tokio::spawn(async move { unknown.get(&path).await });
    server.called(2).await;
    for _ in 0..5 {
        ada.get(&acme.path()).await.ok();
        acme.owner.get(&acme.path()).await.ok();
    }
    assert!(!waiting.is_finished(), "it waits for five seconds");
    waiting.await.unwrap().refused("token_invalid");
}

#[tokio::test]
async fn unknown_key_ids_make_one_call_a_minute() {
    let provider = Provider::new();
    let (server, app, acme) = service(&provider).await;
    let tokens = (0..50).map(|number| with_unknown_key(&provider, &app, &format!("key-{number}")));
    let path = acme.path();
    let answers = tokens.map(|token| {
        let client = app.client().with_token(&token);
        let path = &path;
        async move { client.get(path).await }
    });
    for answer in join_all(answers).await {
        answer.refused("token_invalid");
    }
    assert_eq!(server.calls(), 2, "one at the start, and one for all of these");
    // Those of nobody that is configured make none, wherever they say that their keys are.
    let mut claims = provider.claims(&app, "ada");
    claims["iss"] = server.url().into();
    let key = ProviderKey::new("third");
    for name in ["iss", "jku", "x5u"] {
        let mut header = key.header();
        match name {
            "jku" => header.jku = Some(server.url()),
            "x5u" => header.x5u = Some(server.url()),
            _ => {}
        }
        let client = app.client().with_token(&key.sign(&header, &claims));
        client.get(&acme.path()).await.refused("token_invalid");
    }
    assert_eq!(server.calls(), 2);
}

/// A provider that only says more about its key withdraws no token.
#[tokio::test]
async fn key_with_more_members_keeps_its_tokens() {
    let provider = Provider::new();
    let (server, app, acme) = service(&provider).await;
    let invitation = json!({ "token": invite(&acme, "ada@people.example", "viewer").await });
    let ada = app.client().with_token(&provider.token(&app, "ada"));
    ada.post("/v1/invitations/accept", &invitation).await.ok();
    let mut key = provider.key.jwk();
    key["alg"] = "ES256".into();
    key["x5t"] = "0ZcOCORZNYy-DWpqq30jZyJGHTM".into();
    server.does(Behavior::Serves(json!({ "keys": [key] }).to_string()));
    let unknown = app.client().with_token(&with_unknown_key(&provider, &app, "second"));
    unknown.get(&acme.path()).await.refused("token_invalid");
    assert_eq!(server.calls(), 2);
    ada.get(&acme.path()).await.ok();
}
