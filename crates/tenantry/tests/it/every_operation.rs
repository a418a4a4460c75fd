//! Every operation of the OpenAPI document, by everybody who may not: nobody, somebody with a dead or made-up
//! credential, a member of another organization, the operator where only members may. What each is answered
//! follows from the operation's `x-access`; a new route without a rule, or whose request is not written down
//! here, fails.

mod document;
mod permissions;

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{
    Organization, PASSWORD, credentials, encoded, new_organization, sign_in, with_access,
};
use crate::support::keys::{exchange, organization_key, service_key, with_key};
use Expected::{Heard, Refused};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tenantry::system::SystemEntropy;
use tenantry_domain::app::operator;
use tenantry_domain::permission::{
    ORGANIZATION_KEY_PERMISSIONS, Permission, PermissionSet, SERVICE_KEY_PERMISSIONS, TOKEN_PERMISSIONS,
};

/// An operation of the document.
struct Operation {
    id: String,
    method: Method,
    template: String,
    access: String,
    description: Value,
}

impl Operation {
    fn all(app: &App) -> Vec<Self> {
        let mut all = Vec::new();
        for (template, methods) in app.document()["paths"].as_object().unwrap() {
            for (method, description) in methods.as_object().unwrap() {
                let text = |name: &str| {
                    let text = description[name].as_str();
                    text.unwrap_or_else(|| panic!("{method} {template} has no {name}")).to_owned()
                };
                all.push(Self {
                    id: text("operationId"),
                    method: method.to_uppercase().parse().unwrap(),
                    template: template.clone(),
                    access: text("x-access"),
                    description: description.clone(),
                });
            }
        }
        all
    }

    /// Whether it is about an organization that the request names.
    fn has_target(&self) -> bool {
        self.template.contains("{organization}")
            || self.template.contains("{operation_id}")
            || ["findOrganization", "updateOwnOrganization", "deleteOwnOrganization"]
                .contains(&self.id.as_str())
    }

