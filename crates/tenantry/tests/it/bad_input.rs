//! Invalid input gets a problem that names every bad field, within milliseconds, and changes nothing.

mod addresses;
mod bodies;
mod fields;

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{Organization, organization};
use crate::support::keys::{organization_key, service_key, with_key};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a refusal may take; the machine is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(1);

/// An operation that reads a body.
struct Route {
    operation: &'static str,
    method: Method,
    path: String,
    caller: Client,
    /// The fields it reads; each is a text unless it is in `flags`.
    fields: &'static [&'static str],
    flags: &'static [&'static str],
    /// The ones that must be there.
    required: &'static [&'static str],
    /// Whether there must be a body.
    needs_body: bool,
    /// Whether the body is a document, with any fields.
    is_document: bool,
    /// Bytes of a body.
    limit: usize,
}

/// Bytes of a body, by default.
const BODY_LIMIT: usize = 64 * 1024;
/// Bytes of a body that may hold a document, by default.
const DOCUMENT_LIMIT: usize = 6 * 1024 * 1024;

impl Route {
    async fn send(&self, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.caller.send(self.method.clone(), &self.path, Some((content_type, body.into()))).await
    }

    async fn send_json(&self, body: &Value) -> Answer {
        self.send("application/json", body.to_string()).await
    }

    /// Whether it refuses fields that it does not know. The classic API ignores them, and so does introspection, as
    /// OAuth 2.0 wants it.
    fn refuses_unknown_fields(&self) -> bool {
        self.path.starts_with("/v1/") && self.operation != "introspectToken"
    }
}

/// A service with two organizations, one of them deleted, and every route that reads a body.
struct Scene {
    app: App,
    acme: Organization,
    routes: Vec<Route>,
    /// How everything looked before.
    before: String,
}

impl Scene {
    async fn start(setup: Setup) -> Self {
        let app = setup.start().await;
        let acme = organization(&app, "Acme").await;
        let gone = organization(&app, "Gone").await;
        app.operator().delete(&gone.path()).await.ok();
        acme.owner.post(&format!("{}/documents", collection(&acme)), &json!({ "_id": "d" })).await.created();
        let keys = Keys {
            service: service_key(&app, &["tokens:issue", "tokens:introspect", "documents:read"]).await,
            organization: organization_key(&acme, &["documents:read"]).await,
        };
        let invited = json!({ "email": "invited@acme.example", "role": "viewer" });
        let invitation = acme.owner.post(&format!("{}/invitations", acme.path()), &invited).await.created();
        let mut routes = routes(&app, &acme, &gone, invitation["id"].as_str().unwrap());
        routes.extend(routes_of_keys(&app, &acme, &keys));
        let role = json!({ "name": "reader", "permissions": ["documents:read"] });
        acme.owner.post(&format!("{}/roles", acme.path()), &role).await.created();
        routes.extend(routes_of_roles(&acme));
        let before = everything(&app, &acme).await;
        Self { app, acme, routes, before }
    }

    /// Asserts that nothing has changed, and that the service still works.
    async fn assert_unchanged(&self) {
        assert_eq!(everything(&self.app, &self.acme).await, self.before);
        self.acme.owner.get(&self.acme.path()).await.ok();
    }
}

/// The path of the collection that every organization has.
fn collection(organization: &Organization) -> String {
    format!("{}/collections/documents", organization.path())
}

/// The keys that routes are about.
struct Keys {
    service: Value,
    organization: Value,
}

fn routes_of_roles(acme: &Organization) -> Vec<Route> {
    let route = |operation, method, path: &str| Route {
        operation,
        method,
        path: format!("{}/roles{path}", acme.path()),
        caller: acme.owner.clone(),
        fields: &["description"],
        flags: &[],
        required: &[],
        needs_body: true,
        is_document: false,
        limit: BODY_LIMIT,
    };
    vec![
        Route {
            fields: &["name", "description"],
            required: &["name", "permissions"],
            ..route("createOrganizationRole", Method::POST, "")
        },
        route("changeOrganizationRole", Method::PATCH, "/reader"),
    ]
}

