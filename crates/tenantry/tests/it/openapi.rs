//! What the OpenAPI document says of bodies and parameters, compared with what the service does with them: `null` in
//! each member, the bounds of `limit`, objects that take any member.
//!
//! The requests are made out of the document itself, so that a new operation is tested as soon as it is documented.

use crate::support::app::App;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{Organization, organization};
use crate::support::keys::{organization_key, service_key, with_key};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const JSON: &str = "application/json";

/// An operation, with a client that may call it and a path that names what is there.
struct Operation {
    id: String,
    method: Method,
    path: String,
    client: Client,
    description: Value,
}

impl Operation {
    async fn send(&self, body: &Value) -> Answer {
        let body = Some((JSON, body.to_string().into_bytes()));
        self.client.send(self.method.clone(), &self.path, body).await
    }
}

/// Every operation of the document, aimed at `acme`.
async fn operations(app: &App, acme: &Organization) -> Vec<Operation> {
    let backend_key = service_key(app, &["tokens:issue", "tokens:introspect", "documents:read"]).await;
    // One of them is rotated.
    let other_key = service_key(app, &["documents:read"]).await;
    let organization_key = organization_key(acme, &["documents:read"]).await;
    let role = json!({ "name": "special", "permissions": ["documents:read"] });
    acme.owner.post(&format!("{}/roles", acme.path()), &role).await.created();
    let invited = json!({ "email": "invited@acme.example", "role": "viewer" });
    let invitation = acme.owner.post(&format!("{}/invitations", acme.path()), &invited).await.created();
    let mut all = Vec::new();
    for (template, methods) in app.document()["paths"].as_object().unwrap() {
        for (method, description) in methods.as_object().unwrap() {
            let path = template
                .replace("{organization}", acme.id())
                .replace("{collection}", "documents")
                .replace("{document_id}", "d")
                .replace("{account_id}", acme.owner_id())
                .replace("{invitation_id}", invitation["id"].as_str().unwrap())
                .replace("{role_name}", "special");
            let key = if template.contains("{organization}") { &organization_key } else { &other_key };
            let path = path.replace("{key}", key["id"].as_str().unwrap());
            let client = match description["x-access"].as_str().unwrap() {
                // Of its own, an account makes one with the name alone.
                "member" | "own_member" | "operator_or_account" => acme.owner.clone(),
                // The operator makes no keys that open data.
                "operator_or_member" if template.contains("/keys") => acme.owner.clone(),
                "operator" | "operator_or_member" | "operator_or_service" => app.operator(),
                "service" => with_key(app, &backend_key),
                _ => app.client(),
            };
            all.push(Operation {
                id: description["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path,
                client,
                description: description.clone(),
            });
        }
    }
    all
}

/// The target of a reference.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(name) = schema["$ref"].as_str() else { return schema };
    document.pointer(name.strip_prefix('#').unwrap()).unwrap()
}

fn is_nullable(schema: &Value) -> bool {
    let of_type = match &schema["type"] {
        Value::Array(names) => names.contains(&json!("null")),
        name => name == "null",
    };
    of_type || schema["oneOf"].as_array().is_some_and(|choices| choices.iter().any(is_nullable))
}

/// The schema of what is neither absent nor null, without references.
fn present<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let other = choices.clone().find(|choice| choice["type"] != "null");
    resolved(document, other.unwrap_or(schema))
}

/// The pointers of all members of a body, each with whether it may be null.
fn members(document: &Value, schema: &Value, at: &str, found: &mut Vec<(String, bool)>) {
    let schema = present(document, schema);
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let pointer = format!("{at}/{name}");
        found.push((pointer.clone(), is_nullable(member)));
        members(document, member, &pointer, found);
    }
}

