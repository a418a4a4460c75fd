//! Keys that a test makes, and clients that use them.

use super::app::App;
use super::client::{Answer, Client};
use super::fixtures::Organization;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Makes a service key with these permissions.
pub async fn service_key(app: &App, permissions: &[&str]) -> Value {
    let body = json!({ "name": "backend", "permissions": permissions });
    app.operator().post("/v1/keys", &body).await.created()
}

/// Makes a key of `organization` with these permissions.
pub async fn organization_key(organization: &Organization, permissions: &[&str]) -> Value {
    let body = json!({ "name": "report", "permissions": permissions });
    organization.owner.post(&format!("{}/keys", organization.path()), &body).await.created()
}

/// A client with that key.
pub fn with_key(app: &App, key: &Value) -> Client {
    app.client().with_token(key["key"].as_str().unwrap())
}

/// Exchanges a key for a token of the organization at `path`.
pub async fn exchange(client: &Client, path: &str, permissions: &[&str]) -> Answer {
    client.post(&format!("{path}/tokens"), &json!({ "permissions": permissions })).await
}

/// A client with a token that a new service key was exchanged for.
pub async fn exchanged(app: &App, organization: &Organization, permissions: &[&str]) -> Client {
    let mut of_key = vec!["tokens:issue"];
    of_key.extend(permissions);
    let key = service_key(app, &of_key).await;
    let token = exchange(&with_key(app, &key), &organization.path(), permissions).await.ok();
    app.client().with_token(token["access_token"].as_str().unwrap())
}

/// The claims of a token.
pub fn claims(token: &str) -> Value {
    let part = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&part).unwrap()
}