fn routes_of_keys(app: &App, acme: &Organization, keys: &Keys) -> Vec<Route> {
    let route = |operation, path: String, caller: Client| Route {
        operation,
        method: Method::POST,
        path,
        caller,
        fields: &["name"],
        flags: &[],
        required: &["name", "permissions"],
        needs_body: true,
        is_document: false,
        limit: BODY_LIMIT,
    };
    let backend = || with_key(app, &keys.service);
    let of_acme = format!("{}/keys", acme.path());
    let rotate = |operation, path: &str, key: &Value, caller| Route {
        fields: &[],
        required: &[],
        needs_body: false,
        ..route(operation, format!("{path}/{}/rotate", key["id"].as_str().unwrap()), caller)
    };
    vec![
        route("createServiceKey", "/v1/keys".to_owned(), app.operator()),
        route("createOrganizationKey", of_acme.clone(), acme.owner.clone()),
        rotate("rotateServiceKey", "/v1/keys", &keys.service, app.operator()),
        rotate("rotateOrganizationKey", &of_acme, &keys.organization, acme.owner.clone()),
        Route {
            fields: &["subject"],
            required: &["permissions"],
            ..route("issueToken", format!("{}/tokens", acme.path()), backend())
        },
        Route {
            fields: &["token"],
            required: &["token"],
            ..route("introspectToken", "/v1/auth/introspect".to_owned(), backend())
        },
    ]
}

fn links_path(acme: &Organization) -> String {
    format!("{}/links", acme.member(acme.owner_id()))
}

fn reset_path(acme: &Organization) -> String {
    format!("{}/password-reset", acme.member(acme.owner_id()))
}

