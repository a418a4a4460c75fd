//! What tokens say: for whom, when, and about which organization.

use super::{Provider, invite, member};
use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{Organization, PASSWORD, again, organization, prove_address};
use crate::support::identity_provider::{AUDIENCE, ISSUER};
use serde_json::{Value, json};
use std::time::Duration;

/// The claims of Ada with one of them changed, or taken out.
fn changed(provider: &Provider, app: &App, name: &str, value: Value) -> Client {
    let mut claims = provider.claims(app, "ada");
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    app.client().with_token(&provider.sign(&claims))
}

#[tokio::test]
async fn token_needs_its_times_and_audience() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    member(&app, &provider, &acme, "ada", "viewer").await;
    let now = app.clock.milliseconds() / 1000;
    let with = |name, value| changed(&provider, &app, name, value);
    for (name, value) in [
        ("aud", json!([AUDIENCE])),
        ("aud", json!(["https://other.example.com", AUDIENCE])),
        ("iat", json!(now + 60)),
        ("nbf", json!(now + 60)),
        ("exp", json!(now + 1)),
        ("exp", json!(now as f64 + 1.5)),
        ("client_id", json!("web")),
    ] {
        with(name, value.clone()).get(&acme.path()).await.ok();
    }
    for (name, value, code) in [
        ("aud", Value::Null, "token_invalid"),
        ("aud", json!([]), "token_invalid"),
        ("aud", json!([[AUDIENCE]]), "token_invalid"),
        ("aud", json!({ AUDIENCE: true }), "token_invalid"),
        ("aud", json!(AUDIENCE.to_uppercase()), "token_invalid"),
        ("aud", json!(vec![AUDIENCE; 33]), "token_invalid"),
        ("exp", Value::Null, "token_invalid"),
        ("iat", Value::Null, "token_invalid"),
        ("sub", Value::Null, "token_invalid"),
        ("iss", Value::Null, "token_invalid"),
        ("iat", json!(now + 61), "token_invalid"),
        ("nbf", json!(now + 61), "token_invalid"),
        ("exp", json!(now), "token_expired"),
        ("exp", json!(now - 1), "token_expired"),
        ("exp", json!(-1), "token_invalid"),
        ("exp", json!(1e300), "token_invalid"),
        ("sub", json!("s".repeat(256)), "token_invalid"),
        ("sub", json!("ada\u{0}"), "token_invalid"),
    ] {
        let answer = with(name, value.clone()).get(&acme.path()).await;
        assert!(answer.is_refused(code), "{name} {value}: {answer}");
    }
}

/// Providers write organizations as objects and lists, too: what is no text means none.
#[tokio::test]
async fn organization_claim_that_is_no_text_is_refused() {
    let provider = Provider::new();
    let more = json!({ "organizations": null, "organization_claim": "organization" });
    let (app, acme) = provider.service(more).await;
    let invitation = json!({ "token": invite(&acme, "ada@people.example", "viewer").await });
    let id = acme.id();
    for value in [
        json!([id]),
        json!({ "id": id }),
        json!({ id: {} }),
        json!(true),
        json!(7),
        json!(format!(" {id}")),
        json!(format!("{id}\u{0}")),
        Value::Null,
    ] {
        let ada = changed(&provider, &app, "organization", value.clone());
        let answer = ada.post("/v1/invitations/accept", &invitation).await;
        assert!(answer.is_refused("token_invalid"), "{value}: {answer}");
    }
    let ada = changed(&provider, &app, "organization", json!(id));
    ada.post("/v1/invitations/accept", &invitation).await.ok();
    ada.get(&acme.path()).await.ok();
}

/// Tenants of one provider often share its keys: the issuer, not the key, says for whom a token speaks.
#[tokio::test]
async fn issuers_with_one_key_speak_for_their_own_organizations() {
    let provider = Provider::new();
    let app = Setup::unlimited().with(&provider.flag()).start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let mut other = provider.entry(globex.id());
    other["issuer"] = "https://other.example.com/".into();
    // The same issuer once more, for other tokens.
    let mut more = provider.entry(globex.id());
    more["audience"] = "https://more.example.com".into();
    provider.configure_all(&[provider.entry(acme.id()), other, more]);
    let app = app.restart().await;
    let renewed = |organization: &Organization| again(&app, &organization.owner);
    let of_issuer = |issuer: &str, audience: Value| {
        let mut claims = provider.claims(&app, "boss");
        claims["iss"] = issuer.into();
        claims["aud"] = audience;
        provider.sign(&claims)
    };
    let of_acme = of_issuer(ISSUER, json!(AUDIENCE));
    let of_globex = of_issuer("https://other.example.com/", json!(AUDIENCE));
    renewed(&acme).post("/v1/me/identities", &json!({ "token": of_acme })).await.ok();
    let client = |token: &str| app.client().with_token(token);
    client(&of_acme).get(&acme.path()).await.ok();
    client(&of_acme).get(&globex.path()).await.refused("organization_not_found");
    // The same subject at another issuer is another person.
    client(&of_globex).get(&globex.path()).await.refused("token_invalid");
    renewed(&globex).post("/v1/me/identities", &json!({ "token": of_globex })).await.ok();
    client(&of_globex).get(&globex.path()).await.ok();
    client(&of_globex).get(&acme.path()).await.refused("organization_not_found");
    // By its other audience, the first issuer speaks for Globex, where this account is nobody.
    let by_audience = of_issuer(ISSUER, json!("https://more.example.com"));
    client(&by_audience).get(&acme.path()).await.refused("token_revoked");
    // For both audiences it is for the first entry.
    let both = of_issuer(ISSUER, json!(["https://more.example.com", AUDIENCE]));
    client(&both).get(&acme.path()).await.ok();
}

