//! What bad input gets: a problem that names every bad field, in milliseconds, and nothing changes.

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{Organization, PASSWORD, encoded, organization};
use crate::support::raw::{chunked, exchange, head};
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

    fn is_v1(&self) -> bool {
        self.path.starts_with("/v1/")
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
        let routes = routes(&app, &acme, &gone);
        let before = everything(&app, &acme).await;
        Self { app, acme, routes, before }
    }

    /// That nothing has changed, and that the service still works.
    async fn assert_unchanged(&self) {
        assert_eq!(everything(&self.app, &self.acme).await, self.before);
        self.acme.owner.get(&self.acme.path()).await.ok();
    }
}

/// The path of the collection that every organization has.
fn collection(organization: &Organization) -> String {
    format!("{}/collections/documents", organization.path())
}

fn routes(app: &App, acme: &Organization, gone: &Organization) -> Vec<Route> {
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
            fields: &["email", "password"],
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
            fields: &["name"],
            required: &["name"],
            ..route("createCollection", Method::POST, &collections, acme.owner.clone())
        },
        Route {
            fields: &["keys", "name"],
            flags: &["unique"],
            required: &["keys"],
            ..route("createIndex", Method::POST, &format!("{collection}/indexes"), acme.owner.clone())
        },
        Route {
            fields: &["sort", "cursor", "fields"],
            flags: &["revisions"],
            required: &[],
            limit: DOCUMENT_LIMIT,
            ..route("queryDocuments", Method::POST, &format!("{collection}/query"), acme.owner.clone())
        },
        // What a filter may be is in tests of its own: here it is the only member, and never a text.
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
    for path in [format!("{}/collections", acme.path()), format!("{}/documents", collection(acme))] {
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
    // What archives may not be is in `archives.rs`.
    let reading =
        operations.filter(|operation| !operation["requestBody"]["content"]["application/json"].is_null());
    let documented: BTreeSet<&str> =
        reading.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(tested, documented);
}

#[tokio::test]
async fn body_of_another_content_type_is_refused() {
    let scene = Scene::start(Setup::unlimited()).await;
    for route in &scene.routes {
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/jsonp",
            "json",
            "",
        ] {
            let answer = route.send(content_type, "{}").await;
            assert_refused(&answer, "unsupported_media_type", content_type);
        }
        for content_type in [
            "application/json",
            "application/json; charset=utf-8",
            "APPLICATION/JSON",
            "application/merge-patch+json",
        ] {
            let answer = route.send(content_type, "[]").await;
            assert_refused(&answer, "invalid_json", content_type);
        }
        // It is answered before the rest of it comes.
        let untyped = format!(
            "{} {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}content-length: 50\r\n\r\n{{}}",
            route.method,
            route.path,
            authorization(&route.caller),
        );
        assert_eq!(exchange(&scene.app, untyped.as_bytes()).await.code(), "unsupported_media_type");
    }
    scene.assert_unchanged().await;
}

/// Another `+json` type is another patch language, which must not be applied as a merge patch.
#[tokio::test]
async fn patch_of_another_json_type_names_accepted_types() {
    let scene = Scene::start(Setup::unlimited()).await;
    let patches: Vec<_> = scene.routes.iter().filter(|route| route.method == Method::PATCH).collect();
    assert_eq!(patches.len(), 2);
    for route in patches {
        for content_type in [
            "application/json-patch+json",
            "application/vnd.api+json",
            "application/strategic-merge-patch+json",
            "text/plain",
        ] {
            let answer = route.send(content_type, "{}").await;
            assert_refused(&answer, "unsupported_media_type", content_type);
            let taken = answer.header("accept-patch");
            assert_eq!(taken, "application/merge-patch+json, application/json", "{content_type}");
            assert!(answer.json()["detail"].as_str().unwrap().contains("application/merge-patch+json"));
        }
        for content_type in [
            "application/json",
            "application/merge-patch+json",
            "Application/Merge-Patch+JSON; charset=utf-8",
        ] {
            assert_refused(&route.send(content_type, "[]").await, "invalid_json", content_type);
        }
    }
    scene.assert_unchanged().await;
}

fn authorization(caller: &Client) -> String {
    caller.header("authorization").map(|value| format!("authorization: {value}\r\n")).unwrap_or_default()
}