fn routes(app: &App, acme: &Organization, gone: &Organization, invitation: &str) -> Vec<Route> {
    let new: &[&str] = &["organization_name", "email", "password"];
    let route = |operation, method, path: &str, caller: Client| Route {
        operation,
        method,
        path: path.to_owned(),
        caller,
        fields: new,
        flags: &[],
        required: new,
        needs_body: true,
        is_document: false,
        limit: BODY_LIMIT,
    };
    let document = |operation, method, path: &str| Route {
        fields: &[],
        required: &[],
        is_document: true,
        limit: DOCUMENT_LIMIT,
        ..route(operation, method, path, acme.owner.clone())
    };
    let (collections, collection) = (format!("{}/collections", acme.path()), collection(acme));
    vec![
        route("registerOrganization", Method::POST, "/org/create", app.client()),
        Route {
            fields: &["email", "password", "organization"],
            required: &["email", "password"],
            ..route("signIn", Method::POST, "/admin/login", app.client())
        },
        Route {
            fields: &["organization_name", "new_organization_name", "email", "password"],
            required: &["organization_name"],
            ..route("updateOwnOrganization", Method::PUT, "/org/update", acme.owner.clone())
        },
        Route {
            fields: &["organization_name"],
            required: &["organization_name"],
            needs_body: false,
            ..route("deleteOwnOrganization", Method::DELETE, "/org/delete", acme.owner.clone())
        },
        Route {
            fields: &["refresh_token"],
            required: &["refresh_token"],
            ..route("refreshTokens", Method::POST, "/v1/auth/refresh", app.client())
        },
        Route {
            fields: &["token", "new_password"],
            required: &["token", "new_password"],
            ..route("resetPassword", Method::POST, "/v1/auth/reset-password", app.client())
        },
        Route {
            fields: &["token", "new_password"],
            required: &["token"],
            ..route("verifyEmail", Method::POST, "/v1/auth/verify-email", app.client())
        },
        Route {
            fields: &["token"],
            required: &["token"],
            ..route("confirmEmail", Method::POST, "/v1/me/email/confirm", acme.owner.clone())
        },
        Route {
            fields: &["email", "current_password"],
            required: &["email", "current_password"],
            ..route("requestEmailChange", Method::POST, "/v1/me/email", acme.owner.clone())
        },
        Route {
            fields: &["email"],
            required: &["email"],
            ..route("requestPasswordReset", Method::POST, "/v1/auth/forgot-password", app.client())
        },
        Route {
            fields: &["kind", "email"],
            required: &["kind"],
            ..route("createMemberLink", Method::POST, &links_path(acme), app.operator())
        },
        Route {
            fields: &[],
            required: &[],
            needs_body: false,
            ..route("createPasswordReset", Method::POST, &reset_path(acme), app.operator())
        },
        route("createOrganization", Method::POST, "/v1/organizations", app.operator()),
        Route {
            fields: &["organization_name"],
            flags: &["delete_protection", "legal_hold"],
            required: &[],
            ..route("patchOrganization", Method::PATCH, &acme.path(), app.operator())
        },
        Route {
            fields: &["organization_name", "admin_email"],
            required: &[],
            needs_body: false,
            ..route("restoreOrganization", Method::POST, &format!("{}/restore", gone.path()), app.operator())
        },
        Route {
            fields: &["password"],
            required: &["password"],
            ..route(
                "setOwnerPassword",
                Method::POST,
                &format!("{}/set-password", acme.path()),
                app.operator(),
            )
        },
        Route {
            fields: &["organization"],
            required: &["organization"],
            ..route("switchOrganization", Method::POST, "/v1/auth/switch", acme.owner.clone())
        },
        Route {
            fields: &["current_password", "new_password"],
            required: &["current_password", "new_password"],
            ..route("changePassword", Method::POST, "/v1/me/password", acme.owner.clone())
        },
        Route {
            fields: &["role"],
            required: &[],
            ..route("changeMember", Method::PATCH, &acme.member(acme.owner_id()), app.operator())
        },
        Route {
            fields: &["email", "role"],
            required: &["email", "role"],
            ..route("createInvitation", Method::POST, &format!("{}/invitations", acme.path()), app.operator())
        },
        Route {
            fields: &[],
            required: &[],
            needs_body: false,
            ..route(
                "renewInvitation",
                Method::POST,
                &format!("{}/invitations/{invitation}/renew", acme.path()),
                app.operator(),
            )
        },
        Route {
            fields: &["token", "password"],
            required: &["token"],
            ..route("acceptInvitation", Method::POST, "/v1/invitations/accept", app.client())
        },
        Route {
            fields: &["token"],
            required: &["token"],
            ..route("linkIdentity", Method::POST, "/v1/me/identities", acme.owner.clone())
        },
        Route {
            fields: &["name"],
            required: &["name"],
            ..route("createCollection", Method::POST, &collections, acme.owner.clone())
        },
        Route {
            fields: &["keys", "name"],
            flags: &["unique", "sparse"],
            required: &["keys"],
            limit: DOCUMENT_LIMIT,
            ..route("createIndex", Method::POST, &format!("{collection}/indexes"), acme.owner.clone())
        },
        Route {
            fields: &["sort", "cursor", "fields"],
            flags: &["revisions", "explain"],
            required: &[],
            limit: DOCUMENT_LIMIT,
            ..route("queryDocuments", Method::POST, &format!("{collection}/query"), acme.owner.clone())
        },
        // Filters have tests of their own: here a filter is the only member, and never a text.
        Route {
            fields: &[],
            required: &[],
            limit: DOCUMENT_LIMIT,
            ..route(
                "countMatchingDocuments",
                Method::POST,
                &format!("{collection}/count"),
                acme.owner.clone(),
            )
        },
        Route {
            fields: &[],
            required: &["filter"],
            limit: DOCUMENT_LIMIT,
            ..route(
                "deleteMatchingDocuments",
                Method::POST,
                &format!("{collection}/delete"),
                acme.owner.clone(),
            )
        },
        Route {
            fields: &[],
            required: &["pipeline"],
            limit: DOCUMENT_LIMIT,
            ..route(
                "aggregateDocuments",
                Method::POST,
                &format!("{collection}/aggregate"),
                acme.owner.clone(),
            )
        },
        Route {
            fields: &["field"],
            required: &["field"],
            limit: DOCUMENT_LIMIT,
            ..route("listDistinctValues", Method::POST, &format!("{collection}/distinct"), acme.owner.clone())
        },
        Route {
            fields: &["sort", "return"],
            flags: &["multi", "upsert"],
            required: &["filter", "update"],
            limit: DOCUMENT_LIMIT,
            ..route("updateDocuments", Method::POST, &format!("{collection}/update"), acme.owner.clone())
        },
        Route {
            fields: &["return"],
            flags: &["upsert"],
            required: &["update"],
            limit: DOCUMENT_LIMIT,
            ..route(
                "updateDocument",
                Method::POST,
                &format!("{collection}/documents/d/update"),
                acme.owner.clone(),
            )
        },
        Route {
            fields: &[],
            required: &["operations"],
            limit: DOCUMENT_LIMIT,
            ..route("runBatch", Method::POST, &format!("{}/batch", acme.path()), acme.owner.clone())
        },
        Route {
            fields: &["sort"],
            required: &["filter"],
            limit: DOCUMENT_LIMIT,
            ..route(
                "findOneAndDelete",
                Method::POST,
                &format!("{collection}/find-one-and-delete"),
                acme.owner.clone(),
            )
        },
        Route {
            fields: &["level", "action"],
            required: &["schema"],
            limit: DOCUMENT_LIMIT,
            ..route("setCollectionSchema", Method::PUT, &format!("{collection}/schema"), acme.owner.clone())
        },
        Route {
            fields: &[],
            required: &[],
            needs_body: false,
            limit: DOCUMENT_LIMIT,
            ..route(
                "checkCollectionSchema",
                Method::POST,
                &format!("{collection}/schema/check"),
                acme.owner.clone(),
            )
        },
        document("insertDocument", Method::POST, &format!("{collection}/documents")),
        document("replaceDocument", Method::PUT, &format!("{collection}/documents/d")),
        document("patchDocument", Method::PATCH, &format!("{collection}/documents/d")),
    ]
}

