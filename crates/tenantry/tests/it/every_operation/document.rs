//! The OpenAPI document itself: its parameters, responses, references and error codes.

use super::Operation;
use crate::support::app::App;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tenantry_api::error_codes::{advice, all, status_of};

#[tokio::test]
async fn openapi_document_is_valid() {
    let app = App::start().await;
    let served = app.client().get("/openapi.json").await.ok();
    assert_eq!(served, *app.document());
    assert_eq!(served["openapi"], "3.1.0");
    for member in ["title", "version", "description", "license"] {
        assert!(!served["info"][member].is_null(), "info has no {member}");
    }
    let tags: BTreeSet<_> =
        served["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).map(Value::to_string).collect();
    let schemes = served["components"]["securitySchemes"].as_object().unwrap();
    let mut ids = BTreeSet::new();
    for operation in Operation::all(&app) {
        let (id, description) = (&operation.id, &operation.description);
        assert!(ids.insert(id.clone()), "two operations are called {id}");
        let is_camel_case = id.chars().all(char::is_alphanumeric) && id.starts_with(char::is_lowercase);
        assert!(is_camel_case && id.contains(char::is_uppercase), "{id} is no verb with its noun");
        for name in ["summary", "description"] {
            let text = description[name].as_str().unwrap_or_default();
            assert!(text.ends_with('.'), "{id} has no {name}");
        }
        assert!(!description["summary"].as_str().unwrap().contains('\n'), "{id} has a long summary");
        assert_eq!(description["tags"].as_array().unwrap().len(), 1, "{id}");
        for tag in description["tags"].as_array().unwrap() {
            assert!(tags.contains(&tag.to_string()), "{id}: the tag {tag} is not declared");
        }
        // Of two credentials in one header, clients that send both are refused.
        let requirements = description["security"].as_array().unwrap().iter();
        assert!(requirements.filter(|schemes| **schemes != json!({})).count() <= 1, "{id}");
        for requirement in description["security"].as_array().unwrap() {
            for scheme in requirement.as_object().unwrap().keys() {
                assert!(schemes.contains_key(scheme), "{id}: the scheme {scheme} is not declared");
            }
        }
        check_parameters(&operation);
        check_responses(&operation);
    }
    check_references(&served, &served);
}

/// That the variables of the path are its path parameters, and that headers which can be wrong are named.
fn check_parameters(operation: &Operation) {
    let id = &operation.id;
    let parameters = operation.description["parameters"].as_array().cloned().unwrap_or_default();
    let named = |location: &str| -> BTreeSet<String> {
        let located = parameters.iter().filter(|parameter| parameter["in"] == location);
        located.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    };
    for parameter in &parameters {
        assert!(parameter["schema"].is_object() && parameter["description"].is_string(), "{id}: {parameter}");
        assert!(parameter["in"] != "path" || parameter["required"] == true, "{id}: {parameter}");
    }
    let variables =
        operation.template.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    assert_eq!(named("path"), variables.map(str::to_owned).collect(), "{id}");
    // Every request may have a header twice of which it has one.
    let refuses_header =
        codes(&operation.description["responses"]["400"]).contains(&"invalid_header".to_owned());
    assert!(refuses_header, "{id}: headers it refuses");
    let body = &operation.description["requestBody"];
    if ["importOrganization", "insertDocuments"].contains(&id.as_str()) {
        assert_eq!(body["content"]["application/x-ndjson"]["schema"]["type"], "string", "{id}: {body}");
    } else if !body.is_null() {
        let schema = &body["content"]["application/json"]["schema"];
        // One that may be absent is none that may be `null`.
        assert!(schema["$ref"].is_string(), "{id}: {body}");
        assert!(body["content"].get("application/x-ndjson").is_none(), "{id}");
        let merge_patch = body["content"].get("application/merge-patch+json").is_some();
        assert_eq!(merge_patch, operation.method == Method::PATCH, "{id}");
    }
}

fn codes(response: &Value) -> Vec<String> {
    let codes = response["x-codes"].as_array().into_iter().flatten();
    codes.map(|code| code.as_str().unwrap().to_owned()).collect()
}

/// That each status is one, says what it means, and carries codes of that status alone.
fn check_responses(operation: &Operation) {
    let rows: BTreeMap<&str, u16> =
        all().into_iter().map(|row| (row.code(), status_of(row).as_u16())).collect();
    let responses = operation.description["responses"].as_object().unwrap();
    assert!(responses.keys().any(|status| status.starts_with('2')), "{} cannot succeed", operation.id);
    for (status, response) in responses {
        let what = format!("{} {status}", operation.id);
        let number: u16 = status.parse().unwrap();
        assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
        let codes = codes(response);
        if number < 400 {
            assert!(codes.is_empty(), "{what}");
            continue;
        }
        let schema = &response["content"]["application/problem+json"]["schema"];
        assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{what}");
        assert!(!codes.is_empty(), "{what} has no code");
        for code in codes {
            assert_eq!(rows.get(code.as_str()), Some(&number), "{what}: {code}");
        }
    }
}

/// That every reference points at something.
fn check_references(document: &Value, value: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(name)) = members.get("$ref") {
                let pointer = name.strip_prefix('#').unwrap_or_else(|| panic!("{name} leaves the document"));
                assert!(document.pointer(pointer).is_some(), "{name} points nowhere");
            }
            members.values().for_each(|value| check_references(document, value));
        }
        Value::Array(items) => items.iter().for_each(|value| check_references(document, value)),
        _ => {}
    }
}

#[tokio::test]
async fn error_codes_are_explained_and_used_by_some_operation() {
    /// What the framework answers where no operation is.
    const OF_NO_OPERATION: [&str; 1] = ["method_not_allowed"];
    let app = App::start().await;
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut answered = BTreeSet::new();
    for operation in Operation::all(&app) {
        for response in operation.description["responses"].as_object().unwrap().values() {
            answered.extend(codes(response));
        }
    }
    for row in all() {
        let code = row.code();
        let status = status_of(row).as_u16();
        assert!(page.contains(&format!("| {status} | `{code}` |")), "{code} is not in docs/errors.md");
        assert_eq!(!answered.contains(code), OF_NO_OPERATION.contains(&code), "{code}");
        let explained = app.client().get(&format!("/problems/{code}")).await;
        assert_eq!(explained.status, 200, "{explained}");
        assert!(explained.text.contains(row.title()) && explained.text.contains(advice(row)), "{explained}");
    }
}
