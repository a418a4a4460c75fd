//! Sends every route the name of every kind of organization, in every place where a request can have one. No
//! response may contain another organization's data.
//!
//! Each organization has canaries: texts that occur in its documents and in the names of its collections and
//! indexes, and nowhere else. The tests here check the bytes of responses; `every_operation` checks their
//! statuses.

use crate::support::app::App;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{Organization, encoded, organization};
use reqwest::Method;
use serde_json::{Value, json};

/// The least number of requests that make the test worth its name.
const CHECKS: usize = 2_000;

/// An organization with canaries, and all by which a request could name it or something of it.
struct Home {
    organization: Organization,
    /// In everything it keeps.
    canary: String,
    collection: String,
    document: String,
    index: String,
    /// A role of its own.
    role: String,
    cursor: String,
    etag: String,
    /// An `Idempotency-Key` that it has used.
    key: String,
}

impl Home {
    async fn make(app: &App, name: &str) -> Self {
        let organization = organization(app, name).await;
        let canary = format!("canary{}", name.to_lowercase());
        let home = Self {
            collection: format!("{canary}-collection"),
            document: format!("{canary}-document"),
            index: format!("{canary}-index"),
            role: format!("{canary}-role"),
            key: format!("{name}-key"),
            cursor: String::new(),
            etag: String::new(),
            canary,
            organization,
        };
        home.fill().await
    }

    async fn fill(mut self) -> Self {
        let (owner, path) = (self.organization.owner.clone(), self.organization.path());
        owner.post(&format!("{path}/collections"), &json!({ "name": self.collection })).await.created();
        let role =
            json!({ "name": self.role, "description": self.canary, "permissions": ["documents:read"] });
        owner.post(&format!("{path}/roles"), &role).await.created();
        for collection in [self.collection.as_str(), "documents"] {
            let base = format!("{path}/collections/{collection}");
            owner
                .post(&format!("{base}/indexes"), &json!({ "keys": "n", "name": self.index }))
                .await
                .created();
            let schema =
                json!({ "schema": { "title": self.canary, "required": ["_id"] }, "level": "moderate" });
            owner.put(&format!("{base}/schema"), &schema).await.created();
            for number in 0..3 {
                let id =
                    if number == 0 { self.document.clone() } else { format!("{}{number}", self.document) };
                let document = json!({ "_id": id, "n": number, "text": self.canary, "same": "in all" });
                let made = owner
                    .with_header("idempotency-key", &format!("{}{collection}{number}", self.key))
                    .post(&format!("{base}/documents"), &document)
                    .await;
                self.etag = made.header("etag").to_owned();
                made.created();
            }
            let page = owner.get(&format!("{base}/documents?limit=1")).await.ok();
            self.cursor = page["next_cursor"].as_str().unwrap().to_owned();
        }
        self.key = format!("{}documents0", self.key);
        self
    }

    /// Everything it keeps, as itself.
    async fn contents(&self) -> Vec<Value> {
        let (owner, path) = (&self.organization.owner, self.organization.path());
        let mut contents = vec![owner.get(&format!("{path}/collections")).await.ok()];
        for collection in [self.collection.as_str(), "documents"] {
            let base = format!("{path}/collections/{collection}");
            contents.push(owner.get(&format!("{base}/documents")).await.ok());
            contents.push(owner.get(&format!("{base}/indexes")).await.ok());
            contents.push(owner.get(&format!("{base}/schema")).await.ok());
        }
        contents
    }
}

/// The organization that must stay hidden, and the callers.
struct Scene {
    app: App,
    own: Home,
    other: Home,
    deleted: Home,
    checks: usize,
}

impl Scene {
    async fn start() -> Self {
        let app = App::start().await;
        let (own, other, deleted) = (
            Home::make(&app, "Own").await,
            Home::make(&app, "Other").await,
            Home::make(&app, "Deleted").await,
        );
        let gone = deleted.organization.owner.delete("/org/delete?organization_name=Deleted").await;
        gone.ok();
        Self { app, own, other, deleted, checks: 0 }
    }

