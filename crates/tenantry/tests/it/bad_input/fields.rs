//! Fields of bodies and query parameters: every bad one is named.

use super::{Route, Scene, assert_refused, collection};
use crate::support::app::Setup;
use crate::support::fixtures::{PASSWORD, encoded};
use reqwest::Method;
use serde_json::{Value, json};
use tenantry::system::SystemEntropy;
use tenantry_domain::ids::{AccountId, InvitationId};
use tenantry_domain::invitation::InvitationToken;
use tenantry_domain::secret_text;

#[tokio::test]
async fn body_fields_of_wrong_type_are_all_named() {
    let scene = Scene::start(Setup::unlimited()).await;
    let has_fields = |route: &&Route| !route.fields.is_empty() || !route.flags.is_empty();
    for route in scene.routes.iter().filter(has_fields) {
        let all: Vec<String> =
            route.fields.iter().chain(route.flags).map(|field| format!("/{field}")).collect();
        for wrong in [json!(1), json!(1.5e300), json!([]), json!(["text"]), json!({}), json!({ "a": 1 })] {
            let mut body = good(route);
            for field in route.fields.iter().chain(route.flags) {
                body[*field] = wrong.clone();
            }
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
    let token = InvitationToken::generate(InvitationId::from_bytes([0; 12]), &SystemEntropy);
    let token_of = |kind| secret_text::generate(kind, AccountId::from_bytes([0; 12]), &SystemEntropy);
    let (reset_token, verify_token, address_token) =
        (token_of("reset"), token_of("verify"), token_of("address"));
    let value = |field: &str| match field {
        "email" => "owner@acme.example",
        "organization_name" => "Acme",
        "keys" => "a",
        "role" => "viewer",
        "name" if route.operation == "createOrganizationRole" => "auditor",
        "token" if route.operation == "acceptInvitation" => token.as_str(),
        "token" if route.operation == "resetPassword" => reset_token.as_str(),
        "token" if route.operation == "verifyEmail" => verify_token.as_str(),
        "token" if route.operation == "confirmEmail" => address_token.as_str(),
        "kind" => "email_verification",
        _ => PASSWORD,
    };
    let fields = route.required.iter().map(|field| {
        (
            (*field).to_owned(),
            match *field {
                "permissions" => json!(["documents:read"]),
                "filter" | "schema" => json!({}),
                "operations" => {
                    json!([{ "op": "check", "collection": "documents", "id": "d", "exists": true }])
                }
                "update" => json!({ "$set": {} }),
                field => Value::from(value(field)),
            },
        )
    });
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
        if route.refuses_unknown_fields() {
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
        (
            "/v1/operations",
            "limit=0&cursor=zz&organization=%21&kind=nope&state=running&surprise=1",
            "?limit ?cursor ?organization ?kind ?state ?surprise",
        ),
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
async fn unknown_query_parameter_is_refused_on_every_v1_route() {
    let scene = Scene::start(Setup::unlimited()).await;
    let (owner, organization, of) = (&scene.acme.owner, scene.acme.path(), collection(&scene.acme));
    for (method, path, parameter) in [
        (Method::POST, format!("{of}/update"), "upsert"),
        (Method::POST, format!("{of}/query"), "limit"),
        (Method::POST, format!("{of}/count"), "values"),
        (Method::POST, format!("{of}/delete"), "filter"),
        (Method::POST, format!("{of}/documents"), "upsert"),
        (Method::GET, format!("{of}/documents"), "order"),
        (Method::GET, format!("{of}/documents/d"), "fields"),
        (Method::PATCH, format!("{of}/documents/d"), "upsert"),
        (Method::DELETE, format!("{of}/documents/d"), "revision"),
        (Method::DELETE, of.clone(), "force"),
        (Method::POST, format!("{organization}/batch"), "foo"),
        (Method::GET, format!("{organization}/usage"), "foo"),
        (Method::GET, "/v1/me".to_owned(), "foo"),
    ] {
        let body =
            (method != Method::GET && method != Method::DELETE).then(|| ("application/json", b"{}".to_vec()));
        let answer = owner.send(method, &format!("{path}?{parameter}=1"), body).await;
        assert_refused(&answer, &format!("?{parameter}"), &path);
    }
    // Classic routes are open, as they always were.
    let name = encoded(scene.acme.name());
    scene.app.client().get(&format!("/org/get?organization_name={name}&foo=1")).await.ok();
    scene.assert_unchanged().await;
}
