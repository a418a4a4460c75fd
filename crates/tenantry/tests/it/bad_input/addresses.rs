//! Headers, paths and methods that are refused.

use super::{Scene, assert_refused, collection};
use crate::support::app::Setup;
use crate::support::fixtures::PASSWORD;
use reqwest::Method;
use serde_json::json;

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
