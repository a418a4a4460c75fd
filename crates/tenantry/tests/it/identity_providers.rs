//! Access tokens of identity providers: who gets in with them, and how an account is linked.

mod claims;
mod https;
mod issuer_keys;
mod killed;
mod linking;
mod real_server;

use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{Organization, organization, prove_address};
use crate::support::identity_provider::{ISSUER, Provider, ProviderKey, key_set};
use crate::support::jwks_server::{Behavior, JwksServer};
use crate::support::keys::claims;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::time::Duration;

/// Invites an address; the token of the link.
async fn invite(acme: &Organization, email: &str, role: &str) -> Value {
    let body = json!({ "email": email, "role": role });
    acme.owner.post(&format!("{}/invitations", acme.path()), &body).await.created()["token"].clone()
}

/// A person of the provider who has joined Acme with that role: a client with their token, and its claims.
async fn member(
    app: &App,
    provider: &Provider,
    acme: &Organization,
    subject: &str,
    role: &str,
) -> (Client, Value) {
    let invitation = invite(acme, &format!("{subject}@people.example"), role).await;
    let claims = provider.claims(app, subject);
    let client = app.client().with_token(&provider.sign(&claims));
    let joined = client.post("/v1/invitations/accept", &json!({ "token": invitation })).await.ok();
    assert_eq!((&joined["organization_id"], &joined["member"]["role"]), (&json!(acme.id()), &json!(role)));
    (client, claims)
}

#[tokio::test]
async fn foreign_token_works_with_the_role_of_the_membership() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    let (client, _) = member(&app, &provider, &acme, "ada", "member").await;
    client.post(&acme.documents(), &json!({ "_id": "1", "a": 1 })).await.created();
    assert_eq!(client.get(&format!("{}/1", acme.documents())).await.ok()["a"], 1);
    let me = client.get("/v1/me").await.ok();
    assert_eq!(me["email"], "ada@people.example");
    client.delete(&acme.path()).await.refused("role_insufficient");
    // Another token of the same person, and one of a person who is nobody here.
    app.client().with_token(&provider.token(&app, "ada")).get("/v1/me").await.ok();
    app.client().with_token(&provider.token(&app, "eve")).get("/v1/me").await.refused("token_invalid");
}

#[tokio::test]
async fn foreign_caller_has_no_session_and_no_password() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    let (client, mut claims) = member(&app, &provider, &acme, "ada", "admin").await;
    client.post_empty("/v1/auth/logout").await.refused("session_required");
    client.get("/v1/me/sessions").await.refused("session_required");
    client.delete("/v1/me/sessions").await.refused("session_required");
    client.post("/v1/auth/switch", &json!({ "organization": acme.id() })).await.refused("session_required");
    let body = json!({ "current_password": "some old secret", "new_password": "another secret 47" });
    client.post("/v1/me/password", &body).await.refused("session_required");
    let id = client.get("/v1/me/identities").await.ok()["items"][0]["id"].as_str().unwrap().to_owned();
    client.delete(&format!("/v1/me/identities/{id}")).await.refused("session_required");
    let account = client.get("/v1/me").await.ok()["account_id"].as_str().unwrap().to_owned();
    let change = json!({ "kind": "email_change", "email": "moved@people.example" });
    let link = app.operator().post(&format!("{}/links", acme.member(&account)), &change).await.created();
    let body = json!({ "token": link["token"] });
    client.post("/v1/me/email/confirm", &body).await.refused("session_required");
    // What asks for a recent sign-in takes `auth_time`.
    let keys = format!("{}/keys", acme.path());
    let key = json!({ "name": "report", "permissions": ["organizations:read"] });
    client.post(&keys, &key).await.refused("reauthentication_required");
    claims["auth_time"] = claims["iat"].clone();
    let recent = app.client().with_token(&provider.sign(&claims));
    recent.post(&keys, &key).await.created();
}

