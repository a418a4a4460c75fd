//! Service keys, and the tokens that they are exchanged for: what they open, what they never do, and when they end.

use super::{DATA, documents};
use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{Organization, new_organization, organization, sign_in, with_access};
use crate::support::keys::{claims, exchange, exchanged, organization_key, service_key, with_key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn service_path(key: &Value) -> String {
    format!("/v1/keys/{}", key["id"].as_str().unwrap())
}

#[tokio::test]
async fn service_key_opens_no_document() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let all = [&DATA[..], &["tokens:issue", "organizations:read", "organizations:write"]].concat();
    let backend = with_key(&app, &service_key(&app, &all).await);
    backend.get(&documents(&acme)).await.refused("members_only");
    backend.post(&documents(&acme), &json!({ "n": 1 })).await.refused("members_only");
    backend.get(&format!("{}/export", acme.path())).await.refused("permission_missing");
    backend
        .post("/v1/keys", &json!({ "name": "x", "permissions": ["documents:read"] }))
        .await
        .refused("operator_only");
}

#[tokio::test]
async fn service_key_acts_on_organizations_as_its_permissions_say() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let writer = with_key(&app, &service_key(&app, &["organizations:read", "organizations:write"]).await);
    let reader = with_key(&app, &service_key(&app, &["organizations:read"]).await);
    let new = new_organization("Initech", "owner@initech.example");
    reader.post("/v1/organizations", &new).await.refused("permission_missing");
    let made = writer.post("/v1/organizations", &new).await.created();
    assert_eq!(reader.get("/v1/organizations").await.ok()["items"].as_array().unwrap().len(), 2);
    let suspend = format!("{}/suspend", acme.path());
    reader.post_empty(&suspend).await.refused("permission_missing");
    writer.post_empty(&suspend).await.ok();
    writer.post_empty(&format!("{}/reactivate", acme.path())).await.ok();
    writer.patch(&acme.path(), &json!({ "legal_hold": true })).await.refused("operator_only");
    writer.delete(&acme.path()).await.ok();
    writer.post_empty(&format!("{}/purge", acme.path())).await.refused("operator_only");
    let other = json!({ "admin_email": "me@else.example" });
    writer.post(&format!("{}/restore", acme.path()), &other).await.refused("operator_only");
    writer.post_empty(&format!("{}/restore", acme.path())).await.ok();
    let log = app.operator().get(&format!("{}/operations", acme.path())).await.ok();
    assert_eq!(log["items"][0]["actor"]["type"], "api_key", "{log}");
    let path = format!("/v1/organizations/{}", made["id"].as_str().unwrap());
    assert_eq!(reader.get(&path).await.ok()["organization_name"], "Initech");
}

#[tokio::test]
async fn service_key_limited_to_organizations_finds_no_other() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let body = json!({
        "name": "x", "organizations": [acme.id()],
        "permissions": ["tokens:issue", "organizations:read", "organizations:write", "documents:read"],
    });
    let key = app.operator().post("/v1/keys", &body).await.created();
    assert_eq!(key["organizations"], json!([acme.id()]));
    let backend = with_key(&app, &key);
    backend.get(&acme.path()).await.ok();
    exchange(&backend, &acme.path(), &["documents:read"]).await.ok();
    for path in [globex.path(), "/v1/organizations/globex".to_owned()] {
        backend.get(&path).await.refused("organization_not_found");
        backend.delete(&path).await.refused("organization_not_found");
        exchange(&backend, &path, &["documents:read"]).await.refused("organization_not_found");
    }
    backend.get("/v1/organizations").await.refused("permission_missing");
}

#[tokio::test]
async fn token_opens_one_organization_and_no_more_than_asked() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let key = service_key(&app, &[&DATA[..], &["tokens:issue"]].concat()).await;
    let backend = with_key(&app, &key);
    let granted = exchange(&backend, &acme.path(), &["documents:read", "documents:write"]).await.ok();
    assert_eq!(granted["scope"], "documents:read documents:write");
    assert_eq!((granted["expires_in"].as_u64(), &granted["organization_id"]), (Some(900), &acme.body["id"]));
    let program = app.client().with_token(granted["access_token"].as_str().unwrap());
    program.post(&documents(&acme), &json!({ "_id": "a" })).await.created();
    program.get(&format!("{}/a", documents(&acme))).await.ok();
    program.get(&documents(&globex)).await.refused("organization_not_found");
    program
        .post(&format!("{}/collections", acme.path()), &json!({ "name": "x" }))
        .await
        .refused("permission_missing");
    // It makes nothing of its own kind, and no key.
    exchange(&program, &acme.path(), &["documents:read"]).await.refused("service_key_required");
    program.get(&format!("{}/keys", acme.path())).await.refused("session_required");
    program.get(&format!("{}/export", acme.path())).await.refused("permission_missing");
    program.post_empty("/v1/auth/logout").await.refused("session_required");
}