    /// The refusal if its target does not exist or is not the caller's.
    fn not_found(&self) -> &'static str {
        if self.template.contains("{operation_id}") {
            "operation_not_found"
        } else {
            "organization_not_found"
        }
    }

    /// The variables of its path, but for the organization, and what it answers where nothing has that name.
    fn names_within(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            ("{collection}", "collection_not_found"),
            ("{document_id}", "document_not_found"),
            ("{index}", "index_not_found"),
            ("{key}", "key_not_found"),
            ("{account_id}", "member_not_found"),
            ("{invitation_id}", "invitation_not_found"),
            ("{role_name}", "role_not_found"),
            ("{session_id}", "session_not_found"),
            ("{link}", "link_not_found"),
            ("{kid}", "signing_key_not_found"),
            ("{identity_id}", "identity_not_found"),
        ];
        all.into_iter().filter(|(variable, _)| self.template.contains(variable)).collect()
    }

    async fn send(&self, client: &Client, target: &Target<'_>) -> Answer {
        let path = self
            .template
            .replace("{organization}", target.id)
            .replace("{operation_id}", target.operation)
            .replace("{collection}", target.collection)
            .replace("{document_id}", target.document)
            .replace("{index}", target.index)
            .replace("{key}", target.key(self))
            .replace("{account_id}", target.account)
            .replace("{invitation_id}", target.invitation)
            .replace("{role_name}", target.role)
            .replace("{session_id}", target.session)
            .replace("{link}", target.link)
            .replace("{kid}", "unknown")
            // Follows from an issuer and a person: nobody has this one.
            .replace("{identity_id}", "650000000000000000000000")
            .replace("{code}", "name_taken");
        let path = match self.id.as_str() {
            "findOrganization" => format!("{path}?organization_name={}", encoded(target.name)),
            "deleteDocuments" => format!("{path}?filter=%7B%7D"),
            _ => path,
        };
        let body = self.description.get("requestBody").map(|_| match self.id.as_str() {
            "importOrganization" | "insertDocuments" => ("application/x-ndjson", b"{}\n".to_vec()),
            _ => ("application/json", self.body(target).to_string().into_bytes()),
        });
        client.send(self.method.clone(), &path, body).await
    }

    /// A request that would do harm, or good, if it were allowed.
    fn body(&self, target: &Target<'_>) -> Value {
        match self.id.as_str() {
            "registerOrganization" | "createOrganization" => {
                new_organization(target.fresh, &format!("{}@new.example", target.fresh))
            }
            "signIn" => credentials(target.email, PASSWORD),
            "switchOrganization" => json!({ "organization": target.id }),
            "changePassword" => json!({ "current_password": "not this one", "new_password": PASSWORD }),
            "refreshTokens" => json!({ "refresh_token": "garbage" }),
            "updateOwnOrganization" => {
                json!({ "organization_name": target.name, "new_organization_name": target.fresh })
            }
            "deleteOwnOrganization" => json!({ "organization_name": target.name }),
            "patchOrganization" => json!({ "organization_name": target.fresh }),
            "changeMember" => json!({ "role": "viewer" }),
            "createPasswordReset" => json!({}),
            "createMemberLink" => json!({ "kind": "email_verification" }),
            "resetPassword" | "verifyEmail" => json!({ "token": "garbage", "new_password": PASSWORD }),
            "requestEmailChange" => {
                json!({ "email": format!("{}@new.example", target.fresh), "current_password": PASSWORD })
            }
            "requestPasswordReset" => json!({ "email": target.email }),
            "confirmEmail" => json!({ "token": "garbage" }),
            "createInvitation" => {
                json!({ "email": format!("{}@new.example", target.fresh), "role": target.role })
            }
            "renewInvitation" => json!({}),
            "createOrganizationRole" => json!({ "name": "further", "permissions": ["members:write"] }),
            "changeOrganizationRole" => json!({ "permissions": ["members:write"] }),
            "acceptInvitation" => json!({ "token": "garbage", "password": PASSWORD }),
            "restoreOrganization" => json!({}),
            "setOwnerPassword" => json!({ "password": PASSWORD }),
            "createServiceKey" | "createOrganizationKey" => {
                json!({ "name": target.fresh, "permissions": ["documents:read"] })
            }
            "rotateServiceKey" | "rotateOrganizationKey" => json!({}),
            "introspectToken" | "linkIdentity" => json!({ "token": "garbage" }),
            "issueToken" => json!({ "permissions": ["documents:read"] }),
            "createCollection" => json!({ "name": target.fresh }),
            "createIndex" => json!({ "keys": "a,-b" }),
            "setCollectionSchema" | "checkCollectionSchema" => json!({ "schema": { "required": ["b"] } }),
            "queryDocuments" | "countMatchingDocuments" => json!({ "filter": { "a": 1 } }),
            "deleteMatchingDocuments" | "findOneAndDelete" => json!({ "filter": {} }),
            "aggregateDocuments" => json!({ "pipeline": [{ "$group": { "_id": "$a" } }] }),
            "listDistinctValues" => json!({ "field": "a" }),
            "runBatch" => {
                json!({ "operations": [{ "op": "insert", "collection": target.collection, "document": { "a": 2 } }] })
            }
            "updateDocument" => json!({ "update": { "$set": { "a": 2 } } }),
            "updateDocuments" => json!({ "filter": {}, "update": { "$set": { "a": 2 } }, "multi": true }),
            "insertDocument" | "replaceDocument" | "patchDocument" => json!({ "a": 2 }),
            other => panic!("`{other}` reads a body: write down here what it is sent"),
        }
    }
}

/// The target of a request.
struct Target<'a> {
    id: &'a str,
    name: &'a str,
    email: &'a str,
    operation: &'a str,
    collection: &'a str,
    document: &'a str,
    index: &'a str,
    service_key: &'a str,
    organization_key: &'a str,
    account: &'a str,
    invitation: &'a str,
    session: &'a str,
    role: &'a str,
    /// The kind of a link.
    link: &'a str,
    /// A name that nobody has.
    fresh: &'a str,
}

impl<'a> Target<'a> {
    /// The key that the path of an operation names.
    fn key(&self, operation: &Operation) -> &'a str {
        if operation.has_target() { self.organization_key } else { self.service_key }
    }
}

/// The collection, the document and the index that every organization in this file has.
const COLLECTION: &str = "orders";
const DOCUMENT: &str = "order-1";
const INDEX: &str = "a_1";
/// The role of its own that every organization in this file has: only who manages members may give it.
const ROLE: &str = "helper";

async fn define_role(client: &Client, path: &str) {
    let body = json!({ "name": ROLE, "permissions": ["members:write"] });
    client.post(&format!("{path}/roles"), &body).await.created();
}

