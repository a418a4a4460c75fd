//! Bodies that are refused as a whole: of another type, no JSON object, too deep, too long, or cut off.

use super::{AT_ONCE, Scene, assert_refused};
use crate::support::app::Setup;
use crate::support::client::Client;
use crate::support::raw::{chunked, exchange, head};
use reqwest::Method;

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
            // OAuth 2.0 sends forms to introspection.
            if route.operation == "introspectToken" && content_type.ends_with("urlencoded") {
                continue;
            }
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
    assert_eq!(patches.len(), 4);
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
            // There it means many documents; `documents/bulk.rs` has it.
            if route.operation == "insertDocument" && shown == "[{}]" {
                continue;
            }
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