#[tokio::test]
async fn foreign_owner_makes_owners_after_a_recent_sign_in() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    let (client, mut claims) = member(&app, &provider, &acme, "ada", "owner").await;
    let invitations = format!("{}/invitations", acme.path());
    let offer = json!({ "email": "new@people.example", "role": "owner" });
    client.post(&invitations, &offer).await.refused("reauthentication_required");
    let change = json!({ "role": "admin" });
    client.patch(&acme.member(acme.owner_id()), &change).await.refused("reauthentication_required");
    claims["auth_time"] = claims["iat"].clone();
    let recent = app.client().with_token(&provider.sign(&claims));
    recent.post(&invitations, &offer).await.created();
    recent.patch(&acme.member(acme.owner_id()), &change).await.ok();
}

#[tokio::test]
async fn forged_or_foreign_token_is_refused() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    let (client, good) = member(&app, &provider, &acme, "ada", "viewer").await;
    client.get(&acme.path()).await.ok();
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let now = app.clock.milliseconds() / 1000;
    let mut tokens = vec![
        provider.sign(&with("iss", json!("https://login.example.com"))),
        provider.sign(&with("aud", json!("https://other.example.com"))),
        provider.sign(&with("aud", json!(["https://other.example.com"]))),
        provider.sign(&with("sub", json!(""))),
        provider.sign(&with("sub", json!(7))),
        provider.sign(&with("exp", json!(now + 100 * 24 * 3600))),
        provider.sign(&with("exp", json!("soon"))),
        provider.sign(&with("exp", Value::Null)),
        provider.sign(&with("iat", Value::Null)),
        provider.sign(&with("iat", json!(now + 600))),
        provider.sign(&with("nbf", json!(now + 600))),
        // Bound to a key, and a program's own.
        provider.sign(&with("cnf", json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }))),
        provider.sign(&with("client_id", good["sub"].clone())),
        provider.sign(&with("azp", good["sub"].clone())),
        // Keys that are not the provider's.
        ProviderKey::new("first").sign(&provider.key.header(), &good),
        ProviderKey::new("second").sign(&ProviderKey::new("second").header(), &good),
    ];
    // An ID token, and tokens whose header brings a key or says what it must not. Where it names an address, the
    // provider's own keys are there: who called would be answered.
    let named = JwksServer::start(Behavior::Serves(key_set(&[&provider.key]))).await;
    let header = |edit: &dyn Fn(&mut Header)| {
        let mut header = provider.key.header();
        edit(&mut header);
        header
    };
    for header in [
        header(&|header| header.typ = Some("JWT".into())),
        header(&|header| header.typ = None),
        header(&|header| header.jku = Some(named.url())),
        header(&|header| header.x5u = Some(named.url())),
        header(&|header| header.x5c = Some(vec!["MIIB".into()])),
        header(&|header| header.crit = Some(vec!["exp".into()])),
        header(&|header| header.kid = Some("../../../etc/passwd".into())),
        header(&|header| header.kid = Some("k".repeat(300))),
    ] {
        tokens.push(provider.key.sign(&header, &good));
    }
    let mut header = provider.key.header();
    header.jwk = serde_json::from_value(provider.key.jwk()).unwrap();
    tokens.push(provider.key.sign(&header, &good));
    // The public key as a shared secret, and no algorithm at all.
    for algorithm in [Algorithm::HS256, Algorithm::HS512] {
        let header = Header { alg: algorithm, ..provider.key.header() };
        for secret in [provider.key.public().to_vec(), provider.key.jwk().to_string().into_bytes()] {
            tokens.push(jsonwebtoken::encode(&header, &good, &EncodingKey::from_secret(&secret)).unwrap());
        }
    }
    for none in ["none", "None", "NONE", "nOnE"] {
        let parts = [json!({ "alg": none, "typ": "at+jwt", "kid": "first" }), good.clone()];
        let parts = parts.map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        tokens.push(format!("{}.{}.", parts[0], parts[1]));
    }
    let whole = provider.sign(&good);
    for at in 0..whole.len() {
        let mut bytes = whole.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        // The last digit of a signature has bits that do not count.
        if at + 1 < whole.len() {
            tokens.push(String::from_utf8(bytes).unwrap());
        }
    }
    for token in tokens {
        let answer = app.client().with_token(&token).get(&acme.path()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.outcome().as_str()),
            (401, "token_invalid"),
            "{token}: {answer}"
        );
    }
    assert_eq!(named.calls(), 0, "a header had an address called: {:?}", named.heads());
    // Larger than any that is read.
    let large = provider.sign(&with("groups", json!("g".repeat(20_000))));
    app.client().with_token(&large).get(&acme.path()).await.refused("headers_too_large");
    acme.owner.post("/v1/me/identities", &json!({ "token": large })).await.refused("invalid_input");
    app.clock.advance(Duration::from_secs(3601));
    client.get(&acme.path()).await.refused("token_expired");
}