#[tokio::test]
async fn token_beyond_its_key_is_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let key = service_key(&app, &["tokens:issue", "documents:read", "organizations:write"]).await;
    let backend = with_key(&app, &key);
    let beyond = "Must be one of documents:read, ";
    for (permission, pointer, begin) in [
        ("documents:write", "/permissions", "This key issues no token with `documents:write`."),
        // No token carries these.
        ("organizations:write", "/permissions/1", beyond),
        ("tokens:issue", "/permissions/1", beyond),
        ("keys:write", "/permissions/1", beyond),
    ] {
        let answer = exchange(&backend, &acme.path(), &["documents:read", permission]).await;
        let problem = answer.refused("invalid_input");
        let error = &problem["errors"][0];
        assert_eq!(error["pointer"], pointer, "{problem}");
        assert!(error["detail"].as_str().unwrap().starts_with(begin), "{problem}");
    }
    let no_issuer = with_key(&app, &service_key(&app, &["documents:read"]).await);
    exchange(&no_issuer, &acme.path(), &["documents:read"]).await.refused("permission_missing");
    acme.owner
        .post(&format!("{}/tokens", acme.path()), &json!({ "permissions": ["documents:read"] }))
        .await
        .refused("service_key_required");
    let long = json!({ "permissions": ["documents:read"], "expires_in": 3601, "subject": "" });
    let problem = backend.post(&format!("{}/tokens", acme.path()), &long).await.refused("invalid_input");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2, "{problem}");
}

#[tokio::test]
async fn exchanged_token_names_the_key_and_never_an_account() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let key = service_key(&app, &["tokens:issue", "documents:read"]).await;
    let body = json!({ "permissions": ["documents:read"], "subject": "user-4711", "expires_in": 60 });
    let answer = with_key(&app, &key).post(&format!("{}/tokens", acme.path()), &body).await.ok();
    let claims = claims(answer["access_token"].as_str().unwrap());
    let named = format!("key:{}", key["id"].as_str().unwrap());
    assert_eq!((&claims["sub"], &claims["act"]["sub"]), (&json!(named), &json!(named)));
    assert_eq!((&claims["subject"], &claims["scope"]), (&json!("user-4711"), &json!("documents:read")));
    assert_eq!((&claims["org_id"], &claims["client_id"]), (&acme.body["id"], &key["id"]));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
    for absent in ["sid", "admin_id", "email", "role", "auth_time"] {
        assert!(claims.get(absent).is_none(), "{claims}");
    }
}

/// What ends a token, beside its own time: one line each.
async fn end(app: &App, acme: &Organization, key: &Value, event: &str) {
    let operator = app.operator();
    match event {
        "revoked" => operator.delete(&service_path(key)).await.done(),
        "rotated" => drop(operator.post_empty(&format!("{}/rotate", service_path(key))).await.ok()),
        "suspended" => drop(operator.post_empty(&format!("{}/suspend", acme.path())).await.ok()),
        "reactivated" => {
            operator.post_empty(&format!("{}/suspend", acme.path())).await.ok();
            operator.post_empty(&format!("{}/reactivate", acme.path())).await.ok();
        }
        "deleted" => drop(operator.delete(&acme.path()).await.ok()),
        "restored" => {
            operator.delete(&acme.path()).await.ok();
            operator.post_empty(&format!("{}/restore", acme.path())).await.ok();
        }
        "expired" => app.clock.advance(HOUR),
        other => unreachable!("{other}"),
    }
}

