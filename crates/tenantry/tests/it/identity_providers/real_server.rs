//! A real OpenID provider, oidc-provider: its tokens, its keys, and the sign-in of people by the authorization code flow.

use super::invite;
use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{Organization, again, organization};
use crate::support::identity_provider::Provider;
use crate::support::oidc_server::{AUDIENCE, CLIENT, OidcServer};
use serde_json::{Value, json};
use std::time::Duration;
use tenantry::system::SystemClock;
use tenantry_domain::clock::Clock;

/// A service that trusts a real provider, by its entry with these members added, and has its keys.
async fn service(more: &Value) -> (OidcServer, Provider, App, Organization) {
    let file = Provider::new();
    let setup = Setup::unlimited().with(&file.flag()).at_time(SystemClock.now().as_millisecond());
    let app = setup.start().await;
    let acme = organization(&app, "Acme").await;
    let mut server = OidcServer::start(acme.id());
    let mut entry = server.entry();
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    file.configure(&entry);
    let app = app.restart().await;
    server.keys_got();
    // The service reads them now.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let owner = again(&app, &acme.owner);
    (server, file, app, Organization { owner, ..acme })
}

/// A client with that token, by a clock that the provider's is not ahead of.
fn client(app: &App, token: &str) -> Client {
    let behind = SystemClock.now().as_millisecond() - app.clock.milliseconds();
    app.clock.advance(Duration::from_millis(behind.try_into().unwrap_or(0)));
    app.client().with_token(token)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn person_signs_in_at_real_provider_and_joins() {
    let (mut server, _file, app, acme) = service(&json!({})).await;
    let invitation = json!({ "token": invite(&acme, "ada@people.example", "member").await });
    for (number, algorithm) in ["RS256", "ES256", "EdDSA"].into_iter().enumerate() {
        let ada = client(&app, &server.sign_in("ada", algorithm).access_token);
        if number == 0 {
            ada.get("/v1/me").await.refused("token_invalid");
            ada.post("/v1/invitations/accept", &invitation).await.ok();
        }
        ada.post(&acme.documents(), &json!({ "_id": algorithm })).await.created();
    }
    let eve = client(&app, &server.sign_in("eve", "RS256").access_token);
    eve.get("/v1/me").await.refused("token_invalid");
}

/// Of the tokens that the provider issues, those for others, for programs and for other ways of use open nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_tokens_of_real_provider_are_refused() {
    let (mut server, file, app, acme) = service(&json!({ "email_domains": ["people.example"] })).await;
    let invitation = json!({ "token": invite(&acme, "ada@people.example", "viewer").await });
    let ada = server.sign_in("ada", "ES256");
    client(&app, &ada.access_token).post("/v1/invitations/accept", &invitation).await.ok();
    let own = server.ask(&json!({ "resource": AUDIENCE }));
    let refused = [
        ("an ID token", ada.id_token.clone()),
        ("a token for the provider itself", server.ask(&json!({ "account": "ada" })).access_token),
        ("a token for another service", {
            let request = json!({ "account": "ada", "resource": "https://other.example.com" });
            server.ask(&request).access_token
        }),
        ("a token bound to a key", {
            let request = json!({ "account": "ada", "resource": AUDIENCE, "dpop": true });
            server.ask(&request).access_token
        }),
        ("a token of the client", own.access_token),
    ];
    for (name, token) in &refused {
        let answer = client(&app, token).get(&acme.path()).await;
        assert!(!token.is_empty() && answer.is_refused("token_invalid"), "{name}: {answer}");
    }
    // Nor an ID token where the settings name its audience, and no type tells it apart.
    let mut entry = server.entry();
    entry["audience"] = CLIENT.into();
    entry["token_type"] = "JWT".into();
    entry["organizations"] = json!([acme.id()]);
    entry.as_object_mut().unwrap().remove("organization_claim");
    file.configure(&entry);
    let app = app.restart().await;
    client(&app, &ada.id_token).get(&acme.path()).await.refused("token_invalid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_provider_changes_its_keys() {
    let (mut server, _file, app, acme) = service(&json!({})).await;
    let invitation = json!({ "token": invite(&acme, "ada@people.example", "viewer").await });
    let before = server.sign_in("ada", "RS256").access_token;
    client(&app, &before).post("/v1/invitations/accept", &invitation).await.ok();
    server.add_keys();
    let after = server.sign_in("ada", "RS256").access_token;
    client(&app, &after).get(&acme.path()).await.ok();
    client(&app, &before).get(&acme.path()).await.ok();
    server.remove_keys();
    let app = app.restart().await;
    client(&app, &after).get(&acme.path()).await.ok();
    client(&app, &before).get(&acme.path()).await.refused("token_invalid");
}