async fn fill(owner: &Client, path: &str) {
    owner.post(&format!("{path}/collections"), &json!({ "name": COLLECTION })).await.created();
    let path = format!("{path}/collections/{COLLECTION}");
    owner.post(&format!("{path}/documents"), &json!({ "_id": DOCUMENT, "a": 1 })).await.created();
    owner.post(&format!("{path}/indexes"), &json!({ "keys": "a" })).await.created();
    owner.put(&format!("{path}/schema"), &json!({ "schema": { "required": ["a"] } })).await.created();
}

/// Invites somebody; the id of the invitation.
async fn invite(client: &Client, path: &str) -> String {
    let body = json!({ "email": "invited@new.example", "role": "viewer" });
    let made = client.post(&format!("{path}/invitations"), &body).await.created();
    made["id"].as_str().unwrap().to_owned()
}

/// Makes a link for that member.
async fn make_link(app: &App, organization: &str, account: &str) {
    let path = format!("/v1/organizations/{organization}/members/{account}/links");
    app.operator().post(&path, &json!({ "kind": "email_verification" })).await.created();
}

/// The session of that client; none of a client that is nobody's.
async fn session_of(client: &Client) -> String {
    let answer = client.get("/v1/me/sessions").await;
    if answer.status != 200 {
        return "none".to_owned();
    }
    let page = answer.json();
    let current = page["items"].as_array().unwrap().iter().find(|session| session["current"] == true);
    current.unwrap()["id"].as_str().unwrap().to_owned()
}

/// The response to a caller without the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// This refusal.
    Refused(&'static str),
    /// Anything but a refusal for who asks.
    Heard,
}

/// The refusals for who asks.
const FOR_WHO_ASKS: [&str; 13] = [
    "token_missing",
    "token_invalid",
    "token_expired",
    "token_revoked",
    "operator_key_required",
    "operator_key_invalid",
    "operator_only",
    "members_only",
    "key_malformed",
    "key_invalid",
    "permission_missing",
    "session_required",
    "service_key_required",
];

#[track_caller]
fn assert_answered(operation: &Operation, caller: &str, answer: &Answer, expected: Expected) {
    let id = &operation.id;
    match expected {
        Refused(code) => {
            assert!(answer.status.is_client_error(), "{id} by {caller} got through: {answer}");
            assert_eq!(answer.outcome(), code, "{id} by {caller}: {answer}");
        }
        Heard if answer.status.is_client_error() => {
            let outcome = answer.outcome();
            let unheard = FOR_WHO_ASKS.contains(&outcome.as_str())
                || ["route_not_found", "method_not_allowed"].contains(&outcome.as_str());
            assert!(!unheard, "{id} by {caller}: {answer}");
        }
        Heard => assert!(answer.status.is_success(), "{id} by {caller}: {answer}"),
    }
}

/// What hands out a key of an organization, or makes one good.
const MAKES_ORGANIZATION_KEYS: [&str; 3] =
    ["createOrganizationKey", "rotateOrganizationKey", "confirmOrganizationKey"];

/// Programs of another organization than the victim, with every permission that there is for them.
struct ForeignPrograms {
    service: Client,
    key: Client,
    token: Client,
}

impl ForeignPrograms {
    async fn new(app: &App) -> Self {
        let owner = with_access(app, &sign_in(app, "owner@foreign.example").await);
        let id = app.operator().get("/v1/organizations/foreign").await.ok()["id"].clone();
        let path = format!("/v1/organizations/{}", id.as_str().unwrap());
        let names = |set: PermissionSet| set.iter().map(Permission::as_str).collect::<Vec<_>>();
        let body = json!({ "name": "x", "permissions": names(ORGANIZATION_KEY_PERMISSIONS) });
        let key = owner.post(&format!("{path}/keys"), &body).await.created();
        let body =
            json!({ "name": "x", "permissions": names(SERVICE_KEY_PERMISSIONS), "organizations": [id] });
        let service = with_key(app, &app.operator().post("/v1/keys", &body).await.created());
        let token = exchange(&service, &path, &names(TOKEN_PERMISSIONS)).await.ok();
        let token = app.client().with_token(token["access_token"].as_str().unwrap());
        Self { service, key: with_key(app, &key), token }
    }
}

/// A service with the victim, and everybody who has no business with it.
struct Scene {
    app: App,
    victim: Organization,
    operation: String,
    service_key: Value,
    organization_key: Value,
    /// What programs of the other organization come with.
    foreign: ForeignPrograms,
    invitation: String,
    /// Of the victim.
    session: String,
    expired: String,
    revoked: String,
    /// Whether the settings open to anybody what can be opened.
    is_open: bool,
}

