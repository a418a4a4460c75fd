//! Links that must not outlive what they rest on: an account that somebody else made with the address of its person, and an
//! invitation that is not accepted after all.

use super::{Provider, invite, member};
use crate::support::app::App;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{Organization, PASSWORD, credentials, organization, prove_address};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NEW: &str = "another secret 47";

/// The client of a person for whose address the provider vouches.
fn vouched(app: &App, provider: &Provider, subject: &str, email: &str) -> Client {
    let mut claims = provider.claims(app, subject);
    claims["email"] = email.into();
    claims["email_verified"] = true.into();
    app.client().with_token(&provider.sign(&claims))
}

async fn link_own(acme: &Organization, token: &str) {
    post_when_settled(&acme.owner, "/v1/me/identities", &json!({ "token": token })).await.ok();
}

/// Sends it until the person's last link is gone altogether: it stays for a moment until the audit trail has its events.
async fn post_when_settled(client: &Client, path: &str, body: &Value) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = client.post(path, body).await;
        if !answer.is_refused("operation_in_progress") || Instant::now() > deadline {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn subjects(client: &Client) -> Vec<Value> {
    let list = client.get("/v1/me/identities").await.ok();
    list["items"].as_array().unwrap().iter().map(|identity| identity["subject"].clone()).collect()
}

async fn prove_with_password(app: &App, acme: &Organization) {
    let path = format!("{}/links", acme.member(acme.owner_id()));
    let link = app.operator().post(&path, &json!({ "kind": "email_verification" })).await.created();
    let body = json!({ "token": link["token"], "new_password": NEW });
    app.client().post("/v1/auth/verify-email", &body).await.done();
}

/// An address that nobody has proven may be somebody else's: the one who comes with the provider's word gets the account
/// alone.
#[tokio::test]
async fn link_by_address_ends_password_and_sessions() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({ "email_domains": ["acme.example"] })).await;
    acme.owner.get("/v1/me").await.ok();
    let boss = vouched(&app, &provider, "boss", acme.email());
    assert!(boss.get("/v1/me").await.ok()["email_verified_at"].is_string());
    acme.owner.get("/v1/me").await.refused("token_revoked");
    let refresh = json!({ "refresh_token": acme.tokens["refresh_token"] });
    app.client().post("/v1/auth/refresh", &refresh).await.refused("refresh_token_invalid");
    let former = credentials(acme.email(), PASSWORD);
    app.client().post("/admin/login", &former).await.refused("invalid_credentials");
    assert_eq!(subjects(&boss).await, ["boss"]);
}

/// A provider that gives an address to several persons at once gives the account to one of them at most.
#[tokio::test]
async fn address_links_one_person_of_many_at_once() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({ "email_domains": ["acme.example"] })).await;
    prove_address(&app, &acme).await;
    let persons: Vec<_> =
        (0..8).map(|n| vouched(&app, &provider, &format!("boss-{n}"), acme.email())).collect();
    let path = acme.path();
    let answers = join_all(persons.iter().map(|person| person.get(&path))).await;
    let are_in = answers.iter().filter(|answer| answer.status.is_success()).count();
    let linked = subjects(&acme.owner).await.len();
    assert!(are_in <= 1 && are_in <= linked && linked <= 1, "{are_in} are in, {linked} are linked");
    let (mut opened, deadline) = (linked, Instant::now() + Duration::from_secs(20));
    while opened == 0 && Instant::now() < deadline {
        // Links that were undone stay for a moment until the audit trail has their events.
        opened += usize::from(persons[0].get(&path).await.status.is_success());
    }
    assert_eq!((opened, subjects(&acme.owner).await.len()), (1, 1));
}

/// With a proven address, the account stays as it is.
#[tokio::test]
async fn link_by_proven_address_ends_nothing() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({ "email_domains": ["acme.example"] })).await;
    prove_address(&app, &acme).await;
    vouched(&app, &provider, "boss", acme.email()).get(&acme.path()).await.ok();
    acme.owner.get("/v1/me").await.ok();
    app.client().post("/admin/login", &credentials(acme.email(), PASSWORD)).await.ok();
}

/// Who made an account with another person's address keeps no link to it once that person proves the address.
#[tokio::test]
async fn proof_without_a_session_voids_links() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({ "email_domains": ["acme.example"] })).await;
    let squatter = provider.token(&app, "squatter");
    link_own(&acme, &squatter).await;
    let squatting = app.client().with_token(&squatter);
    squatting.get(&acme.path()).await.ok();
    // An account of the same provider's is not given to another one of its persons by itself.
    let boss = vouched(&app, &provider, "boss", acme.email());
    boss.get(&acme.path()).await.refused("token_invalid");
    prove_with_password(&app, &acme).await;
    squatting.get(&acme.path()).await.refused("token_invalid");
    boss.get(&acme.path()).await.ok();
    assert_eq!(subjects(&boss).await, ["boss"]);
    squatting.get(&acme.path()).await.refused("token_invalid");
    // The person of the void link is free for another account.
    let globex = organization(&app, "Globex").await;
    link_own(&globex, &squatter).await;
    assert_eq!(subjects(&globex.owner).await, ["squatter"]);
}

/// Void links make room for others, however many a squatter made.
#[tokio::test]
async fn void_links_make_room() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({ "email_domains": ["acme.example"] })).await;
    for number in 0..20 {
        link_own(&acme, &provider.token(&app, &format!("squatter-{number}"))).await;
    }
    let body = json!({ "token": provider.token(&app, "one-more") });
    acme.owner.post("/v1/me/identities", &body).await.refused("too_many_identities");
    prove_with_password(&app, &acme).await;
    let boss = vouched(&app, &provider, "boss", acme.email());
    boss.get(&acme.path()).await.ok();
    assert_eq!(subjects(&boss).await, ["boss"]);
}

