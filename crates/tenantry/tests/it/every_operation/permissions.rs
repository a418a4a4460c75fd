//! Every permission by every operation: a caller that has one permission alone gets through where the document
//! says that this one is needed, and nowhere else.

use super::{COLLECTION, DOCUMENT, INDEX, Operation, ROLE, Target, define_role, fill};
use crate::support::app::App;
use crate::support::client::Client;
use crate::support::fixtures::{Organization, invited, organization, sign_in, with_access, with_role};
use crate::support::keys::{exchange, organization_key, service_key, with_key};
use serde_json::{Value, json};
use tenantry_domain::account::Role;
use tenantry_domain::permission::{
    ORGANIZATION_KEY_PERMISSIONS, Permission, PermissionSet, SERVICE_KEY_PERMISSIONS, TOKEN_PERMISSIONS,
};
use tenantry_domain::role::OWN_ROLE_PERMISSIONS;

/// The operations that need a permission, the ones that end the organization last.
fn operations(app: &App) -> Vec<(Operation, Permission)> {
    let with_permission = |operation: Operation| {
        let name = operation.description["x-permission"].as_str()?;
        let permission = name.parse().unwrap();
        Some((operation, permission))
    };
    let mut all: Vec<_> = Operation::all(app).into_iter().filter_map(with_permission).collect();
    all.sort_by_key(|(operation, _)| operation.id.starts_with("delete"));
    all.sort_by_key(|(operation, _)| operation.id == "deleteOrganization");
    all
}

/// An organization with everything that a request can name.
struct Scene {
    acme: Organization,
    key: Value,
    service_key: Value,
}

impl Scene {
    async fn new(app: &App, name: &str) -> Self {
        let acme = organization(app, name).await;
        fill(&acme.owner, &acme.path()).await;
        define_role(&acme.owner, &acme.path()).await;
        let key = organization_key(&acme, &["documents:read"]).await;
        let service_key = service_key(app, &["documents:read"]).await;
        Self { acme, key, service_key }
    }

    /// What the operation is answered: the code of a refusal, or nothing.
    async fn outcome(&self, operation: &Operation, client: &Client) -> String {
        let target = Target {
            id: self.acme.id(),
            name: self.acme.name(),
            email: self.acme.email(),
            operation: "0123456789abcdef01234567",
            collection: COLLECTION,
            document: DOCUMENT,
            index: INDEX,
            service_key: self.service_key["id"].as_str().unwrap(),
            organization_key: self.key["id"].as_str().unwrap(),
            // Of nobody: a role that is lowered would be missing later.
            account: "0123456789abcdef01234567",
            invitation: "0123456789abcdef01234567",
            session: "0123456789abcdef01234567",
            role: ROLE,
            link: "email_verification",
            fresh: &format!("fresh {} {}", self.acme.name(), operation.id),
        };
        let answer = operation.send(client, &target).await;
        if answer.status.is_client_error() { answer.outcome() } else { String::new() }
    }
}

/// Sends every operation of those kinds of access with a client that has `permission` alone.
async fn check(scene: &Scene, app: &App, client: &Client, caller: &str, has: PermissionSet, missing: &str) {
    for (operation, needed) in operations(app) {
        let accesses: &[&str] = match caller {
            "service" => &["operator_or_member", "operator_or_service", "operator_or_account", "service"],
            _ => &["operator_or_member", "own_member"],
        };
        // Only people make, see and end keys.
        let is_for_people = caller != "role" && needed.as_str().starts_with("keys:");
        if !accesses.contains(&operation.access.as_str()) || is_for_people {
            continue;
        }
        let outcome = scene.outcome(&operation, client).await;
        let is_refused = outcome == missing;
        assert_eq!(
            is_refused,
            !has.contains(needed),
            "{} by a {caller} with {has:?}: `{outcome}`, needs {needed}",
            operation.id
        );
    }
}

#[tokio::test]
async fn organization_key_passes_where_its_permission_is_needed() {
    let app = App::start().await;
    for permission in ORGANIZATION_KEY_PERMISSIONS.iter() {
        let scene = Scene::new(&app, &format!("Key {}", permission.as_str().replace(':', " "))).await;
        let client = with_key(&app, &organization_key(&scene.acme, &[permission.as_str()]).await);
        check(&scene, &app, &client, "key", PermissionSet::new(&[permission]), "permission_missing").await;
    }
}

#[tokio::test]
async fn exchanged_token_passes_where_its_permission_is_needed() {
    let app = App::start().await;
    for permission in TOKEN_PERMISSIONS.iter() {
        let scene = Scene::new(&app, &format!("Token {}", permission.as_str().replace(':', " "))).await;
        let key = service_key(&app, &["tokens:issue", permission.as_str()]).await;
        let token = exchange(&with_key(&app, &key), &scene.acme.path(), &[permission.as_str()]).await.ok();
        let client = app.client().with_token(token["access_token"].as_str().unwrap());
        check(&scene, &app, &client, "token", PermissionSet::new(&[permission]), "permission_missing").await;
    }
}

#[tokio::test]
async fn service_key_passes_where_its_permission_is_needed() {
    let app = App::start().await;
    for permission in SERVICE_KEY_PERMISSIONS.iter() {
        let scene = Scene::new(&app, &format!("Service {}", permission.as_str().replace(':', " "))).await;
        let client = with_key(&app, &service_key(&app, &[permission.as_str()]).await);
        check(&scene, &app, &client, "service", PermissionSet::new(&[permission]), "permission_missing")
            .await;
    }
}

#[tokio::test]
async fn role_passes_where_it_has_the_permission() {
    for role in [Role::Viewer, Role::Member, Role::Admin, Role::Owner] {
        let app = App::start().await;
        let mut scene = Scene::new(&app, "Acme").await;
        let (app, client) = with_role(app, &scene.acme, role.as_str()).await;
        scene.acme.owner = with_access(&app, &sign_in(&app, scene.acme.email()).await);
        let permissions = role.built_in_permissions().unwrap();
        check(&scene, &app, &client, "role", permissions, "role_insufficient").await;
    }
}

#[tokio::test]
async fn own_role_passes_where_its_permission_is_needed() {
    let app = App::start().await;
    for permission in OWN_ROLE_PERMISSIONS.iter() {
        let name = permission.as_str().replace(':', "-");
        let scene = Scene::new(&app, &format!("Own {name}")).await;
        let guest = organization(&app, &format!("Guest {name}")).await;
        let body = json!({ "name": name, "permissions": [permission.as_str()] });
        scene.acme.owner.post(&format!("{}/roles", scene.acme.path()), &body).await.created();
        let client = invited(&app, &guest, &scene.acme, &name).await;
        check(&scene, &app, &client, "role", PermissionSet::new(&[permission]), "role_insufficient").await;
    }
}
