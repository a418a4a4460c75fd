//! Access tokens: what they say, how long they are valid, and who can verify them.

use super::part;
use crate::support::app::{App, Setup};
use crate::support::fixtures::{organization, sign_in};
use crate::support::redaction::redact;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::Duration;

fn encode(part: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(part.to_string())
}

#[tokio::test]
async fn access_token_names_account_organization_and_lifetime() {
    let setup = Setup::unlimited().with("--jwt-issuer=https://id.example").with("--jwt-audience=api");
    let app = setup.with("--jwt-algorithm=HS256").start().await;
    let acme = organization(&app, "Acme").await;
    let token = &acme.tokens["access_token"];
    assert_eq!(part(token, 0), json!({ "typ": "at+jwt", "alg": "HS256" }));
    let claims = part(token, 1);
    assert_eq!(claims["sub"], acme.body["admin_id"]);
    assert_eq!(claims["admin_id"], acme.body["admin_id"]);
    assert_eq!(claims["org_id"], acme.body["id"]);
    assert_ne!(claims["jti"], part(&sign_in(&app, acme.email()).await["access_token"], 1)["jti"]);
    let shown = redact(
        &claims,
        &[
            ("/sub", "[id]"),
            ("/admin_id", "[id]"),
            ("/org_id", "[id]"),
            ("/sid", "[id]"),
            ("/jti", "[random]"),
        ],
    );
    insta::assert_json_snapshot!(shown, @r#"
    {
      "admin_id": "[id]",
      "aud": "api",
      "auth_time": 1800000000,
      "client_id": "tenantry",
      "email": "owner@acme.example",
      "exp": 1800003600,
      "iat": 1800000000,
      "iss": "https://id.example",
      "jti": "[random]",
      "org_id": "[id]",
      "role": "owner",
      "sid": "[id]",
      "sub": "[id]"
    }
    "#);
}

#[tokio::test]
async fn access_token_expires_on_time_and_within_its_session() {
    for (flags, lifetime) in [
        (&["--jwt-exp-seconds=60"][..], 60),
        (&["--jwt-exp-seconds=7200"], 7200),
        (&["--refresh-idle-lifetime=90", "--refresh-absolute-lifetime=90"], 90),
    ] {
        let setup = flags.iter().fold(Setup::unlimited(), |setup, flag| setup.with(flag));
        let app = setup.start().await;
        let acme = organization(&app, "Acme").await;
        assert_eq!(acme.tokens["expires_in"], lifetime);
        app.clock.advance(Duration::from_secs(lifetime - 1));
        acme.owner.get(&acme.path()).await.ok();
        app.clock.advance(Duration::from_secs(1));
        let answer = acme.owner.get(&acme.path()).await;
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{answer}");
        answer.refused("token_expired");
    }
}

#[tokio::test]
async fn access_token_of_others_is_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let other = organization(&app, "Other").await;
    let token = acme.tokens["access_token"].as_str().unwrap();
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let mut elevated = part(&acme.tokens["access_token"], 1);
    elevated["org_id"] = other.body["id"].clone();
    let unsigned = encode(&json!({ "typ": "at+jwt", "alg": "none" }));
    let longer = format!("{token}{}", "A".repeat(10_000));
    let forged = [
        format!("{header}.{}.{signature}", encode(&elevated)),
        format!("{unsigned}.{claims}."),
        format!("{unsigned}.{claims}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{}", &signature[1..]),
        longer,
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        acme.tokens["refresh_token"].as_str().unwrap().to_owned(),
    ];
    for token in &forged {
        let client = app.client().with_token(token);
        client.get(&acme.path()).await.refused("token_invalid");
        client.delete(&other.path()).await.refused("token_invalid");
    }
    for (scheme, outcome) in [
        ("", "token_missing"),
        ("Bearer", "token_missing"),
        ("Basic b3duZXI6cGFzc3dvcmQ=", "token_missing"),
        (token, "token_missing"),
        ("Bearer ", "token_missing"),
    ] {
        let client = app.client().with_header("authorization", scheme);
        client.get(&acme.path()).await.refused(outcome);
    }
    app.client().with_header("authorization", &format!("bearer  {token}")).get(&acme.path()).await.ok();
}

#[tokio::test]
async fn access_token_is_verifiable_with_published_key_alone() {
    let app = Setup::unlimited().with("--jwt-algorithm=EdDSA").start().await;
    let acme = organization(&app, "Acme").await;
    let answer = app.client().get("/.well-known/jwks.json").await;
    assert_eq!(answer.header("content-type"), "application/jwk-set+json");
    let keys = answer.ok();
    // The other one signs later.
    let [key, _] = keys["keys"].as_array().unwrap().as_slice() else { panic!("{keys}") };
    assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA")));
    assert!(key.get("d").is_none(), "the private key is published");

    let token = acme.tokens["access_token"].as_str().unwrap();
    assert_eq!(
        part(&acme.tokens["access_token"], 0),
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": key["kid"] })
    );
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = BASE64_URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
    let public = UnparsedPublicKey::new(&ED25519, &public);
    public.verify(message.as_bytes(), &signature).unwrap();
    public.verify(format!("{message}x").as_bytes(), &signature).unwrap_err();

    // The key is kept, so that a token outlives a restart.
    let app = app.restart().await;
    app.client().with_token(token).get(&acme.path()).await.ok();
    assert_eq!(app.client().get("/.well-known/jwks.json").await.ok(), keys);
}

#[tokio::test]
async fn shared_secret_is_not_published() {
    let app = Setup::unlimited().with("--jwt-algorithm=HS256").start().await;
    assert_eq!(app.client().get("/.well-known/jwks.json").await.ok(), json!({ "keys": [] }));
}