impl Scene {
    async fn start(is_open: bool) -> Self {
        let flags: &[&str] =
            if is_open { &[] } else { &["--signup=operator", "--public-lookup=off", "--metrics=operator"] };
        // With keys that rotate, and metadata of the issuer.
        let setup = Setup::unlimited().with("--jwt-algorithm=EdDSA").with("--jwt-issuer=https://id.example");
        let app = flags.iter().fold(setup, |setup, flag| setup.with(flag)).start().await;
        for name in ["Victim", "Foreign"] {
            let email = format!("owner@{}.example", name.to_lowercase());
            app.operator().post("/v1/organizations", &new_organization(name, &email)).await.created();
        }
        let token = |tokens: &Value| tokens["access_token"].as_str().unwrap().to_owned();
        let expired = token(&sign_in(&app, "owner@victim.example").await);
        app.clock.advance(Duration::from_secs(3600));
        let revoked = token(&sign_in(&app, "owner@victim.example").await);
        app.client().with_token(&revoked).post_empty("/v1/auth/logout").await.done();
        let tokens = sign_in(&app, "owner@victim.example").await;
        let owner = with_access(&app, &tokens);
        let body = app.operator().get("/v1/organizations/victim").await.ok();
        let victim = Organization { body, owner, tokens };
        fill(&victim.owner, &victim.path()).await;
        let log = app.operator().get(&format!("{}/operations", victim.path())).await.ok();
        let operation = log["items"][0]["id"].as_str().unwrap().to_owned();
        let service_key = service_key(&app, &["tokens:issue", "tokens:introspect", "documents:read"]).await;
        let organization_key = organization_key(&victim, &["documents:read"]).await;
        let foreign = ForeignPrograms::new(&app).await;
        let invitation = invite(&victim.owner, &victim.path()).await;
        define_role(&victim.owner, &victim.path()).await;
        let session = session_of(&victim.owner).await;
        Self {
            app,
            victim,
            operation,
            invitation,
            session,
            service_key,
            organization_key,
            foreign,
            expired,
            revoked,
            is_open,
        }
    }

    fn target<'a>(&'a self, fresh: &'a str) -> Target<'a> {
        Target {
            id: self.victim.id(),
            name: self.victim.name(),
            email: self.victim.email(),
            operation: &self.operation,
            collection: COLLECTION,
            document: DOCUMENT,
            index: INDEX,
            service_key: self.service_key["id"].as_str().unwrap(),
            organization_key: self.organization_key["id"].as_str().unwrap(),
            account: self.victim.owner_id(),
            invitation: &self.invitation,
            session: &self.session,
            role: ROLE,
            link: "email_verification",
            fresh,
        }
    }

    /// Every caller that may be refused, with a name for each. The foreign member signs in again each time,
    /// because a logout is among the operations.
    async fn callers(&self) -> Vec<(&'static str, Client)> {
        let with = |token: &str| self.app.client().with_token(token);
        vec![
            ("nobody", self.app.client()),
            ("a garbage token", with("garbage")),
            ("an expired token", with(&self.expired)),
            ("a revoked token", with(&self.revoked)),
            ("a wrong operator key", with("tenantry_operator_wrong")),
            ("a wrong operator key", with(&operator::generate(&SystemEntropy))),
            ("a foreign token", with_access(&self.app, &sign_in(&self.app, "owner@foreign.example").await)),
            ("a foreign service key", self.foreign.service.clone()),
            ("a foreign key", self.foreign.key.clone()),
            ("a foreign exchanged token", self.foreign.token.clone()),
            ("the operator", self.app.operator()),
        ]
    }