#[tokio::test]
async fn body_that_is_no_json_object_or_repeats_keys_is_refused() {
    let scene = Scene::start(Setup::unlimited()).await;
    let bodies: [&[u8]; 19] = [
        b" ",
        b"null",
        b"true",
        b"1",
        b"\"text\"",
        b"[]",
        b"[{}]",
        b"{",
        b"}",
        b"{}{}",
        b"{} x",
        b"{\"a\":1,}",
        b"{'a':1}",
        b"{\"a\":NaN}",
        b"{\"organization_name\":\"Aa\",\"organization_name\":\"Bb\"}",
        b"{\"a\":{\"b\":1,\"b\":2}}",
        b"{\xef\xbb\xbf}",
        b"{\"a\":\"\xff\"}",
        b"{\x00\"\x00a\x00\"\x00:\x001\x00}\x00",
    ];
    for route in &scene.routes {
        for body in bodies {
            let shown = String::from_utf8_lossy(body);
            let answer = route.send("application/json", body).await;
            // Where any field is allowed, a duplicate has a pointer into the document.
            match shown.as_ref() {
                "{\"a\":{\"b\":1,\"b\":2}}" if route.is_document => assert_refused(&answer, "/a/b", &shown),
                text if route.is_document && text.starts_with("{\"organization_name\"") => {
                    assert_refused(&answer, "/organization_name", &shown);
                }
                _ => assert_refused(&answer, "invalid_json", &shown),
            }
        }
        if route.needs_body {
            assert_refused(&route.send("application/json", "").await, "invalid_json", "no body");
            let none = route.caller.send(route.method.clone(), &route.path, None).await;
            assert_refused(&none, "invalid_json", "no body, no type");
        }
    }
    scene.assert_unchanged().await;
}

#[tokio::test]
async fn body_nested_a_million_levels_is_refused_fast() {
    let scene = Scene::start(Setup::unlimited().with("--max-body-kib=16384")).await;
    let levels = 1_000_000;
    let bodies = [
        "[".repeat(levels),
        format!("{}{}", "[".repeat(levels), "]".repeat(levels)),
        format!("{{\"organization_name\":{}", "[".repeat(levels)),
        "{\"a\":".repeat(levels),
        format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels)),
    ];
    for route in &scene.routes {
        for body in &bodies {
            assert_refused(&route.send("application/json", body.clone()).await, "invalid_json", &body[..20]);
        }
    }
    scene.assert_unchanged().await;
}

#[tokio::test]
async fn body_over_limit_is_refused_before_it_arrives() {
    let scene = Scene::start(Setup::unlimited()).await;
    for route in &scene.routes {
        let (line, limit) = (format!("{} {}", route.method, route.path), route.limit);
        let credential = authorization(&route.caller);
        // Announced, and never sent.
        let announced = head(&line, &format!("{credential}content-length: 1000000000000"));
        let answer = exchange(&scene.app, announced.as_bytes()).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"), "{line}");
        assert!(answer.took < AT_ONCE, "{line} {:?}", answer.took);

        // Not announced.
        let mut streamed = head(&line, &format!("{credential}transfer-encoding: chunked")).into_bytes();
        streamed.extend(chunked(&padded(limit + 1)));
        let answer = exchange(&scene.app, &streamed).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"), "{line}");
        assert!(answer.took < AT_ONCE, "{line} {:?}", answer.took);

        // As long as it may be: what is wrong with it is something else.
        for (framing, body) in [
            (format!("content-length: {limit}"), padded(limit)),
            ("transfer-encoding: chunked".to_owned(), chunked(&padded(limit))),
        ] {
            let mut request = head(&line, &format!("{credential}{framing}")).into_bytes();
            request.extend(body);
            assert_eq!(exchange(&scene.app, &request).await.code(), "invalid_json", "{line} {framing}");
        }
    }
    scene.assert_unchanged().await;
}

/// An empty array and white space.
fn padded(length: usize) -> Vec<u8> {
    let mut body = b"[]".to_vec();
    body.resize(length, b' ');
    body
}

#[tokio::test]
async fn body_that_breaks_off_is_refused() {
    let scene = Scene::start(Setup::unlimited()).await;
    for route in scene.routes.iter().filter(|route| route.needs_body) {
        let line = format!("{} {}", route.method, route.path);
        for framing in ["content-length: 1000", "transfer-encoding: chunked"] {
            let begun = head(&line, &format!("{}{framing}", authorization(&route.caller))) + "2\r\n{}";
            let answer = crate::support::raw::exchange_and_hang_up(&scene.app, begun.as_bytes()).await;
            // Nobody may be there any more to read an answer; if there is one, it is a refusal.
            assert!(answer.is_none_or(|answer| answer.status >= 400), "{line}");
        }
    }
    scene.assert_unchanged().await;
}