    fn asker(&self) -> Client {
        self.own.organization.owner.clone()
    }

    /// Texts that could name an organization in a path.
    fn names(&self) -> Vec<(&'static str, String)> {
        vec![
            ("own", self.own.organization.id().to_owned()),
            ("own", "own".into()),
            ("other", self.other.organization.id().to_owned()),
            ("other", "other".into()),
            ("deleted", self.deleted.organization.id().to_owned()),
            ("deleted", "deleted".into()),
            ("missing", "0123456789abcdef01234567".into()),
            ("missing", "nobody-is-called-so".into()),
        ]
    }

    fn homes(&self) -> [&Home; 3] {
        [&self.own, &self.other, &self.deleted]
    }

    fn check(&mut self, what: &str, answer: &Answer) {
        self.checks += 1;
        let headers = format!("{:?}", answer.headers);
        for foreign in [&self.other, &self.deleted] {
            let leaks =
                answer.text_beyond_request().contains(&foreign.canary) || headers.contains(&foreign.canary);
            assert!(!leaks, "{what}: {answer}");
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

    /// Paths with the organization, and everything in it that a path can name.
    fn paths(&self, name: &str, things: &Home) -> String {
        self.template
            .replace("{organization}", name)
            .replace("{collection}", &things.collection)
            .replace("{id}", &things.document)
            .replace("{document_id}", &things.document)
            .replace("{index}", &things.index)
            .replace("{operation_id}", things.organization.id())
            .replace("{account_id}", things.organization.owner_id())
            .replace("{invitation_id}", things.organization.id())
            .replace("{role_name}", &things.role)
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
    let mut scene = Scene::start().await;
    let before = scene.other.contents().await;
    for route in routes(&scene.app) {
        for (kind, name) in scene.names() {
            for things in 0..3 {
                aim(&mut scene, &route, kind, &name, things).await;
            }
        }
    }
    assert!(scene.checks >= CHECKS, "{} checks", scene.checks);
    assert_eq!(scene.other.contents().await, before, "another's data was changed");
    // The organizations that were named still exist, and a deleted one comes back as it was.
    let back = format!("/v1/organizations/{}/restore", scene.deleted.organization.id());
    scene.app.operator().post(&back, &json!({})).await.ok();
    let tokens = crate::support::fixtures::sign_in(&scene.app, scene.deleted.organization.email()).await;
    scene.deleted.organization.owner = crate::support::fixtures::with_access(&scene.app, &tokens);
    let kept = scene.deleted.contents().await;
    assert_eq!(kept[1]["items"].as_array().unwrap().len(), 3, "{kept:?}");
    println!("{} checks", scene.checks);
}

/// Sends the route everything there is, at the organization `name`, naming things of the home of that number.
async fn aim(scene: &mut Scene, route: &Route, kind: &str, name: &str, things: usize) {
    if kind == "own" && (route.is_harmful() || route.method == Method::DELETE) {
        return;
    }
    // The caller could read its own copy of another organization's texts.
    let only_reads = ["queryDocuments", "countMatchingDocuments", "aggregateDocuments", "listDistinctValues"]
        .contains(&route.id.as_str());
    if kind == "own" && things != 0 && route.method != Method::GET && !only_reads {
        return;
    }
    let names_organization = route.template.contains("{organization}");
    if !names_organization && kind != "own" && kind != "other" {
        return;
    }
    if !names_organization && (route.is_harmful() || route.method != Method::GET) {
        return;
    }
    let mut requests: Vec<(Client, String, Option<Value>)> = Vec::new();
    {
        let home = scene.homes()[things];
        let path = route.paths(name, home);
        let client = scene.asker();
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
        scene.check(&what, &answer);
    }
}