#[tokio::test]
async fn exchanged_token_ends_with_its_key_and_organization() {
    for event in ["revoked", "rotated", "suspended", "reactivated", "deleted", "restored", "expired"] {
        let app = App::start().await;
        let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
        let key = service_key(&app, &["tokens:issue", "documents:read"]).await;
        let open = async |organization: &Organization| -> Client {
            let token = exchange(&with_key(&app, &key), &organization.path(), &["documents:read"]).await.ok();
            let program = app.client().with_token(token["access_token"].as_str().unwrap());
            program.get(&documents(organization)).await.ok();
            program
        };
        let (program, other) = (open(&acme).await, open(&globex).await);
        end(&app, &acme, &key, event).await;
        let code = if event == "expired" { "token_expired" } else { "token_revoked" };
        program.get(&documents(&acme)).await.refused(code);
        // What happens to one organization leaves the tokens of another alone.
        if !["revoked", "rotated", "expired"].contains(&event) {
            other.get(&documents(&globex)).await.ok();
        }
    }
}

#[tokio::test]
async fn rotation_with_overlap_leaves_exchanged_tokens_valid() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let key = service_key(&app, &["tokens:issue", "documents:read"]).await;
    let token = exchange(&with_key(&app, &key), &acme.path(), &["documents:read"]).await.ok();
    let program = app.client().with_token(token["access_token"].as_str().unwrap());
    app.operator().post(&format!("{}/rotate", service_path(&key)), &json!({ "overlap": 300 })).await.ok();
    program.get(&documents(&acme)).await.ok();
    app.clock.advance(Duration::from_secs(300));
    program.get(&documents(&acme)).await.refused("token_revoked");
}

#[tokio::test]
async fn token_is_not_issued_for_unusable_organization() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let backend = with_key(&app, &service_key(&app, &["tokens:issue", "documents:read"]).await);
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    exchange(&backend, &acme.path(), &["documents:read"]).await.refused("organization_suspended");
    app.operator().delete(&acme.path()).await.ok();
    exchange(&backend, &acme.path(), &["documents:read"]).await.refused("organization_not_found");
}

#[tokio::test]
async fn exchange_can_be_switched_off() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let key = service_key(&app, &["tokens:issue", "documents:read"]).await;
    let token = exchange(&with_key(&app, &key), &acme.path(), &["documents:read"]).await.ok();
    // Tokens of before end, too.
    let app = Setup::unlimited().with("--exchange=off").start_on(app.stop().await).await;
    let program = app.client().with_token(token["access_token"].as_str().unwrap());
    let backend = with_key(&app, &key);
    exchange(&backend, &acme.path(), &["documents:read"]).await.refused("exchange_disabled");
    program.get(&documents(&acme)).await.refused("token_revoked");
    let owner = with_access(&app, &sign_in(&app, acme.email()).await);
    let new = json!({ "name": "x", "permissions": ["documents:read"] });
    let own = owner.post(&format!("{}/keys", acme.path()), &new).await.created();
    with_key(&app, &own).get(&documents(&acme)).await.ok();
}

#[tokio::test]
async fn program_repeats_a_request_with_an_idempotency_key() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let program = exchanged(&app, &acme, &DATA).await.with_header("idempotency-key", "one");
    let made = program.post(&documents(&acme), &json!({ "n": 1 })).await.created();
    assert_eq!(program.post(&documents(&acme), &json!({ "n": 1 })).await.created()["_id"], made["_id"]);
    let lines = Some(("application/x-ndjson", b"{\"n\":2}\n".to_vec()));
    let path = format!("{}/collections/documents/bulk", acme.path());
    program.with_header("idempotency-key", "two").send(Method::POST, &path, lines).await;
    assert_eq!(acme.owner.get(&documents(&acme)).await.ok()["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn service_key_is_limited_to_organizations_that_exist() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let new = |organizations: Value| json!({ "name": "x", "permissions": ["tokens:issue"], "organizations": organizations });
    let unknown = "000000000000000000000000";
    for (organizations, pointers) in
        [(json!([]), ["/organizations"]), (json!([acme.id(), acme.id(), unknown]), ["/organizations/2"])]
    {
        app.operator().post("/v1/keys", &new(organizations)).await.refused_fields(&pointers);
    }
    let made = app.operator().post("/v1/keys", &new(json!([acme.id(), acme.id()]))).await.created();
    assert_eq!(made["organizations"], json!([acme.id()]));
}

#[tokio::test]
async fn refusal_names_every_credential_that_will_do() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let new = json!({ "organization_name": "Second" });
    let detail = |problem: &Value| problem["detail"].as_str().unwrap().to_owned();
    for problem in [
        app.client().get("/v1/organizations").await.refused("operator_key_required"),
        app.client().post("/v1/organizations", &new).await.refused("operator_key_required"),
    ] {
        assert!(detail(&problem).contains("the operator key or a service key"), "{problem}");
    }
    let program = with_key(&app, &organization_key(&acme, &["documents:read"]).await);
    for problem in [
        program.get("/v1/organizations").await.refused("operator_only"),
        program.post("/v1/organizations", &new).await.refused("operator_only"),
        acme.owner.get("/v1/audit").await.refused("operator_only"),
    ] {
        assert!(detail(&problem).contains("a backend with a service key"), "{problem}");
    }
}