#[tokio::test]
async fn body_fields_of_wrong_type_are_all_named() {
    let scene = Scene::start(Setup::unlimited()).await;
    let has_fields = |route: &&Route| !route.fields.is_empty() || !route.flags.is_empty();
    for route in scene.routes.iter().filter(has_fields) {
        let all: Vec<String> =
            route.fields.iter().chain(route.flags).map(|field| format!("/{field}")).collect();
        for wrong in [json!(1), json!(1.5e300), json!([]), json!(["text"]), json!({}), json!({ "a": 1 })] {
            let fields = route.fields.iter().chain(route.flags);
            let body: Value = fields.map(|field| ((*field).to_owned(), wrong.clone())).collect();
            assert_refused(&route.send_json(&body).await, &all.join(" "), route.operation);
        }
        for field in route.fields {
            let mut body = good(route);
            body[*field] = json!(true);
            assert_refused(&route.send_json(&body).await, &format!("/{field}"), route.operation);
        }
        for flag in route.flags {
            // `null` is taken or refused as the document says (`openapi.rs`).
            for wrong in [json!("true"), json!(0), json!([])] {
                let mut body = good(route);
                body[*flag] = wrong;
                assert_refused(&route.send_json(&body).await, &format!("/{flag}"), route.operation);
            }
        }
    }
    scene.assert_unchanged().await;
}

#[tokio::test]
async fn body_fields_that_are_missing_are_all_named() {
    let scene = Scene::start(Setup::unlimited()).await;
    for route in scene.routes.iter().filter(|route| !route.required.is_empty()) {
        let all: Vec<String> = route.required.iter().map(|field| format!("/{field}")).collect();
        assert_refused(&route.send_json(&json!({})).await, &all.join(" "), route.operation);
        for field in route.required {
            let mut body = good(route);
            body[*field] = Value::Null;
            assert_refused(&route.send_json(&body).await, &format!("/{field}"), route.operation);
            body.as_object_mut().unwrap().remove(*field);
            assert_refused(&route.send_json(&body).await, &format!("/{field}"), route.operation);
        }
    }
    scene.assert_unchanged().await;
}

/// A value for each field that has to be there; they are right, each by itself.
fn good(route: &Route) -> Value {
    let value = |field: &str| match field {
        "email" => "owner@acme.example",
        "organization_name" => "Acme",
        "keys" => "a",
        _ => PASSWORD,
    };
    let fields = route.required.iter().map(|field| ((*field).to_owned(), Value::from(value(field))));
    Value::Object(fields.collect())
}

#[tokio::test]
async fn unknown_fields_are_refused_in_v1_and_ignored_in_classic_api() {
    let scene = Scene::start(Setup::unlimited()).await;
    for route in scene.routes.iter().filter(|route| !route.is_document) {
        let mut body = json!({ "surprise": 1, "an/odd~one": null });
        for field in route.required {
            body[*field] = json!(1);
        }
        let mut pointers: Vec<String> = route.required.iter().map(|field| format!("/{field}")).collect();
        if route.is_v1() {
            pointers.extend(["/an~1odd~0one".to_owned(), "/surprise".to_owned()]);
        }
        assert_refused(&route.send_json(&body).await, &pointers.join(" "), route.operation);
    }
    // The name of an unknown field does not come back whole.
    let long = json!({ "x".repeat(10_000): 1 });
    let create = scene.routes.iter().find(|route| route.operation == "createOrganization").unwrap();
    assert!(create.send_json(&long).await.text.len() < 2000);
    scene.assert_unchanged().await;
}

