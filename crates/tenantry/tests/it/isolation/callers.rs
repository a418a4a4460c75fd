//! Everybody who may be in an organization, and in no other: its owner, its keys, tokens of it, a backend for it alone, and a
//! person who is in another one, too, and signed in here.

use super::home::Home;
use crate::support::app::App;
use crate::support::client::Client;
use crate::support::fixtures::{organization, prove_address, with_access};
use crate::support::keys::with_key;
use serde_json::{Value, json};
use tenantry_domain::permission::{
    ORGANIZATION_KEY_PERMISSIONS, PermissionSet, SERVICE_KEY_PERMISSIONS, TOKEN_PERMISSIONS,
};

/// Who asks.
#[derive(Clone)]
pub struct Caller {
    pub name: &'static str,
    pub client: Client,
}

impl Caller {
    pub fn is_owner(&self) -> bool {
        self.name == OWNER
    }
}

const OWNER: &str = "owner";

fn names_of(permissions: PermissionSet) -> Vec<String> {
    permissions.to_scope().split(' ').map(str::to_owned).collect()
}

/// All who are in `own`; the person is in `other`, too.
pub async fn all(app: &App, own: &Home, other: &Home) -> Vec<Caller> {
    let path = own.organization.path();
    let owner = own.organization.owner.clone();
    let body = json!({ "name": "all of it", "permissions": names_of(ORGANIZATION_KEY_PERMISSIONS) });
    let api_key = with_key(app, &owner.post(&format!("{path}/keys"), &body).await.created());
    let body = json!({
        "name": "backend of one", "permissions": names_of(SERVICE_KEY_PERMISSIONS),
        "organizations": [own.organization.id()],
    });
    let backend = with_key(app, &app.operator().post("/v1/keys", &body).await.created());
    let body = json!({ "permissions": names_of(TOKEN_PERMISSIONS), "subject": "user-1" });
    let token = with_access(app, &backend.post(&format!("{path}/tokens"), &body).await.ok());
    let person = person(app, own, other).await;
    [
        (OWNER, owner),
        ("API key", api_key),
        ("exchanged token", token),
        ("service key of one organization", backend),
        ("person in both", person),
    ]
    .map(|(name, client)| Caller { name, client })
    .into()
}

/// A person who is an admin of `own`, where they are signed in, and a viewer of `other`.
async fn person(app: &App, own: &Home, other: &Home) -> Client {
    let person = organization(app, "Person").await;
    prove_address(app, &person).await;
    for (home, role) in [(other, "viewer"), (own, "admin")] {
        let body = json!({ "email": person.email(), "role": role });
        let invitations = format!("{}/invitations", home.organization.path());
        let made: Value = home.organization.owner.post(&invitations, &body).await.created();
        person.owner.post("/v1/invitations/accept", &json!({ "token": made["token"] })).await.ok();
    }
    let switch = async |home: &Home| {
        let body = json!({ "organization": home.organization.id() });
        with_access(app, &person.owner.post("/v1/auth/switch", &body).await.ok())
    };
    // They are in the other one, too, and read there what is there.
    let there = switch(other).await;
    let documents = other.organization.documents();
    assert!(there.get(&documents).await.text.contains(&other.canary));
    switch(own).await
}