/// Every organization and every operation, and what `acme` has.
async fn everything(app: &App, acme: &Organization) -> String {
    let list = app.operator().get("/v1/organizations?show_deleted=true").await;
    let mut text = list.text.clone();
    for organization in list.json()["items"].as_array().unwrap() {
        let path = format!("/v1/organizations/{}/operations", organization["id"].as_str().unwrap());
        text.push_str(&app.operator().get(&path).await.text);
    }
    for path in [
        format!("{}/invitations", acme.path()),
        format!("{}/collections", acme.path()),
        format!("{}/documents", collection(acme)),
    ] {
        text.push_str(&acme.owner.get(&path).await.text);
    }
    text
}

#[track_caller]
fn assert_refused(answer: &Answer, outcome: &str, what: &str) {
    assert_eq!(answer.outcome(), outcome, "{what}: {answer}");
    assert!(answer.took < AT_ONCE, "{what}: {answer} took {:?}", answer.took);
}

#[tokio::test]
async fn routes_with_body_are_all_tested_here() {
    let scene = Scene::start(Setup::unlimited()).await;
    let tested: BTreeSet<&str> = scene.routes.iter().map(|route| route.operation).collect();
    let operations = scene.app.document()["paths"].as_object().unwrap().values();
    let operations = operations.flat_map(|path| path.as_object().unwrap().values());
    // Archives that are refused are in `archives.rs`.
    let reading =
        operations.filter(|operation| !operation["requestBody"]["content"]["application/json"].is_null());
    let documented: BTreeSet<&str> =
        reading.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(tested, documented);
}