#[tokio::test]
async fn query_parameters_that_are_invalid_are_all_named() {
    let scene = Scene::start(Setup::unlimited()).await;
    let operator = scene.app.operator();
    let log = format!("{}/operations", scene.acme.path());
    let all = "limit=0&cursor=zz&status=nope&show_deleted=maybe&name_prefix=%21&surprise=1";
    let of_list = "?limit ?cursor ?status ?show_deleted ?name_prefix ?surprise";
    let cases = [
        ("/v1/organizations", all, of_list),
        ("/v1/organizations", "limit=1&limit=2", "?limit"),
        ("/v1/organizations", "limit=201", "?limit"),
        ("/v1/organizations", "limit=-1", "?limit"),
        ("/v1/organizations", "limit=ten", "?limit"),
        ("/v1/organizations", "limit=%FF", "?limit"),
        ("/v1/organizations", "limit=", "?limit"),
        ("/v1/organizations", "cursor=", "?cursor"),
        ("/v1/organizations", "cursor=6f3a", "?cursor"),
        ("/v1/organizations", "status=Active", "?status"),
        (&log, "limit=0&cursor=zz&surprise=1", "?limit ?cursor ?surprise"),
        // A cursor of another list.
        (&log, "cursor=6f3a6163653a303132333435363738396162636465663031323334353637", "?cursor"),
        ("/org/get", "organization_name=A", "?organization_name"),
        ("/org/get", "organization_name=Aa&organization_name=Bb", "?organization_name"),
    ];
    for (path, query, outcome) in cases {
        assert_refused(&operator.get(&format!("{path}?{query}")).await, outcome, query);
    }
    for (query, outcome) in
        [("purge=maybe&surprise=1", "?purge ?surprise"), ("purge=true&purge=true", "?purge")]
    {
        assert_refused(&operator.delete(&format!("{}?{query}", scene.acme.path())).await, outcome, query);
    }
    scene.assert_unchanged().await;
}

