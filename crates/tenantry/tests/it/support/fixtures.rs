//! Organizations and accounts for tests to start from.

use super::app::App;
use super::client::{Answer, Client};
use super::records::{add_member, edit_account};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The password of everybody in the tests.
pub const PASSWORD: &str = "correct horse battery";

/// An organization with its signed-in owner.
pub struct Organization {
    /// The response of the create.
    pub body: Value,
    /// The owner's client.
    pub owner: Client,
    /// The owner's tokens.
    pub tokens: Value,
}

impl Organization {
    /// Its id.
    pub fn id(&self) -> &str {
        self.body["id"].as_str().unwrap()
    }

    /// Its name as it was created.
    pub fn name(&self) -> &str {
        self.body["organization_name"].as_str().unwrap()
    }

    /// The address of its owner as it was created.
    pub fn email(&self) -> &str {
        self.body["admin_email"].as_str().unwrap()
    }

    /// Its path in the v1 API.
    pub fn path(&self) -> String {
        format!("/v1/organizations/{}", self.id())
    }

    /// The account of its owner as it was created.
    pub fn owner_id(&self) -> &str {
        self.body["admin_id"].as_str().unwrap()
    }

    /// The path of the member with that account.
    pub fn member(&self, account: &str) -> String {
        format!("{}/members/{account}", self.path())
    }

    /// The path of its collections.
    pub fn collections(&self) -> String {
        format!("{}/collections", self.path())
    }

    /// The path of the documents in the collection that it began with.
    pub fn documents(&self) -> String {
        format!("{}/documents/documents", self.collections())
    }

    /// The path of what else there is about that collection.
    pub fn about(&self, what: &str) -> String {
        format!("{}/documents/{what}", self.collections())
    }

    /// Stores these documents, all of which are good.
    pub async fn store(&self, documents: &[Value]) {
        let lines: Vec<String> = documents.iter().map(|document| format!("{document}\n")).collect();
        let answer = insert_lines(&self.owner, &self.about("bulk"), &lines.concat()).await;
        assert_eq!(answer.lines().last().unwrap()["inserted"], documents.len(), "{answer}");
    }
}

/// Sends documents, one to a line.
pub async fn insert_lines(client: &Client, path: &str, lines: &str) -> Answer {
    client.send(Method::POST, path, Some(("application/x-ndjson", lines.as_bytes().to_vec()))).await
}

/// The service once more, and the owner of `organization` with that role and signed in again.
pub async fn with_role(app: App, organization: &Organization, role: &str) -> (App, Client) {
    let email = organization.email();
    let set_role = |account: &mut Value| account["memberships"][0]["role"] = role.into();
    let app = app.restart_after(|test_env| edit_account(test_env, email, set_role)).await;
    let tokens = sign_in(&app, email).await;
    let client = with_access(&app, &tokens);
    (app, client)
}

/// The service once more, and the owner of `guest` is a member of `host`, too. They sign in to `host` from then on;
/// their earlier tokens are of `guest`.
pub async fn joined(app: App, guest: &Organization, host: &Organization, role: &str) -> (App, Client) {
    let app = app.restart_after(|place| add_member(place, guest.email(), host.id(), role)).await;
    let tokens = sign_in(&app, guest.email()).await;
    assert_eq!(tokens["org_id"], host.id());
    let client = with_access(&app, &tokens);
    (app, client)
}

/// Invites the owner of `guest` into `host`, who proves their address and joins with that role: their client there.
pub async fn invited(app: &App, guest: &Organization, host: &Organization, role: &str) -> Client {
    prove_address(app, guest).await;
    let body = json!({ "email": guest.email(), "role": role });
    let made = host.owner.post(&format!("{}/invitations", host.path()), &body).await.created();
    guest.owner.post("/v1/invitations/accept", &json!({ "token": made["token"] })).await.ok();
    let body = json!({ "organization": host.id() });
    with_access(app, &guest.owner.post("/v1/auth/switch", &body).await.ok())
}

/// The same client at the service that was started again.
pub fn again(app: &App, client: &Client) -> Client {
    app.client().with_header("authorization", client.header("authorization").unwrap())
}

/// An organization of that name, whose owner is `owner@<identifier>.example`.
pub async fn organization(app: &App, name: &str) -> Organization {
    let email = email_for(name);
    let body = create_organization(app, &new_organization(name, &email)).await;
    let tokens = sign_in(app, &email).await;
    let owner = with_access(app, &tokens);
    Organization { body, owner, tokens }
}

/// Proves the address of the organization's owner, by a link that the operator makes.
pub async fn prove_address(app: &App, organization: &Organization) {
    let path = format!("{}/links", organization.member(organization.owner_id()));
    let link = app.operator().post(&path, &json!({ "kind": "email_verification" })).await.created();
    let body = json!({ "token": link["token"] });
    organization.owner.post("/v1/auth/verify-email", &body).await.done();
}

/// Creates an organization. On a disk that stalls for seconds the service says that the change goes on: then
/// waits for its end.
async fn create_organization(app: &App, body: &Value) -> Value {
    let answer = app.client().post("/org/create", body).await;
    if !answer.text.contains("The change goes on") {
        return answer.created();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = find(app, body["organization_name"].as_str().unwrap()).await;
        if found.status == StatusCode::OK {
            return found.json();
        }
        assert!(Instant::now() < deadline, "{answer}: it does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The body that makes an organization.
pub fn new_organization(name: &str, email: &str) -> Value {
    json!({ "organization_name": name, "email": email, "password": PASSWORD })
}

/// The tokens of a sign-in with the usual password.
pub async fn sign_in(app: &App, email: &str) -> Value {
    app.client().post("/admin/login", &credentials(email, PASSWORD)).await.ok()
}

/// The body of a sign-in.
pub fn credentials(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

/// A client with the access token among `tokens`.
pub fn with_access(app: &App, tokens: &Value) -> Client {
    app.client().with_token(tokens["access_token"].as_str().unwrap())
}

/// Finds an organization by its name, as anybody may.
pub async fn find(app: &App, name: &str) -> Answer {
    app.client().get(&format!("/org/get?organization_name={}", encoded(name))).await
}

/// `text` as a part of a query or path.
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The address of the owner of the organization of that name.
pub fn email_for(name: &str) -> String {
    let name = name.to_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    format!("owner@{}.example", words.collect::<Vec<_>>().join("-"))
}