/// An entry that the claims do not fit leaves the token to the next one of the same issuer.
#[tokio::test]
async fn token_for_two_audiences_finds_the_entry_that_fits() {
    let provider = Provider::new();
    let app = Setup::unlimited().with(&provider.flag()).start().await;
    let acme = organization(&app, "Acme").await;
    let mut first = provider.entry_of_any_organization();
    first["audience"] = "https://more.example.com".into();
    first["organization_claim"] = "tenant".into();
    provider.configure_all(&[first, provider.entry(acme.id())]);
    let app = app.restart().await;
    let mut claims = provider.claims(&app, "boss");
    claims["aud"] = json!(["https://more.example.com", AUDIENCE]);
    let token = provider.sign(&claims);
    again(&app, &acme.owner).post("/v1/me/identities", &json!({ "token": token })).await.ok();
    app.client().with_token(&token).get(&acme.path()).await.ok();
}

/// Who runs the provider of one customer learns and changes nothing of another customer.
#[tokio::test]
async fn foreign_token_reaches_its_organization_alone() {
    let provider = Provider::new();
    let (app, acme) = provider.service(json!({})).await;
    let globex = organization(&app, "Globex").await;
    let invitation = json!({ "token": invite(&globex, acme.email(), "admin").await });
    prove_address(&app, &acme).await;
    acme.owner.post("/v1/invitations/accept", &invitation).await.ok();
    let mut claims = provider.claims(&app, "boss");
    claims["auth_time"] = claims["iat"].clone();
    let token = provider.sign(&claims);
    acme.owner.post("/v1/me/identities", &json!({ "token": token })).await.ok();
    app.clock.advance(Duration::from_secs(1));
    let boss = app.client().with_token(&token);
    let names = |me: &Value| {
        let items = me["memberships"]["items"].as_array().unwrap();
        items.iter().map(|item| item["organization_name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&acme.owner.get("/v1/me").await.ok()).len(), 2);
    let me = boss.get("/v1/me?limit=1").await.ok();
    assert_eq!((names(&me), &me["memberships"]["next_cursor"]), (vec![json!("Acme")], &Value::Null));
    boss.get(&globex.path()).await.refused("organization_not_found");
    boss.delete("/v1/me").await.refused("session_required");
    let change = json!({ "email": "new@boss.example", "current_password": PASSWORD });
    boss.post("/v1/me/email", &change).await.refused("session_required");
    boss.post_empty("/v1/me/email/verification").await.refused("session_required");
    boss.get("/v1/me/links").await.refused("session_required");
    boss.delete("/v1/me/links/email_change").await.refused("session_required");
    let another = json!({ "organization_name": "Another" });
    boss.post("/v1/organizations", &another).await.refused("session_required");
    // The account leaves the other one: now it is all that the token is for.
    globex.owner.delete(&format!("{}/members/{}", globex.path(), acme.owner_id())).await.done();
    boss.delete("/v1/me").await.refused("last_owner");
}

/// An account lists its links with one provider to that provider's token, and all to itself.
#[tokio::test]
async fn links_with_other_providers_are_not_shown() {
    let provider = Provider::new();
    let app = Setup::unlimited().with(&provider.flag()).start().await;
    let acme = organization(&app, "Acme").await;
    let mut other = provider.entry(acme.id());
    other["issuer"] = "https://other.example.com/".into();
    provider.configure_all(&[provider.entry(acme.id()), other]);
    let app = app.restart().await;
    let owner = again(&app, &acme.owner);
    let token = |issuer: &str| {
        let mut claims = provider.claims(&app, "boss");
        claims["iss"] = issuer.into();
        provider.sign(&claims)
    };
    for issuer in [ISSUER, "https://other.example.com/"] {
        owner.post("/v1/me/identities", &json!({ "token": token(issuer) })).await.ok();
    }
    let count = |list: Value| list["items"].as_array().unwrap().len();
    assert_eq!(count(owner.get("/v1/me/identities").await.ok()), 2);
    let shown = app.client().with_token(&token(ISSUER)).get("/v1/me/identities").await.ok();
    assert_eq!((&shown["items"][0]["issuer"], count(shown.clone())), (&json!(ISSUER), 1));
}
