//! The OpenAPI document: what the handlers declare, and for each operation who may call it and every error code it can
//! respond with.
//!
//! # Pitfalls
//! Each handler declares its [`Rule`] in its own attribute. Without it, the service does not start.

mod constraints;
mod rule;
mod shapes;

pub use rule::{Access, DOCUMENT_CHANGE, QUERY, REPEATABLE, VERSIONED};

use super::error_codes::status_of;
use super::problem::{FieldProblem, ProblemDetails};
use super::undeclared_query::STRICT_ROUTES;
use rule::{ALWAYS, BODY, Rule};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tenantry_domain::ErrorCode;
use utoipa::OpenApi;

/// The parts of the document that no handler declares.
#[derive(OpenApi)]
#[openapi(
    components(schemas(ProblemDetails, FieldProblem)),
    tags(
        (name = "Classic", description = "Organizations by name: one call each to create, find, rename and delete one, and to sign in its admin."),
        (name = "Sign-in", description = "Tokens beyond the first sign-in (which is `POST /admin/login`)."),
        (name = "Organizations", description = "The life of organizations: all of them for the operator, their own for admins."),
        (name = "Keys", description = "Service keys for the backend, tokens of one organization, and API keys of an organization."),
        (name = "Members", description = "Who belongs to an organization, and what each may do."),
        (name = "Audit", description = "Who did what, and the chain that shows that nothing was changed."),
        (name = "Collections", description = "Where an organization's own people keep its documents, and the indexes of these."),
        (name = "Documents", description = "The documents of an organization, for its own people."),
        (name = "Operations", description = "Multi-step changes, and the log of them."),
        (name = "Service", description = "Health, numbers, explanations."),
    )
)]
pub struct Base;

/// Completes the document from the routes: title, security, access, and every refusal. Clients reach the service at
/// `public_url`, or, if that is empty, where they got the document.
///
/// # Panics
/// If an operation has no rule.
#[must_use]
pub fn document(routes: utoipa::openapi::OpenApi, app_name: &str, public_url: &str) -> Value {
    let mut document = serde_json::to_value(routes).expect("the document is made of plain maps and lists");
    document["info"] = json!({
        "title": app_name,
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Keeps the organizations of a SaaS product and the isolated data of each.\n\nEvery refusal \
            is a problem (RFC 9457) with a stable `code`; each response lists the codes it may carry.\n\nIn request bodies, \
            a member that is `null` is as one that is absent. Two things are data and keep it: documents, and the limits of a \
            quota, where `null` means no limit.",
        "contact": { "name": "The operator of this service" },
        "license": { "name": "MIT OR Apache-2.0", "identifier": env!("CARGO_PKG_LICENSE") },
    });
    document["servers"] = if public_url.is_empty() {
        json!([{ "url": "/", "description": "Where this document comes from." }])
    } else {
        json!([{ "url": public_url, "description": "Where clients reach the service." }])
    };
    document["components"]["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer",
            "description": "Bare, either the `access_token` of `POST /admin/login` or the operator key, as the description of \
                each operation says. The service prints at start where the operator key is kept." },
    });
    for (route, path) in document["paths"].as_object_mut().into_iter().flatten() {
        // A query parameter that the operation does not take.
        let of_route: &[ErrorCode] =
            if route.starts_with(STRICT_ROUTES) { &[ErrorCode::InvalidInput] } else { &[] };
        for operation in path.as_object_mut().into_iter().flat_map(Map::values_mut) {
            apply_rule(operation, of_route);
        }
    }
    shapes::finish(&mut document);
    constraints::add(&mut document);
    document
}

/// Replaces the rule of an operation with the security and the responses that follow from it.
fn apply_rule(operation: &mut Value, of_route: &[ErrorCode]) {
    let rule = Rule::take(operation).unwrap_or_else(|| panic!("{} has no rule", operation["operationId"]));
    operation["security"] = rule.access.security();
    operation["x-access"] = json!(rule.access);
    let description = operation["description"].as_str().unwrap_or_default();
    let permission = rule.permission.map(|permission| format!(" It needs the permission `{permission}`."));
    let sentence = format!("{}{}", rule.access.sentence(), permission.unwrap_or_default());
    operation["description"] = format!("{description}\n\n{sentence}").into();
    if let Some(permission) = rule.permission {
        operation["x-permission"] = json!(permission);
    }
    let reads_body = operation.get("requestBody").is_some();
    if let Some(body) = operation.get_mut("requestBody") {
        say_absent_not_null(body);
    }
    let body = if reads_body { BODY } else { &[] };
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    let of_access = rule.access.codes();
    for code in rule.codes.iter().chain(&of_access).chain(ALWAYS).chain(body).chain(of_route) {
        let codes = by_status.entry(status_of(*code).as_u16()).or_default();
        if !codes.contains(code) {
            codes.push(*code);
        }
    }
    for (status, codes) in by_status {
        operation["responses"][status.to_string()] = response(&codes);
    }
}

/// An optional body is an `Option`, which the generated schema would describe as nullable.
fn say_absent_not_null(body: &mut Value) {
    for media in body["content"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        let choices = media["schema"]["oneOf"].as_array();
        let other = choices.and_then(|choices| choices.iter().find(|schema| schema["type"] != "null"));
        if let Some(schema) = other.cloned() {
            media["schema"] = schema;
        }
    }
}

fn response(codes: &[ErrorCode]) -> Value {
    let lines: Vec<String> =
        codes.iter().map(|code| format!("- `{}`: {}", code.code(), code.title())).collect();
    let names: Vec<&str> = codes.iter().map(|code| code.code()).collect();
    json!({
        "description": lines.join("\n"),
        "x-codes": names,
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}
