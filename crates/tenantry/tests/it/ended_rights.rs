//! A right that ends while a request is on its way ends for that request, too: the body may take seconds to
//! arrive, and a token that was good at its head may be dead at its last byte.

use crate::support::app::App;
use crate::support::fixtures::{self, Organization, PASSWORD};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request whose last byte has not been sent.
struct HeldRequest {
    stream: TcpStream,
    last: u8,
}

impl HeldRequest {
    async fn begin(app: &App, token: &str, method: &str, path: &str, body: &Value) -> Self {
        let body = body.to_string();
        let (sent, last) = body.as_bytes().split_at(body.len() - 1);
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        // What is asked next overtakes this one only once its head has been read.
        tokio::time::sleep(Duration::from_millis(200)).await;
        Self { stream, last: last[0] }
    }

    /// Sends the last byte; the `code` of the refusal.
    async fn refused_at_last(mut self) -> String {
        self.stream.write_all(&[self.last]).await.unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let problem: Value = serde_json::from_str(body).unwrap();
        problem["code"].as_str().unwrap_or_else(|| panic!("not refused: {answer}")).to_owned()
    }
}

fn access(organization: &Organization) -> &str {
    organization.tokens["access_token"].as_str().unwrap()
}

fn rename() -> Value {
    json!({ "organization_name": "Stolen", "new_organization_name": null })
}

#[tokio::test(flavor = "multi_thread")]
async fn rename_in_progress_is_refused_after_logout() {
    let app = App::start().await;
    let acme = fixtures::organization(&app, "Acme").await;
    let held = HeldRequest::begin(&app, access(&acme), "PUT", "/org/update", &rename()).await;
    acme.owner.post_empty("/v1/auth/logout").await.done();
    assert_eq!(held.refused_at_last().await, "token_revoked");
    fixtures::find(&app, "Acme").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn rename_in_progress_is_refused_after_suspension() {
    let app = App::start().await;
    let acme = fixtures::organization(&app, "Acme").await;
    let held = HeldRequest::begin(&app, access(&acme), "PUT", "/org/update", &rename()).await;
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    assert_eq!(held.refused_at_last().await, "token_revoked");
    fixtures::find(&app, "Acme").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_in_progress_is_refused_after_password_change() {
    let app = App::start().await;
    let acme = fixtures::organization(&app, "Acme").await;
    let body = json!({ "organization_name": "Acme" });
    let held = HeldRequest::begin(&app, access(&acme), "DELETE", "/org/delete", &body).await;
    change_password_elsewhere(&app, &acme).await;
    assert_eq!(held.refused_at_last().await, "token_revoked");
    fixtures::find(&app, "Acme").await.ok();
}

/// A change that began with a stolen token is refused once the owner has changed the password.
#[tokio::test(flavor = "multi_thread")]
async fn password_change_in_progress_is_refused_after_another() {
    let app = App::start().await;
    let acme = fixtures::organization(&app, "Acme").await;
    let body = json!({ "organization_name": "Acme", "password": "the thief's password" });
    let held = HeldRequest::begin(&app, access(&acme), "PUT", "/org/update", &body).await;
    change_password_elsewhere(&app, &acme).await;
    assert_eq!(held.refused_at_last().await, "token_revoked");
    let login = fixtures::credentials(acme.email(), "the owner's new password");
    app.client().post("/admin/login", &login).await.ok();
}

/// The owner signs in again and changes the password, which ends every other session.
async fn change_password_elsewhere(app: &App, acme: &Organization) {
    let tokens = app.client().post("/admin/login", &fixtures::credentials(acme.email(), PASSWORD)).await.ok();
    let elsewhere = fixtures::with_access(app, &tokens);
    let change = json!({ "organization_name": "Acme", "password": "the owner's new password" });
    elsewhere.put("/org/update", &change).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn document_requests_in_progress_are_refused_after_suspension() {
    let app = App::start().await;
    let acme = fixtures::organization(&app, "Acme").await;
    let documents = format!("{}/collections/documents/documents", acme.path());
    acme.owner.post(&documents, &json!({ "_id": "one", "a": 1 })).await.created();
    let one = format!("{documents}/one");
    let collections = format!("{}/collections", acme.path());
    let (query, indexes) =
        (format!("{collections}/documents/query"), format!("{collections}/documents/indexes"));
    let (count, delete) =
        (format!("{collections}/documents/count"), format!("{collections}/documents/delete"));
    let mut all = Vec::new();
    for (method, path, body) in [
        ("POST", &documents, json!({ "_id": "late" })),
        ("PUT", &one, json!({ "a": 2 })),
        ("PATCH", &one, json!({ "a": 2 })),
        ("POST", &query, json!({ "filter": {} })),
        ("POST", &count, json!({ "filter": {} })),
        ("POST", &delete, json!({ "filter": {} })),
        ("POST", &collections, json!({ "name": "late" })),
        ("POST", &indexes, json!({ "keys": "a" })),
    ] {
        all.push((method, path, HeldRequest::begin(&app, access(&acme), method, path, &body).await));
    }
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    for (method, path, held) in all {
        assert_eq!(held.refused_at_last().await, "token_revoked", "{method} {path}");
    }
    app.operator().post_empty(&format!("{}/reactivate", acme.path())).await.ok();
    let owner = fixtures::with_access(&app, &fixtures::sign_in(&app, acme.email()).await);
    assert_eq!(owner.get(&documents).await.ok()["items"], json!([{ "_id": "one", "a": 1 }]));
    assert_eq!(owner.get(&collections).await.ok()["items"].as_array().unwrap().len(), 1);
    assert_eq!(owner.get(&indexes).await.ok()["items"], json!([]));
}
