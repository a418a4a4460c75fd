//! Organizations and people that a test starts from.

use super::app::App;
use super::client::Client;
use serde_json::{Value, json};

/// The password of everybody in the tests.
pub const PASSWORD: &str = "correct horse battery";

/// An organization with its signed-in owner.
pub struct Organization {
    /// As the create answered it.
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
}

/// An organization of that name, whose owner is `owner@<identifier>.example`.
pub async fn organization(app: &App, name: &str) -> Organization {
    let email = email_for(name);
    let new = json!({ "organization_name": name, "email": email, "password": PASSWORD });
    let body = app.client().post("/org/create", &new).await.created();
    let tokens = sign_in(app, &email).await;
    let owner = app.client().with_token(tokens["access_token"].as_str().unwrap());
    Organization { body, owner, tokens }
}

/// The tokens of a sign-in with the usual password.
pub async fn sign_in(app: &App, email: &str) -> Value {
    app.client().post("/admin/login", &json!({ "email": email, "password": PASSWORD })).await.ok()
}

/// The address of the owner of the organization of that name.
pub fn email_for(name: &str) -> String {
    let slug: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("owner@{slug}.example")
}