    /// The effect of an operation's rule on a caller.
    fn expected(&self, operation: &Operation, caller: &str) -> Expected {
        let dead = match caller {
            "a garbage token" => Some("token_invalid"),
            "an expired token" => Some("token_expired"),
            "a revoked token" => Some("token_revoked"),
            _ => None,
        };
        let is_open = self.is_open;
        if let Some(expected) = self.expected_by_program(operation, caller) {
            return expected;
        }
        match (operation.access.as_str(), caller) {
            ("public", _) => Heard,
            // A credential that is sent there must be that of an account.
            ("optional_member", "a wrong operator key" | "the operator") => Refused("token_invalid"),
            ("optional_member", _) => dead.map_or(Heard, Refused),
            // A token proves nothing there, good or bad; an operator key is looked at where it matters.
            ("setting_operator", "a wrong operator key") if operation.id == "getMetrics" && is_open => Heard,
            ("setting_operator", "a wrong operator key") => Refused("operator_key_invalid"),
            ("setting_operator", "the operator") => Heard,
            ("setting_operator", _) => {
                if is_open {
                    Heard
                } else {
                    Refused("operator_key_required")
                }
            }
            ("setting", _) if is_open => Heard,
            ("setting" | "member" | "operator_or_member" | "own_member" | "service", "nobody") => {
                Refused("token_missing")
            }
            ("operator" | "operator_or_service" | "operator_or_account", "nobody") => {
                Refused("operator_key_required")
            }
            ("member", "a wrong operator key" | "the operator") => Refused("token_invalid"),
            ("own_member", "the operator") => Refused("members_only"),
            (
                "setting"
                | "operator_or_member"
                | "own_member"
                | "operator"
                | "operator_or_service"
                | "operator_or_account"
                | "service",
                "a wrong operator key",
            ) => Refused("operator_key_invalid"),
            ("service", "the operator" | "a foreign token") => Refused("service_key_required"),
            // The operator makes no key that opens data.
            ("operator_or_member", "the operator")
                if MAKES_ORGANIZATION_KEYS.contains(&operation.id.as_str()) =>
            {
                Refused("session_required")
            }
            (
                "setting" | "operator_or_member" | "operator" | "operator_or_service" | "operator_or_account",
                "the operator",
            ) => Heard,
            (
                "setting"
                | "member"
                | "operator_or_member"
                | "own_member"
                | "operator"
                | "operator_or_service"
                | "operator_or_account"
                | "service",
                _,
            ) if dead.is_some() => Refused(dead.unwrap()),
            ("operator_or_account", "a foreign token") if is_open => Heard,
            ("operator" | "operator_or_service" | "operator_or_account", "a foreign token") => {
                Refused("operator_only")
            }
            // Names are known to anybody, or they are not.
            ("member", "a foreign token") if operation.id == "updateOwnOrganization" => {
                Refused("not_your_organization")
            }
            ("member", "a foreign token") if operation.has_target() && is_open => {
                Refused("not_your_organization")
            }
            ("setting" | "member" | "operator_or_member" | "own_member", "a foreign token") => {
                if operation.has_target() { Refused(operation.not_found()) } else { Heard }
            }
            (access, _) => panic!("`{}` has an access that has no meaning here: {access}", operation.id),
        }
    }

    /// What it means for a program of the other organization, with every permission that it can have.
    fn expected_by_program(&self, operation: &Operation, caller: &str) -> Option<Expected> {
        let is_service = caller == "a foreign service key";
        if !is_service && !["a foreign key", "a foreign exchanged token"].contains(&caller) {
            return None;
        }
        let nothing = if operation.has_target() { Refused(operation.not_found()) } else { Heard };
        Some(match operation.access.as_str() {
            "public" => Heard,
            // A token proves nothing there; a key is looked at where it matters.
            "setting_operator" if caller == "a foreign exchanged token" && self.is_open => Heard,
            "setting_operator" if caller == "a foreign exchanged token" => Refused("operator_key_required"),
            "setting_operator" if operation.id == "getMetrics" && self.is_open => Heard,
            "setting_operator" | "operator" => Refused("operator_only"),
            "setting" if self.is_open => Heard,
            "member" | "optional_member" => Refused("session_required"),
            "own_member" if is_service => Refused("members_only"),
            "operator_or_service" | "operator_or_account" if !is_service => Refused("operator_only"),
            // Its key is limited to the other organization.
            "operator_or_service" | "operator_or_account" if !operation.has_target() => {
                Refused("permission_missing")
            }
            "service" if !is_service => Refused("service_key_required"),
            "setting" | "operator_or_member" | "own_member" | "operator_or_service" | "service" => nothing,
            access => panic!("`{}` has an access that has no meaning here: {access}", operation.id),
        })
    }