#[tokio::test]
async fn document_parameters_that_are_invalid_are_all_named() {
    let scene = Scene::start(Setup::unlimited()).await;
    let (owner, path) = (&scene.acme.owner, scene.acme.path());
    let (collection, documents) = (collection(&scene.acme), format!("{}/documents", collection(&scene.acme)));
    let filter = encoded(r#"{"a":{"$where":"1"},"b":{"$gt":1,"$foo":2},"_tenantry.revision":1}"#);
    let all = format!("filter={filter}&sort=a,&limit=0&cursor=!&fields=a,-b&revisions=1&surprise=1");
    let cases = [
        (format!("{path}/collections"), "limit=0&cursor=zz&surprise=1", "?limit ?cursor ?surprise"),
        (format!("{path}/collections"), "cursor=633a2e2e", "?cursor"),
        (
            documents.clone(),
            all.as_str(),
            "?filter/a/$where ?filter/b/$foo ?filter/_tenantry.revision ?sort ?limit ?fields ?revisions ?surprise",
        ),
        (documents.clone(), "filter=nonsense", "?filter"),
        (documents.clone(), "filter=%5B%5D", "?filter"),
        (documents.clone(), "filter=%7B%7D&filter=%7B%7D", "?filter"),
        (documents.clone(), "sort=a,b,c,d", "?sort"),
        (documents.clone(), "cursor=AAAA", "?cursor"),
        (documents.clone(), "sort=_tenantry.revision&fields=_tenantry", "?sort ?fields"),
        (format!("{collection}/count"), "filter=%7B&limit=1", "?filter ?limit"),
    ];
    for (path, query, outcome) in cases {
        assert_refused(&owner.get(&format!("{path}?{query}")).await, outcome, query);
    }
    for (query, outcome) in
        [("", "?filter"), ("filter=", "?filter"), ("filter=%7B%22%24x%22%3A1%7D&sort=a", "?filter/$x ?sort")]
    {
        assert_refused(&owner.delete(&format!("{documents}?{query}")).await, outcome, query);
    }
    for (query, outcome) in [("outcomes=refused", "?outcomes"), ("surprise=1", "?surprise")] {
        assert_refused(&owner.post(&format!("{documents}?{query}"), &json!({})).await, outcome, query);
    }
    // The older form, too.
    for path in [format!("{collection}/bulk"), documents.clone()] {
        let line = Some(("application/x-ndjson", b"{}".to_vec()));
        let answer = owner.send(Method::POST, &format!("{path}?outcomes=some&x=1"), line).await;
        assert_refused(&answer, "?outcomes ?x", "outcomes");
    }
    scene.assert_unchanged().await;
}

#[tokio::test]
async fn document_fields_that_are_invalid_are_all_named() {
    let scene = Scene::start(Setup::unlimited()).await;
    let (owner, organization, collection) = (&scene.acme.owner, scene.acme.path(), collection(&scene.acme));
    let query = format!("{collection}/query");
    let cases = [
        (&query, json!({ "filter": [], "limit": "5" }), "/filter /limit"),
        (
            &query,
            json!({ "filter": { "a": { "$in": 1 } }, "sort": "", "limit": 0 }),
            "/filter/a/$in /sort /limit",
        ),
        (&query, json!({ "limit": 1.5, "cursor": "AAAA", "fields": "a,a" }), "/limit /fields"),
        (&query, json!({ "limit": 1000, "cursor": "AAAA" }), "/limit"),
        (&query, json!({ "cursor": "AAAA" }), "/cursor"),
        (&format!("{collection}/count"), json!({ "filter": "{}", "limit": 1 }), "/filter /limit"),
        (&format!("{collection}/count"), json!({ "filter": { "a": { "$foo": 1 } } }), "/filter/a/$foo"),
        (&format!("{collection}/delete"), json!({ "filter": [], "sort": "a" }), "/filter /sort"),
        (&format!("{collection}/delete"), json!({ "filter": { "a": { "$foo": 1 } } }), "/filter/a/$foo"),
        (&format!("{collection}/delete"), json!({}), "/filter"),
        (&format!("{collection}/delete"), json!({ "filter": null }), "/filter"),
        (&format!("{organization}/collections"), json!({ "name": "system" }), "/name"),
        (&format!("{organization}/collections"), json!({ "name": "a b" }), "/name"),
        (&format!("{collection}/indexes"), json!({ "keys": "a,a", "unique": true }), "/keys"),
        (&format!("{collection}/indexes"), json!({ "keys": "_tenantry.revision" }), "/keys"),
        (&format!("{collection}/indexes"), json!({ "keys": "a", "name": "a b" }), "/name"),
    ];
    for (path, body, outcome) in cases {
        assert_refused(&owner.post(path, &body).await, outcome, &body.to_string());
    }
    // A number that a reader of doubles would round is refused, as everywhere in documents.
    for (body, outcome) in [
        (r#"{"filter":{"a":123456789012345678901234567890}}"#, "/filter/a"),
        (r#"{"filter":{"a":1,"a":2}}"#, "/filter/a"),
        (r#"{"filter":{},"filter":{"a":1}}"#, "invalid_json"),
    ] {
        let sent = Some(("application/json", body.as_bytes().to_vec()));
        assert_refused(&owner.send(Method::POST, &query, sent).await, outcome, body);
    }
    let documents = format!("{collection}/documents");
    let body = json!({ "_id": [1], "$a": 1, "b": { "c.d": 1 }, "_tenantry": 1, "e": { "$numberInt": "x" } });
    let outcome = "/$a /_id /_tenantry /b/c.d /e";
    for answer in [
        owner.post(&documents, &body).await,
        owner.put(&format!("{documents}/d"), &body).await,
        owner.patch(&format!("{documents}/d"), &body).await,
    ] {
        let answered = answer.outcome();
        let mut named: Vec<&str> = answered.split(' ').collect();
        named.sort_unstable();
        assert_eq!(named.join(" "), outcome, "{answer}");
    }
    let other = owner.put(&format!("{documents}/d"), &json!({ "_id": "other" })).await;
    assert_refused(&other, "/_id", "another _id");
    scene.assert_unchanged().await;
}

#[tokio::test]
async fn quota_fields_that_are_invalid_are_all_named() {
    let scene = Scene::start(Setup::unlimited()).await;
    let (operator, path) = (scene.app.operator(), scene.acme.path());
    for (quota, outcome) in [
        (json!([]), "/quota"),
        (json!(5), "/quota"),
        (
            json!({ "documents": -1, "bytes": 1.5, "collections": "5", "x": 1 }),
            "/quota/documents /quota/bytes /quota/collections /quota/x",
        ),
        (json!({ "documents": 9_007_199_254_740_993_u64 }), "/quota/documents"),
    ] {
        let answer = operator.patch(&path, &json!({ "quota": quota })).await;
        assert_refused(&answer, outcome, &quota.to_string());
    }
    let answer = scene.acme.owner.patch(&path, &json!({ "quota": { "documents": null } })).await;
    assert_refused(&answer, "operator_only", "a member");
    scene.assert_unchanged().await;
}

#[tokio::test]
async fn header_that_is_unreadable_is_named() {
    let scene = Scene::start(Setup::unlimited()).await;
    let operator = scene.app.operator();
    let path = scene.acme.path();
    for tag in ["1-1", "\"1-1", "", "\"1-1\", \"1-2\"x"] {
        let operator = operator.with_header("if-match", tag);
        let answers = [
            operator.patch(&path, &json!({ "delete_protection": true })).await,
            operator.delete(&path).await,
            operator.post_empty(&format!("{path}/suspend")).await,
            operator.post_empty(&format!("{path}/reactivate")).await,
            operator.post_empty(&format!("{path}/restore")).await,
            operator.post_empty(&format!("{path}/purge")).await,
        ];
        for answer in answers {
            assert_refused(&answer, "invalid_header", tag);
        }
    }
    let (owner, documents) = (&scene.acme.owner, format!("{}/documents", collection(&scene.acme)));
    for tag in ["1", "\"1", "", "\"1\" \"2\"x"] {
        let (change, known) = (owner.with_header("if-match", tag), owner.with_header("if-none-match", tag));
        let document = format!("{documents}/d");
        for answer in [
            change.put(&document, &json!({})).await,
            change.patch(&document, &json!({})).await,
            change.delete(&document).await,
            known.get(&document).await,
        ] {
            assert_refused(&answer, "invalid_header", tag);
        }
    }
    for key in ["", "a b", "é", &"x".repeat(256)] {
        let owner = owner.with_header("idempotency-key", key);
        let collections = format!("{}/collections", scene.acme.path());
        let lines = Some(("application/x-ndjson", b"{}\n".to_vec()));
        for answer in [
            owner.post(&documents, &json!({})).await,
            owner.post(&collections, &json!({ "name": "new" })).await,
            owner.send(Method::POST, &documents, lines).await,
        ] {
            assert_refused(&answer, "invalid_header", key);
        }
        let new = json!({ "organization_name": "New", "email": "owner@new.example", "password": PASSWORD });
        for (client, path) in [(scene.app.client(), "/org/create"), (operator.clone(), "/v1/organizations")] {
            let answer = client.with_header("idempotency-key", key).post(path, &new).await;
            assert_refused(&answer, "invalid_header", key);
        }
    }
    scene.assert_unchanged().await;
}

#[tokio::test]
async fn unknown_path_or_method_is_a_problem() {
    let scene = Scene::start(Setup::unlimited()).await;
    let client = scene.app.client();
    for path in [
        "/nothing",
        "/org",
        "/org/create/",
        "/v1",
        "/v1/organizations/",
        "/v1/auth",
        "//",
        "/%00",
        "/docs/../x",
    ] {
        assert_refused(&client.get(path).await, "route_not_found", path);
    }
    let paths = &scene.app.document()["paths"];
    for (template, operations) in paths.as_object().unwrap() {
        // `import` is also what an organization may be called.
        let mut operations = operations.as_object().unwrap().clone();
        if template == "/v1/organizations/import" {
            operations.extend(paths["/v1/organizations/{organization}"].as_object().unwrap().clone());
        }
        let path = template.replace("{organization}", scene.acme.id()).replace(['{', '}'], "");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE] {
            if operations.contains_key(&method.as_str().to_lowercase()) {
                continue;
            }
            let answer = scene.app.operator().send(method.clone(), &path, None).await;
            assert_refused(&answer, "method_not_allowed", &path);
            let mut allowed: Vec<_> =
                answer.header("allow").split(',').map(|name| name.trim().to_lowercase()).collect();
            allowed.retain(|name| name != "head");
            allowed.sort();
            let mut documented: Vec<_> = operations.keys().cloned().collect();
            documented.retain(|name| name != "parameters");
            documented.sort();
            assert_eq!(allowed, documented, "{path}");
        }
    }
    scene.assert_unchanged().await;
}

#[tokio::test]
async fn path_segment_that_is_no_id_names_nothing() {
    let scene = Scene::start(Setup::unlimited()).await;
    let operator = scene.app.operator();
    let long = "x".repeat(5000);
    for segment in [
        "0123456789abcdef01234567",
        "nobody",
        "ACME",
        "%FF%FE",
        "%00",
        "..%2f..",
        "acme%20",
        "a_b",
        "é",
        &long,
    ] {
        let path = format!("/v1/organizations/{segment}");
        assert_refused(&operator.get(&path).await, "organization_not_found", segment);
        assert_refused(&operator.delete(&path).await, "organization_not_found", segment);
        assert_refused(&operator.patch(&path, &json!({})).await, "organization_not_found", segment);
        for action in ["suspend", "reactivate", "restore", "purge"] {
            assert_refused(
                &operator.post_empty(&format!("{path}/{action}")).await,
                "organization_not_found",
                segment,
            );
        }
        assert_refused(&operator.get(&format!("{path}/operations")).await, "organization_not_found", segment);
        assert_refused(
            &operator.get(&format!("/v1/operations/{segment}")).await,
            "operation_not_found",
            segment,
        );
        assert_refused(&operator.get(&format!("/problems/{segment}")).await, "route_not_found", segment);
    }
    scene.assert_unchanged().await;
}