/// A link stays with its account when the person proves the address in a session, or only changes the password.
#[tokio::test]
async fn proof_in_a_session_keeps_links() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    let token = provider.token(&app, "boss");
    link_own(&acme, &token).await;
    prove_address(&app, &acme).await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW });
    acme.owner.post("/v1/me/password", &body).await.done();
    app.client().with_token(&token).get(&acme.path()).await.ok();
}

/// A person who is linked with the account is signed in to it, and proves its address as such.
#[tokio::test]
async fn linked_person_proves_the_address_by_a_link() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    let (ada, _) = member(&app, &provider, &acme, "ada", "viewer").await;
    let account = ada.get("/v1/me").await.ok()["account_id"].as_str().unwrap().to_owned();
    let path = format!("{}/links", acme.member(&account));
    let link = app.operator().post(&path, &json!({ "kind": "email_verification" })).await.created();
    ada.post("/v1/auth/verify-email", &json!({ "token": link["token"] })).await.done();
    assert!(ada.get("/v1/me").await.ok()["email_verified_at"].is_string());
    assert_eq!(subjects(&ada).await, ["ada"]);
}

/// Nobody joins an organization that is suspended, and nothing is left of the attempt.
#[tokio::test]
async fn link_is_undone_when_the_join_fails() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    let operator = app.operator();
    let body = json!({ "token": invite(&acme, "ada@people.example", "viewer").await });
    operator.post_empty(&format!("{}/suspend", acme.path())).await.ok();
    let ada = || app.client().with_token(&provider.token(&app, "ada"));
    ada().post("/v1/invitations/accept", &body).await.refused("organization_suspended");
    operator.post_empty(&format!("{}/reactivate", acme.path())).await.ok();
    ada().get("/v1/me").await.refused("token_invalid");
    // A link without an account would have this refused for a minute, by a clock that stands still.
    post_when_settled(&ada(), "/v1/invitations/accept", &body).await.ok();
    assert_eq!(subjects(&ada()).await, ["ada"]);
}

/// As without a provider, an invitation by which nobody can join does not tell whether the address has an account.
#[tokio::test]
async fn unusable_invitation_tells_a_foreign_caller_nothing() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    let globex = organization(&app, "Globex").await;
    let roles = format!("{}/roles", acme.path());
    let role = json!({ "name": "special", "permissions": ["documents:read"] });
    acme.owner.post(&roles, &role).await.created();
    let known = invite(&acme, globex.email(), "special").await;
    let unknown = invite(&acme, "ada@people.example", "special").await;
    let ada = app.client().with_token(&provider.token(&app, "ada"));
    ada.post("/v1/invitations/accept", &json!({ "token": known })).await.refused("account_exists");
    acme.owner.delete(&format!("{roles}/special")).await.done();
    for token in [known, unknown] {
        let body = json!({ "token": token });
        ada.post("/v1/invitations/accept", &body).await.refused("invitation_invalid");
    }
}

/// A link that was there before stays.
#[tokio::test]
async fn earlier_link_survives_a_join_that_fails() {
    let provider = Provider::new();
    let (app, acme) = provider
        .service(json!({
            "organizations": null, "organization_claim": "org_id", "email_domains": ["people.example"],
        }))
        .await;
    let globex = organization(&app, "Globex").await;
    let ada = |organization: &Organization| {
        let mut claims = provider.claims(&app, "ada");
        claims["org_id"] = organization.id().into();
        claims["email"] = "ada@people.example".into();
        claims["email_verified"] = true.into();
        app.client().with_token(&provider.sign(&claims))
    };
    let body = json!({ "token": invite(&acme, "ada@people.example", "viewer").await });
    ada(&acme).post("/v1/invitations/accept", &body).await.ok();
    assert!(ada(&acme).get("/v1/me").await.ok()["email_verified_at"].is_string());
    let body = json!({ "token": invite(&globex, "ada@people.example", "viewer").await });
    app.operator().post_empty(&format!("{}/suspend", globex.path())).await.ok();
    ada(&globex).post("/v1/invitations/accept", &body).await.refused("organization_suspended");
    assert_eq!(subjects(&ada(&acme)).await, ["ada"]);
    app.operator().post_empty(&format!("{}/reactivate", globex.path())).await.ok();
    ada(&globex).post("/v1/invitations/accept", &body).await.ok();
    ada(&globex).get(&globex.path()).await.ok();
}

/// An invitation that somebody was shown proves no address, whoever's token comes with it.
#[tokio::test]
async fn unproven_address_joins_no_second_organization() {
    let provider = Provider::new();
    let (app, acme) =
        provider.service(json!({ "organizations": null, "organization_claim": "org_id" })).await;
    let globex = organization(&app, "Globex").await;
    let ada = |organization: &Organization| {
        app.client().with_token(&provider.token_for(&app, "ada", organization.id()))
    };
    let body = json!({ "token": invite(&acme, "ada@people.example", "viewer").await });
    ada(&acme).post("/v1/invitations/accept", &body).await.ok();
    assert_eq!(ada(&acme).get("/v1/me").await.ok()["email_verified_at"], Value::Null);
    let body = json!({ "token": invite(&globex, "ada@people.example", "viewer").await });
    ada(&globex).post("/v1/invitations/accept", &body).await.refused("email_not_verified");
    ada(&acme).get(&acme.path()).await.ok();
}