    /// The victim's record, log and data.
    async fn victim_now(&self) -> Vec<Value> {
        let (operator, owner, path) = (self.app.operator(), &self.victim.owner, self.victim.path());
        let mut all = vec![
            operator.get(&path).await.ok(),
            operator.get(&format!("{path}/operations")).await.ok(),
            owner.get(&format!("{path}/collections")).await.ok(),
            owner.get(&format!("{path}/members")).await.ok(),
            owner.get(&format!("{path}/invitations")).await.ok(),
            owner.get(&format!("{path}/roles")).await.ok(),
        ];
        for what in ["documents", "indexes", "schema"] {
            all.push(owner.get(&format!("{path}/collections/{COLLECTION}/{what}")).await.ok());
        }
        all
    }
}

#[tokio::test]
async fn operations_refuse_every_caller_without_the_right() {
    for is_open in [true, false] {
        let scene = Scene::start(is_open).await;
        let before = scene.victim_now().await;
        let operations = Operation::all(&scene.app);
        assert!(operations.len() > 20, "the document has lost its operations");
        for (number, operation) in operations.iter().enumerate() {
            for (caller, client) in scene.callers().await {
                // The other test covers what the operator may do: here it would actually happen.
                let expected = scene.expected(operation, caller);
                if (caller, expected) == ("the operator", Heard) {
                    continue;
                }
                let fresh = format!("fresh-{number}-{}", caller.replace(' ', "-"));
                let answer = operation.send(&client, &scene.target(&fresh)).await;
                assert_answered(operation, caller, &answer, expected);
            }
        }
        assert_eq!(scene.victim_now().await, before);
        scene.victim.owner.get(&scene.victim.path()).await.ok();
    }
}

/// Requests in this file that are refused for every caller: the organization is in use, or the token or the
/// archive is not a real one.
const REFUSED_ALL_THE_SAME: [(&str, &str); 20] = [
    ("importOrganization", "archive_invalid"),
    ("restoreOrganization", "organization_not_deleted"),
    ("purgeOrganization", "organization_not_deleted"),
    ("reactivateOrganization", "organization_not_suspended"),
    ("refreshTokens", "refresh_token_invalid"),
    ("acceptInvitation", "invalid_input"),
    ("resetPassword", "invalid_input"),
    ("verifyEmail", "invalid_input"),
    ("confirmEmail", "invalid_input"),
    ("requestEmailChange", "mail_not_configured"),
    ("requestEmailVerification", "mail_not_configured"),
    ("requestPasswordReset", "mail_not_configured"),
    ("changePassword", "invalid_credentials"),
    ("changeMember", "last_owner"),
    ("removeMember", "last_owner"),
    ("removeAccount", "last_owner"),
    ("rotateSigningKey", "signing_key_unready"),
    ("retireSigningKey", "signing_key_not_found"),
    // Without a provider there is no token, and no link.
    ("linkIdentity", "invalid_input"),
    ("unlinkIdentity", "identity_not_found"),
];