/// A token of our own, signed with our secret, whose header names an address: refused, and nobody is called there.
#[tokio::test]
async fn own_token_that_names_address_of_keys_calls_nobody() {
    const OWN_SECRET: &str = "a secret of 32 bytes for this one test";
    let provider = Provider::new();
    let server = JwksServer::start(Behavior::Serves(key_set(&[&provider.key]))).await;
    let setup = Setup::unlimited().with(&format!("--jwt-secret={OWN_SECRET}")).with("--jwt-algorithm=HS256");
    let app = setup.start().await;
    let acme = organization(&app, "Acme").await;
    let claims = claims(acme.tokens["access_token"].as_str().unwrap());
    let signed = |edit: &dyn Fn(&mut Header)| {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some("at+jwt".into());
        edit(&mut header);
        let key = EncodingKey::from_secret(OWN_SECRET.as_bytes());
        app.client().with_token(&jsonwebtoken::encode(&header, &claims, &key).unwrap())
    };
    signed(&|_| {}).get(&acme.path()).await.ok();
    for client in [
        signed(&|header| header.jku = Some(server.url())),
        signed(&|header| header.x5u = Some(server.url())),
        signed(&|header| header.kid = Some(server.url())),
        signed(&|header| header.jwk = serde_json::from_value(provider.key.jwk()).unwrap()),
    ] {
        client.get(&acme.path()).await.refused("token_invalid");
    }
    assert_eq!(server.calls(), 0, "{:?}", server.heads());
}

#[tokio::test]
async fn trusted_issuer_speaks_for_its_organizations_alone() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({ "organization_claim": "org_id" })).await;
    let globex = organization(&app, "Globex").await;
    let claims = |id: &str| {
        let mut claims = provider.claims(&app, "ada");
        claims["org_id"] = id.into();
        provider.sign(&claims)
    };
    let invitation = invite(&globex, "ada@people.example", "viewer").await;
    let body = json!({ "token": invitation });
    let of_acme = app.client().with_token(&claims(acme.id()));
    of_acme.post("/v1/invitations/accept", &body).await.refused("invitation_for_another");
    for id in [globex.id(), "650000000000000000000000", "acme", ""] {
        let client = app.client().with_token(&claims(id));
        client.post("/v1/invitations/accept", &body).await.refused("token_invalid");
    }
    let invitation = invite(&acme, "ada@people.example", "viewer").await;
    of_acme.post("/v1/invitations/accept", &json!({ "token": invitation })).await.ok();
    of_acme.get(&acme.path()).await.ok();
    of_acme.get(&globex.path()).await.refused("organization_not_found");
    app.client().with_token(&provider.token(&app, "ada")).get(&acme.path()).await.refused("token_invalid");
}

/// An address links only where the settings say so, the issuer says that it is verified, and once.
#[tokio::test]
async fn address_links_only_with_authority() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({ "email_domains": ["acme.example"] })).await;
    let with_email = |subject: &str, email: &str, verified: Value| {
        let mut claims = provider.claims(&app, subject);
        claims["email"] = email.into();
        claims["email_verified"] = verified;
        app.client().with_token(&provider.sign(&claims))
    };
    for (email, verified) in [
        (acme.email(), json!(false)),
        (acme.email(), json!("true")),
        (acme.email(), json!(1)),
        ("owner@acme.example.org", json!(true)),
        ("nobody@acme.example", json!(true)),
    ] {
        with_email("boss", email, verified).get(&acme.path()).await.refused("token_invalid");
    }
    prove_address(&app, &acme).await;
    with_email("boss", acme.email(), json!(true)).get(&acme.path()).await.ok();
    // From then on by issuer and subject, whatever the address.
    app.client().with_token(&provider.token(&app, "boss")).get(&acme.path()).await.ok();
    with_email("successor", acme.email(), json!(true)).get(&acme.path()).await.refused("token_invalid");
    let identities = acme.owner.get("/v1/me/identities").await.ok();
    let identity = &identities["items"][0];
    assert_eq!((&identity["issuer"], &identity["origin"]), (&json!(ISSUER), &json!("address")));
    acme.owner.delete(&format!("/v1/me/identities/{}", identity["id"].as_str().unwrap())).await.done();
    app.client().with_token(&provider.token(&app, "boss")).get(&acme.path()).await.refused("token_invalid");
}