/// A body in which all that is required is there, and `value` at `pointer`.
fn body_with(document: &Value, schema: &Value, pointer: &str, value: &Value) -> Value {
    let schema = present(document, schema);
    let mut body = Map::new();
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let example = &schema["properties"][name]["example"];
        body.insert(name.to_owned(), if example.is_null() { json!("x") } else { example.clone() });
    }
    let name = pointer.split('/').nth(1).unwrap();
    let rest = &pointer[name.len() + 1..];
    let member = if rest.is_empty() {
        value.clone()
    } else {
        body_with(document, &schema["properties"][name], rest, value)
    };
    body.insert(name.to_owned(), member);
    Value::Object(body)
}

fn names(answer: &Answer, pointer: &str) -> bool {
    let problem = if answer.status.is_client_error() { answer.json() } else { Value::Null };
    let errors = problem["errors"].as_array();
    errors.is_some_and(|errors| errors.iter().any(|error| error["pointer"] == pointer))
}

#[tokio::test]
async fn null_members_are_accepted_as_documented() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.post(&acme.documents(), &json!({ "_id": "d" })).await.created();
    let document = app.document().clone();
    let mut tested = 0;
    for operation in operations(&app, &acme).await {
        let schema = &operation.description["requestBody"]["content"][JSON]["schema"];
        if schema.is_null() {
            continue;
        }
        let id = &operation.id;
        operation.send(&Value::Null).await.refused("invalid_json");
        assert!(!is_nullable(resolved(&document, schema)), "{id}: the body itself is never null");
        let mut all = Vec::new();
        members(&document, schema, "", &mut all);
        for (pointer, nullable) in all {
            let answer = operation.send(&body_with(&document, schema, &pointer, &Value::Null)).await;
            assert_eq!(!names(&answer, &pointer), nullable, "{id} {pointer}: {answer}");
            assert!(nullable || answer.status == 400, "{id} {pointer}: {answer}");
            // That the member is read at all: nothing takes a list of nothing but lists.
            let answer = operation.send(&body_with(&document, schema, &pointer, &json!([[[]]]))).await;
            let item = format!("{pointer}/0");
            assert!(names(&answer, &pointer) || names(&answer, &item), "{id} {pointer}: {answer}");
            tested += 1;
        }
    }
    assert!(tested > 25, "{tested} members");
}

#[tokio::test]
async fn limit_bounds_match_the_document() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let document = app.document().clone();
    let mut tested = 0;
    for operation in operations(&app, &acme).await {
        let parameters = operation.description["parameters"].as_array().cloned().unwrap_or_default();
        for limit in parameters.iter().filter(|parameter| parameter["name"] == "limit") {
            for (value, taken) in around(&limit["schema"]) {
                let answer = operation.client.get(&format!("{}?limit={value}", operation.path)).await;
                assert_eq!(answer.status == 200, taken, "limit {value}: {answer}");
                assert!(taken || names(&answer, "?limit"), "{answer}");
            }
            tested += 1;
        }
        let body = resolved(&document, &operation.description["requestBody"]["content"][JSON]["schema"]);
        let limit = &body["properties"]["limit"];
        if !limit.is_null() {
            for (value, taken) in around(limit) {
                let answer = operation.send(&json!({ "limit": value })).await;
                assert_eq!(answer.status == 200, taken, "limit {value}: {answer}");
            }
            tested += 1;
        }
    }
    assert!(tested >= 5, "{tested} operations have a limit");
}

/// Values at the bounds that a schema says, and beyond them, and whether each is taken.
fn around(schema: &Value) -> [(i64, bool); 4] {
    let bound = |name: &str| schema[name].as_i64().unwrap_or_else(|| panic!("a limit without {name}"));
    let (least, most) = (bound("minimum"), bound("maximum"));
    assert!((least..=most).contains(&bound("default")), "{schema}");
    [(least - 1, false), (least, true), (most, true), (most + 1, false)]
}