#[tokio::test]
async fn operations_accept_every_caller_with_the_right() {
    for is_open in [true, false] {
        let scene = Scene::start(is_open).await;
        for operation in Operation::all(&scene.app) {
            let clients: Vec<(&str, Client)> = match operation.access.as_str() {
                "public" | "optional_member" => vec![("nobody", scene.app.client())],
                "setting" | "setting_operator" if is_open => vec![("nobody", scene.app.client())],
                "setting_operator" | "operator" | "operator_or_service" | "operator_or_account" => {
                    vec![("the operator", scene.app.operator())]
                }
                "service" => vec![("the backend", with_key(&scene.app, &scene.service_key))],
                "member" | "own_member" => vec![("the owner", scene.app.client())],
                _ if MAKES_ORGANIZATION_KEYS.contains(&operation.id.as_str()) => {
                    vec![("the owner", scene.app.client())]
                }
                _ => vec![("the operator", scene.app.operator()), ("the owner", scene.app.client())],
            };
            for (number, (caller, client)) in clients.into_iter().enumerate() {
                // An organization of its own for each, because some of them end it.
                let name = format!("Of {} {number}", operation.id);
                let email = format!("owner-{number}@{}.example", operation.id.replace('_', "-"));
                let new = new_organization(&name, &email);
                let made = scene.app.operator().post("/v1/organizations", &new).await;
                let made_by = made.header("operation-location").rsplit('/').next().unwrap().to_owned();
                let made = made.created();
                let client = match caller {
                    "the owner" => with_access(&scene.app, &sign_in(&scene.app, &email).await),
                    _ => client,
                };
                let is_within = operation.template.contains("{collection}") || operation.id == "runBatch";
                if is_within {
                    fill(&client, &format!("/v1/organizations/{}", made["id"].as_str().unwrap())).await;
                }
                let made_service_key = service_key(&scene.app, &["documents:read"]).await;
                let owner = with_access(&scene.app, &sign_in(&scene.app, &email).await);
                let new = json!({ "name": "x", "permissions": ["documents:read"] });
                let keys = format!("/v1/organizations/{}/keys", made["id"].as_str().unwrap());
                let made_key = owner.post(&keys, &new).await.created();
                let invitation = invite(
                    &scene.app.operator(),
                    &format!("/v1/organizations/{}", made["id"].as_str().unwrap()),
                )
                .await;
                let path = format!("/v1/organizations/{}", made["id"].as_str().unwrap());
                define_role(&scene.app.operator(), &path).await;
                let session = session_of(&client).await;
                if operation.template.contains("{link}") {
                    make_link(&scene.app, made["id"].as_str().unwrap(), made["admin_id"].as_str().unwrap())
                        .await;
                }
                let target = Target {
                    id: made["id"].as_str().unwrap(),
                    name: &name,
                    email: &email,
                    operation: &made_by,
                    collection: COLLECTION,
                    document: DOCUMENT,
                    index: INDEX,
                    service_key: made_service_key["id"].as_str().unwrap(),
                    organization_key: made_key["id"].as_str().unwrap(),
                    account: made["admin_id"].as_str().unwrap(),
                    invitation: &invitation,
                    session: &session,
                    role: ROLE,
                    link: "email_verification",
                    fresh: &format!("fresh-{}-{number}", operation.id.replace('_', "-")),
                };
                let answer = operation.send(&client, &target).await;
                match REFUSED_ALL_THE_SAME.iter().find(|(id, _)| *id == operation.id) {
                    Some((_, code)) => drop(answer.refused(code)),
                    None => assert!(answer.status.is_success(), "{} by {caller}: {answer}", operation.id),
                }
            }
        }
    }
}

#[tokio::test]
async fn operations_on_unknown_organization_find_nothing() {
    let scene = Scene::start(true).await;
    for operation in Operation::all(&scene.app).iter().filter(|operation| operation.template.contains('{')) {
        let callers = match operation.access.as_str() {
            _ if operation.template.starts_with("/v1/keys/") => continue,
            _ if operation.template.starts_with("/v1/signing-keys/") => continue,
            _ if operation.template.starts_with("/v1/me/") => continue,
            "operator" | "operator_or_service" => vec![scene.app.operator()],
            "service" => vec![with_key(&scene.app, &scene.service_key)],
            "operator_or_member" => vec![scene.app.operator(), scene.victim.owner.clone()],
            "own_member" => vec![scene.victim.owner.clone()],
            "public" => continue,
            access => panic!("`{}`: {access} has no meaning here", operation.id),
        };
        for client in callers {
            let unknown = Target {
                id: "0123456789abcdef01234567",
                operation: "0123456789abcdef01234567",
                ..scene.target("fresh")
            };
            let answer = operation.send(&client, &unknown).await;
            assert_answered(operation, "somebody", &answer, Refused(operation.not_found()));
        }
    }
}

#[tokio::test]
async fn operations_on_unknown_names_in_own_organization_find_nothing() {
    let scene = Scene::start(true).await;
    for operation in Operation::all(&scene.app) {
        for (variable, code) in operation.names_within() {
            // One that nothing has, and some that nothing can have.
            for name in ["nothing", "%FF", "~%7B", "%2F..%00", "_id_"] {
                let target = scene.target("fresh");
                let target = match variable {
                    "{collection}" => Target { collection: name, ..target },
                    "{document_id}" => Target { document: name, ..target },
                    "{key}" => Target { service_key: name, organization_key: name, ..target },
                    "{account_id}" => Target { account: name, ..target },
                    "{invitation_id}" => Target { invitation: name, ..target },
                    "{role_name}" => Target { role: name, ..target },
                    "{session_id}" => Target { session: name, ..target },
                    "{link}" => Target { link: name, ..target },
                    _ => Target { index: name, ..target },
                };
                let operator = scene.app.operator();
                let is_operators = operation.access == "operator";
                let client = if is_operators { &operator } else { &scene.victim.owner };
                let answer = operation.send(client, &target).await;
                assert_answered(&operation, name, &answer, Refused(code));
            }
        }
    }
}
