//! Sends every route the name of every kind of organization, in every place where a request can have one. No
//! response may contain another organization's data.
//!
//! Each organization has canaries: texts that occur in its documents, in the names of its collections, indexes, roles and
//! keys, in the addresses of its members and of those it has invited, in its links and identities and in its audit trail,
//! and nowhere else. The tests here check the bytes of responses; `every_operation` checks their statuses.

mod callers;
mod home;

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{encoded, sign_in, with_access};
use crate::support::identity_provider::Provider;
use callers::Caller;
use home::Home;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The least number of requests that make the test worth its name.
const CHECKS: usize = 4_000;
/// The least number of them for each caller beside the owner.
const CHECKS_OF_EACH: usize = 500;

/// The organizations that must stay hidden, and the callers of the one that asks.
struct Scene {
    app: App,
    own: Home,
    other: Home,
    deleted: Home,
    callers: Vec<Caller>,
    /// How often each caller has asked.
    checks: BTreeMap<&'static str, usize>,
}

impl Scene {
    async fn start() -> Self {
        let provider = Provider::new();
        provider.configure(&provider.entry_of_any_organization());
        let app = Setup::unlimited().with(&provider.flag()).start().await;
        let (own, other, deleted) = (
            Home::make(&app, &provider, "Own").await,
            Home::make(&app, &provider, "Other").await,
            Home::make(&app, &provider, "Deleted").await,
        );
        let callers = callers::all(&app, &own, &other).await;
        let gone = deleted.organization.owner.delete("/org/delete?organization_name=Deleted").await;
        gone.ok();
        Self { app, own, other, deleted, callers, checks: BTreeMap::new() }
    }

    /// Texts that could name an organization in a path. Only the owner tries them all.
    fn names(&self, caller: &Caller) -> Vec<(&'static str, String)> {
        let mut names = vec![
            ("own", self.own.organization.id().to_owned()),
            ("other", self.other.organization.id().to_owned()),
        ];
        if caller.is_owner() {
            names.extend([
                ("other", "other".into()),
                ("own", "own".into()),
                ("deleted", self.deleted.organization.id().to_owned()),
                ("deleted", "deleted".into()),
                ("missing", "0123456789abcdef01234567".into()),
                ("missing", "nobody-is-called-so".into()),
            ]);
        }
        names
    }

    fn homes(&self) -> [&Home; 3] {
        [&self.own, &self.other, &self.deleted]
    }

    fn check(&mut self, caller: &'static str, what: &str, answer: &Answer) {
        *self.checks.entry(caller).or_default() += 1;
        let headers = format!("{:?}", answer.headers);
        for foreign in [&self.other, &self.deleted] {
            let leaks =
                answer.text_beyond_request().contains(&foreign.canary) || headers.contains(&foreign.canary);
            assert!(!leaks, "{caller}: {what}: {answer}");
        }
    }
}

/// A route, as the document describes it.
struct Route {
    id: String,
    method: Method,
    template: String,
    has_body: bool,
}

/// The routes that name an organization, or would take one if they were wrong. Those that end the asker's own
/// sign-in are not among them.
fn routes(app: &App) -> Vec<Route> {
    let mut routes = Vec::new();
    for (template, methods) in app.document()["paths"].as_object().unwrap() {
        for (method, description) in methods.as_object().unwrap() {
            let id = description["operationId"].as_str().unwrap().to_owned();
            if ["signOut", "signIn", "refreshTokens"].contains(&id.as_str()) {
                continue;
            }
            let has_body = description.get("requestBody").is_some();
            let method = method.to_uppercase().parse().unwrap();
            routes.push(Route { id, method, template: template.clone(), has_body });
        }
    }
    routes
}

impl Route {
    /// Whether it would end what the asker has, aimed at their own organization.
    fn is_harmful(&self) -> bool {
        let organization = [
            "patchOrganization",
            "deleteOrganization",
            "purgeOrganization",
            "suspendOrganization",
            "updateOwnOrganization",
            "deleteOwnOrganization",
            "registerOrganization",
            "createOrganization",
            "importOrganization",
            // By then, the target no longer exists.
            "deleteMatchingDocuments",
            "findOneAndDelete",
            "updateDocuments",
            "updateDocument",
            "runBatch",
        ];
        organization.contains(&self.id.as_str())
    }

    /// Whether its path names something by an id that no other organization has: aimed at another's, it is refused.
    fn names_by_id(&self) -> bool {
        ["{key}", "{invitation_id}", "{account_id}", "{operation_id}", "{session_id}", "{identity_id}"]
            .iter()
            .any(|name| self.template.contains(name))
    }