#[tokio::test]
async fn quota_maximum_matches_the_document() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let members = app.document()["components"]["schemas"]["QuotaPatch"]["properties"].as_object().unwrap();
    for (name, schema) in members {
        let most = schema["maximum"].as_u64().unwrap_or_else(|| panic!("{name} has no maximum"));
        for (value, taken) in [(most, true), (most + 1, false)] {
            let answer = app.operator().patch(&acme.path(), &json!({ "quota": { name: value } })).await;
            assert_eq!(answer.status == 200, taken, "{answer}");
        }
    }
}

#[tokio::test]
async fn objects_without_members_are_open() {
    let app = App::start().await;
    let mut open = BTreeSet::new();
    walk(app.document(), "", &mut |pointer, schema| {
        let is_object = schema["type"] == "object"
            || schema["type"].as_array().is_some_and(|types| types.contains(&json!("object")));
        if is_object && schema["properties"].is_null() {
            // A map says what its values are.
            if !schema["additionalProperties"]["type"].is_string() {
                assert_eq!(schema["additionalProperties"], true, "{pointer}");
                open.insert(pointer.to_owned());
            }
        }
    });
    for pointer in ["/components/schemas/Document", "/components/schemas/QueryBody/properties/filter"] {
        assert!(open.contains(pointer), "{pointer} is not an open object: {open:?}");
    }
}

fn walk(value: &Value, at: &str, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            // An absent member reads as null.
            let mut whole = members.clone();
            for name in ["type", "properties", "additionalProperties"] {
                whole.entry(name).or_insert(Value::Null);
            }
            visit(at, &whole);
            members.iter().for_each(|(name, value)| walk(value, &format!("{at}/{name}"), visit));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| walk(value, &format!("{at}/{n}"), visit));
        }
        _ => {}
    }
}

#[tokio::test]
async fn parameter_names_differ_from_generated_body_names() {
    let app = App::start().await;
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let mut tested = 0;
    for operation in app.document()["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
    {
        assert!(operation.get("parameters").is_none_or(Value::is_array), "{operation}");
        // Generators name the argument that takes a body after its schema.
        let body = operation["requestBody"]["content"][JSON]["schema"]["$ref"].as_str().unwrap_or_default();
        let body = plain(body.rsplit('/').next().unwrap());
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert_ne!(plain(parameter["name"].as_str().unwrap()), body, "{operation}");
            assert!(!is_nullable(&parameter["schema"]), "a parameter is absent, never null: {parameter}");
            tested += 1;
        }
    }
    assert!(tested > 50, "{tested} parameters");
}

#[tokio::test]
async fn openapi_document_names_server_and_licence() {
    let app = App::start().await;
    let served = app.client().get("/openapi.json").await.ok();
    assert_eq!(served["servers"][0]["url"], "/");
    // An SPDX expression (OpenAPI 3.1, `license.identifier`).
    assert_eq!(served["info"]["license"]["identifier"], "MIT OR Apache-2.0");
}

#[tokio::test]
async fn patch_with_null_members_changes_nothing() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let set = json!({ "delete_protection": true, "legal_hold": true, "quota": { "documents": 5 } });
    let before = app.operator().patch(&acme.path(), &set).await.ok();
    let nulls =
        json!({ "organization_name": null, "delete_protection": null, "legal_hold": null, "quota": null });
    // What is the operator's alone is not asked for by a member that is as good as absent.
    for client in [app.operator(), acme.owner.clone()] {
        let after = client.patch(&acme.path(), &nulls).await.ok();
        for member in ["organization_name", "delete_protection", "legal_hold", "quota"] {
            assert_eq!(after[member], before[member], "{after}");
        }
    }
}

#[tokio::test]
async fn optional_body_members_may_be_null() {
    let app = App::start().await;
    let document = app.document();
    let mut tested = 0;
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            let schema = resolved(document, &operation["requestBody"]["content"][JSON]["schema"]);
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for (name, member) in schema["properties"].as_object().into_iter().flatten() {
                let is_optional = !required.contains(&json!(name));
                assert_eq!(is_nullable(member), is_optional, "{} {name}", operation["operationId"]);
                tested += 1;
            }
        }
    }
    assert!(tested > 25, "{tested} members");
}