#[tokio::test]
async fn account_links_its_own_identity_once() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    let body = json!({ "token": provider.token(&app, "boss") });
    let linked = acme.owner.post("/v1/me/identities", &body).await.ok();
    assert_eq!((&linked["subject"], &linked["origin"]), (&json!("boss"), &json!("account")));
    assert_eq!(acme.owner.post("/v1/me/identities", &body).await.ok(), linked);
    app.client().with_token(&provider.token(&app, "boss")).get(&acme.path()).await.ok();
    // Another account does not get it.
    let globex = organization(&app, "Globex").await;
    globex.owner.post("/v1/me/identities", &body).await.refused("identity_taken");
    acme.owner.post("/v1/me/identities", &json!({ "token": "x" })).await.refused("invalid_input");
    globex
        .owner
        .delete(&format!("/v1/me/identities/{}", linked["id"].as_str().unwrap()))
        .await
        .refused("identity_not_found");
}

#[tokio::test]
async fn foreign_token_ends_with_membership_and_restore() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    let operator = app.operator();
    let (client, claims) = member(&app, &provider, &acme, "ada", "member").await;
    let account = client.get("/v1/me").await.ok()["account_id"].as_str().unwrap().to_owned();
    app.clock.advance(Duration::from_secs(60));
    // Lowered at once.
    acme.owner.patch(&acme.member(&account), &json!({ "role": "viewer" })).await.ok();
    client.post(&acme.documents(), &json!({ "a": 1 })).await.refused("role_insufficient");
    operator.post_empty(&format!("{}/suspend", acme.path())).await.ok();
    client.get(&acme.path()).await.refused("token_revoked");
    operator.post_empty(&format!("{}/reactivate", acme.path())).await.ok();
    client.get(&acme.path()).await.refused("token_revoked");
    let fresh = app.client().with_token(&provider.token(&app, "ada"));
    fresh.get(&acme.path()).await.ok();
    assert_ne!(provider.claims(&app, "ada"), claims);
    operator.delete(&acme.member(&account)).await.done();
    fresh.get(&acme.path()).await.refused("token_revoked");
}

/// What the provider's file says changes, and so do the keys.
#[tokio::test]
async fn retired_issuer_or_key_ends_its_tokens() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    let (client, claims) = member(&app, &provider, &acme, "ada", "viewer").await;
    let second = ProviderKey::new("second");
    provider.publish(&[&second]);
    // The unknown key has the file read again; then the first one is gone.
    let rotated = second.sign(&second.header(), &claims);
    app.client().with_token(&rotated).get(&acme.path()).await.ok();
    client.get(&acme.path()).await.refused("token_invalid");
    let mut entry = provider.entry(acme.id());
    entry["issuer"] = "https://another.example.com/".into();
    provider.configure(&entry);
    let app = app.restart().await;
    app.client().with_token(&rotated).get(&acme.path()).await.refused("token_invalid");
}

#[tokio::test]
async fn audit_trail_names_account_and_issuer() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    member(&app, &provider, &acme, "ada", "viewer").await;
    app.maintain().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let trail = acme.owner.get(&format!("{}/audit?limit=200", acme.path())).await.ok();
    let events = trail["items"].as_array().unwrap();
    for action in ["identity.linked", "member.added"] {
        let event = events
            .iter()
            .find(|event| event["action"] == action)
            .unwrap_or_else(|| panic!("{action}: {trail}"));
        assert_eq!(event["details"]["issuer"], ISSUER, "{event}");
        assert_eq!(event["actor"]["type"], "account", "{event}");
    }
}