    /// Paths with the organization, and everything in it that a path can name.
    fn paths(&self, name: &str, things: &Home) -> String {
        self.template
            .replace("{organization}", name)
            .replace("{collection}", &things.collection)
            .replace("{id}", &things.document)
            .replace("{document_id}", &things.document)
            .replace("{index}", &things.index)
            .replace("{operation_id}", &things.operation)
            .replace("{account_id}", things.organization.owner_id())
            .replace("{invitation_id}", &things.invitation)
            .replace("{key}", &things.api_key)
            .replace("{session_id}", &things.session)
            .replace("{identity_id}", &things.identity)
            .replace("{link}", home::LINK_KIND)
            .replace("{role_name}", &things.role)
            .replace("{kid}", "0123456789abcdef")
            .replace("{code}", "name_taken")
    }

    /// Bodies that could do something, naming something of `things`.
    fn bodies(&self, things: &Home) -> Vec<Value> {
        let id = things.organization.id();
        vec![
            json!({ "_id": things.document, "org_id": id, "collection": things.collection }),
            json!({ "filter": { "_id": things.document }, "sort": "n", "cursor": things.cursor }),
            json!({ "filter": { "org_id": id } }),
            json!({ "filter": { "$or": [{ "organization_id": id }, { "text": { "$exists": true } }] } }),
            json!({ "pipeline": [{ "$match": { "org_id": id } }, { "$project": { "all": "$$ROOT" } }] }),
            json!({ "pipeline": [{ "$group": { "_id": "$$ROOT" } }, { "$unwind": "$_id" }, { "$sort": { "_id.text": 1 } }] }),
            json!({ "pipeline": [{ "$group": { "_id": "$document.text", "all": { "$push": "$document" } } }] }),
            json!({ "field": "text", "filter": { "$or": [{ "org_id": id }, { "text": { "$exists": true } }] } }),
            json!({ "field": "document.text" }),
            json!({
                "filter": { "$or": [{ "org_id": id }, { "_id": { "$exists": true } }] },
                "update": { "$set": { "org_id": id, "collection": things.collection } }, "multi": true, "upsert": true,
            }),
            json!({ "update": { "$rename": { "_id": "id" }, "$set": { "a.$[x]": id } }, "arrayFilters": [{ "x.org_id": id }] }),
            json!({ "update": { "$set": { "document.org_id": id }, "$unset": { "revision": 1 } }, "upsert": true }),
            json!({ "operations": [{ "op": "update", "collection": things.collection, "id": things.document,
                "update": { "$set": { "org_id": id, "document.org_id": id } }, "upsert": true }] }),
            json!({ "operations": [
                { "op": "check", "collection": things.collection, "id": things.document, "exists": true },
                { "op": "patch", "collection": "documents", "id": things.document, "patch": { "org_id": id } },
                { "op": "delete", "collection": "documents", "id": things.document }], "org_id": id }),
            json!({ "schema": { "properties": { "org_id": { "const": id } }, "required": ["document"] }, "action": "warn" }),
            json!({ "schema": { "$ref": format!("/v1/organizations/{id}/collections/{}/schema", things.collection) } }),
            json!({ "name": things.collection, "keys": "n", "organization": id, "organization_id": id }),
            json!({ "organization_name": things.organization.name(), "org_id": id, "id": id }),
            json!({}),
            json!({ "permissions": ["documents:read"], "subject": things.organization.owner_id() }),
            json!({ "name": things.api_key, "permissions": ["documents:read"] }),
            json!({ "email": things.invited, "role": "viewer" }),
            json!({ "role": "viewer" }),
            json!({ "overlap": 60 }),
            json!({ "description": things.role, "permissions": ["documents:read"] }),
            json!({ "kind": home::LINK_KIND, "email": things.invited }),
        ]
    }