/// As OAuth 2.0 libraries send the key: its id is the name of the client.
#[tokio::test]
async fn introspection_takes_the_key_as_basic() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let key = service_key(&app, &["tokens:introspect"]).await;
    let basic = |id: &str, secret: &str| {
        let credential = STANDARD.encode(format!("{id}:{secret}"));
        app.client().with_header("authorization", &format!("Basic {credential}"))
    };
    let (id, secret) = (key["id"].as_str().unwrap(), key["key"].as_str().unwrap());
    let body = json!({ "token": acme.tokens["access_token"] });
    let found = basic(id, secret).post("/v1/auth/introspect", &body).await.ok();
    assert_eq!(found["active"], true);
    let another = acme.body["id"].as_str().unwrap();
    let operator = std::fs::read_to_string(app.data_dir().join("operator.key")).unwrap();
    for (id, secret, code) in [
        (another, secret, "token_invalid"),
        ("", secret, "token_invalid"),
        (id, operator.trim(), "token_invalid"),
        (id, id, "key_malformed"),
        (id, "", "key_malformed"),
    ] {
        basic(id, secret).post("/v1/auth/introspect", &body).await.refused(code);
    }
    let problem = basic("x", secret).post("/v1/auth/introspect", &body).await.refused("token_invalid");
    assert!(problem["detail"].as_str().unwrap().contains("the id of the service key"), "{problem}");
    let problem = app.client().post("/v1/auth/introspect", &body).await.refused("token_missing");
    assert!(problem["detail"].as_str().unwrap().contains("needs a service key"), "{problem}");
    // No other route takes it.
    basic(id, secret).get("/v1/organizations").await.refused("operator_key_required");
}

#[tokio::test]
async fn introspection_says_what_a_token_is_now() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let key = service_key(&app, &["tokens:introspect"]).await;
    let gateway = with_key(&app, &key);
    let ask = async |client: &Client, token: &str| -> Value {
        let form = Some(("application/x-www-form-urlencoded", format!("token={token}").into_bytes()));
        client.send(Method::POST, "/v1/auth/introspect", form).await.ok()
    };
    let token = acme.tokens["access_token"].as_str().unwrap();
    let found = ask(&gateway, token).await;
    assert_eq!((&found["active"], &found["org_id"]), (&json!(true), &acme.body["id"]), "{found}");
    assert!(found["scope"].as_str().unwrap().contains("owners:write"), "{found}");
    let by_json = gateway.post("/v1/auth/introspect", &json!({ "token": token })).await.ok();
    assert_eq!(by_json, found);
    // An exchanged one, a wrong one, and one that has ended.
    let backend = with_key(&app, &service_key(&app, &["tokens:issue", "documents:read"]).await);
    let exchanged = exchange(&backend, &globex.path(), &["documents:read"]).await.ok();
    let exchanged = ask(&gateway, exchanged["access_token"].as_str().unwrap()).await;
    assert_eq!(exchanged["act"]["sub"], exchanged["sub"]);
    assert_eq!((&exchanged["scope"], &exchanged["org_id"]), (&json!("documents:read"), &globex.body["id"]));
    acme.owner.post_empty("/v1/auth/logout").await.done();
    for token in [token, "garbage", key["key"].as_str().unwrap()] {
        assert_eq!(ask(&gateway, token).await, json!({ "active": false }));
    }
    // A key that is limited to another organization learns nothing.
    let body = json!({ "name": "x", "permissions": ["tokens:introspect"], "organizations": [acme.id()] });
    let limited = with_key(&app, &app.operator().post("/v1/keys", &body).await.created());
    let token = globex.tokens["access_token"].as_str().unwrap();
    assert_eq!(ask(&limited, token).await, json!({ "active": false }));
    assert_eq!(ask(&gateway, token).await["active"], json!(true));
    globex
        .owner
        .post("/v1/auth/introspect", &json!({ "token": token }))
        .await
        .refused("service_key_required");
    backend.post("/v1/auth/introspect", &json!({ "token": token })).await.refused("permission_missing");
}