    /// Queries, likewise.
    fn queries(things: &Home) -> Vec<String> {
        let id = things.organization.id();
        vec![
            String::new(),
            format!("?organization_name={}", encoded(things.organization.name())),
            format!("?cursor={}", things.cursor),
            format!("?limit=2&cursor={}", things.cursor),
            format!("?organization={id}&org_id={id}"),
            format!("?filter={}", encoded(&json!({ "_id": things.document }).to_string())),
            format!("?filter={}", encoded(&json!({ "org_id": id }).to_string())),
            format!("?filter={}", encoded(&json!({ "document.text": { "$exists": true } }).to_string())),
            format!("?sort=org_id,text&fields={}", encoded("org_id,document,text")),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_show_nothing_of_another_organization() {
    let began = std::time::Instant::now();
    let mut scene = Scene::start().await;
    let before = scene.other.contents().await;
    let routes = routes(&scene.app);
    for caller in scene.callers.clone() {
        for route in &routes {
            for (kind, name) in scene.names(&caller) {
                // The others name what is another's; the owner also what is their own, and what was deleted.
                for things in if caller.is_owner() { 0..3 } else { 1..2 } {
                    aim(&mut scene, &caller, route, kind, &name, things).await;
                }
            }
        }
        // Its credential was good all the time: what was refused was refused for the organization.
        caller.client.get(&scene.own.organization.path()).await.ok();
    }
    let all: usize = scene.checks.values().sum();
    assert!(all >= CHECKS && scene.checks.len() == scene.callers.len(), "{:?}", scene.checks);
    assert!(scene.checks.values().all(|checks| *checks >= CHECKS_OF_EACH), "{:?}", scene.checks);
    assert_eq!(scene.other.contents().await, before, "another's data was changed");
    // The organizations that were named still exist, and a deleted one comes back as it was.
    let back = format!("/v1/organizations/{}/restore", scene.deleted.organization.id());
    scene.app.operator().post(&back, &json!({})).await.ok();
    let tokens = sign_in(&scene.app, scene.deleted.organization.email()).await;
    scene.deleted.organization.owner = with_access(&scene.app, &tokens);
    let kept = scene.deleted.contents().await;
    assert_eq!(kept[1]["items"].as_array().unwrap().len(), 3, "{kept:?}");
    println!("{all} checks in {:?}: {:?}", began.elapsed(), scene.checks);
}

/// The canaries are where they are said to be: each list of another organization, read by itself, has its own.
#[tokio::test]
async fn every_list_of_an_organization_has_its_canary() {
    let provider = Provider::new();
    provider.configure(&provider.entry_of_any_organization());
    let app = Setup::unlimited().with(&provider.flag()).start().await;
    let home = Home::make(&app, &provider, "Other").await;
    for list in home.lists() {
        let answer = home.organization.owner.get(&list).await;
        assert!(answer.status.is_success() && answer.text.contains(&home.canary), "{list}: {answer}");
    }
    let links = format!("{}/links", home.organization.member(home.organization.owner_id()));
    assert!(app.operator().get(&links).await.text.contains(&home.canary));
}

/// Sends the route everything there is, at the organization `name`, naming things of the home of that number.
async fn aim(scene: &mut Scene, caller: &Caller, route: &Route, kind: &str, name: &str, things: usize) {
    if !is_aimed(route, kind, things) {
        return;
    }
    let mut requests: Vec<(Client, String, Option<Value>)> = Vec::new();
    {
        let home = scene.homes()[things];
        let path = route.paths(name, home);
        let client = &caller.client;
        if route.has_body {
            for body in route.bodies(home) {
                requests.push((client.clone(), path.clone(), Some(body)));
            }
        } else {
            for query in Route::queries(home) {
                requests.push((client.clone(), format!("{path}{query}"), None));
            }
        }
        let body = route.has_body.then(|| json!({ "_id": format!("{}0", home.document), "n": 0 }));
        for (header, value) in [
            ("if-match", home.etag.clone()),
            ("if-none-match", home.etag.clone()),
            ("idempotency-key", home.key.clone()),
            ("x-organization-id", home.organization.id().to_owned()),
            ("x-tenant", "other".to_owned()),
            ("host", "other.example".to_owned()),
        ] {
            requests.push((client.with_header(header, &value), path.clone(), body.clone()));
        }
    }
    for (client, path, body) in requests {
        let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
        let what = format!("{} at {kind} {path}", route.id);
        let answer = client.send(route.method.clone(), &path, body).await;
        scene.check(caller.name, &what, &answer);
    }
}

/// Whether a request there could only show something: what would end the caller's own, or is no organization's, is left
/// out.
fn is_aimed(route: &Route, kind: &str, things: usize) -> bool {
    let is_at_own = kind == "own";
    let names_other = things != 0 && route.names_by_id();
    if is_at_own && (route.is_harmful() || route.method == Method::DELETE && !names_other) {
        return false;
    }
    // The caller could read its own copy of another organization's texts.
    let only_reads = ["queryDocuments", "countMatchingDocuments", "aggregateDocuments", "listDistinctValues"]
        .contains(&route.id.as_str());
    if is_at_own && things != 0 && route.method != Method::GET && !only_reads && !names_other {
        return false;
    }
    if route.template.contains("{organization}") {
        return true;
    }
    let changes = route.is_harmful() || route.method != Method::GET;
    ["own", "other"].contains(&kind) && (!changes || names_other)
}
