//! Responses that are compressed: for whom, which, and what stays right about them.

use crate::support::app::{App, Setup};
use crate::support::client::plain_http;
use crate::support::fixtures::{Organization, PASSWORD, credentials, organization};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::io::Read;

async fn filled(app: &App) -> Organization {
    let acme = organization(app, "Acme").await;
    let documents: Vec<_> = (0..200).map(|number| json!({ "_id": number, "text": "x".repeat(50) })).collect();
    acme.store(&documents).await;
    acme
}

/// Sends a request as the owner, who takes that coding; the client decodes nothing.
async fn send(app: &App, acme: &Organization, method: Method, path: &str, coding: &str) -> Response {
    let http = plain_http();
    let url = format!("http://{}{path}", app.address());
    let request =
        http.request(method, url).header("authorization", acme.owner.header("authorization").unwrap());
    let request = if coding.is_empty() { request } else { request.header("accept-encoding", coding) };
    request.send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

fn decode(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    match coding {
        "zstd" => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut decoded).unwrap(),
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut decoded).unwrap(),
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut decoded).unwrap(),
        _ => panic!("{coding}"),
    };
    decoded
}

#[tokio::test]
async fn response_of_some_size_is_compressed_as_asked() {
    let app = App::start().await;
    let acme = filled(&app).await;
    let path = format!("{}?limit=200", acme.documents());
    let plain = send(&app, &acme, Method::GET, &path, "").await;
    assert_eq!((header(&plain, "vary"), header(&plain, "content-encoding")), (Some("accept-encoding"), None));
    let plain = plain.bytes().await.unwrap();
    for coding in ["zstd", "br", "gzip"] {
        let response = send(&app, &acme, Method::GET, &path, coding).await;
        assert_eq!(header(&response, "content-encoding"), Some(coding));
        assert_eq!(header(&response, "vary"), Some("accept-encoding"));
        let length = header(&response, "content-length").unwrap().to_owned();
        let bytes = response.bytes().await.unwrap();
        assert_eq!(length, bytes.len().to_string());
        assert!(bytes.len() < plain.len() / 4, "{coding}: {} of {}", bytes.len(), plain.len());
        assert_eq!(decode(coding, &bytes), plain);
        let head = send(&app, &acme, Method::HEAD, &path, coding).await;
        assert_eq!((head.status(), header(&head, "content-encoding")), (StatusCode::OK, Some(coding)));
        assert_eq!(header(&head, "vary"), Some("accept-encoding"));
        assert_eq!(header(&head, "content-length"), Some(length.as_str()));
    }
    let document = format!("{}/1", acme.documents().trim_end_matches('/'));
    let small = send(&app, &acme, Method::GET, &document, "gzip").await;
    assert_eq!(header(&small, "content-encoding"), None);
}

/// Either form of the tag names the same document, before a change and for a copy that is there already.
#[tokio::test]
async fn weak_tag_of_compressed_response_works_as_the_strong_one() {
    let app = App::start().await;
    let acme = filled(&app).await;
    acme.owner.post(&acme.documents(), &json!({ "_id": "long", "text": "x".repeat(5000) })).await.created();
    let path = format!("{}/long", acme.documents());
    let strong = acme.owner.get(&path).await.header("etag").to_owned();
    let response = send(&app, &acme, Method::GET, &path, "gzip").await;
    let weak = header(&response, "etag").unwrap().to_owned();
    assert_eq!(
        (header(&response, "content-encoding"), weak.as_str()),
        (Some("gzip"), format!("W/{strong}").as_str())
    );
    for tag in [&strong, &weak] {
        let known = acme.owner.with_header("if-none-match", tag).get(&path).await;
        assert_eq!(known.status, StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(known.header("vary"), "accept-encoding", "{known}");
    }
    let body = json!({ "text": "y".repeat(5000) });
    let changed = acme.owner.with_header("if-match", &weak).put(&path, &body).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed}");
    acme.owner.with_header("if-match", &weak).put(&path, &body).await.refused("version_mismatch");
}

#[tokio::test]
async fn response_with_secrets_or_lines_is_not_compressed() {
    let app = App::start().await;
    let acme = filled(&app).await;
    let client = acme.owner.with_header("accept-encoding", "zstd, br, gzip");
    let sign_in = app.client().with_header("accept-encoding", "gzip");
    let tokens = sign_in.post("/admin/login", &credentials(acme.email(), PASSWORD)).await;
    assert!(
        !tokens.headers.contains_key("content-encoding") && !tokens.headers.contains_key("vary"),
        "{tokens}"
    );
    let export = client.get(&format!("{}/export", acme.path())).await;
    assert!(!export.headers.contains_key("content-encoding") && export.text.len() > 5000, "{export}");
    let lines = "{}\n".repeat(200).into_bytes();
    let bulk = client.send(Method::POST, &acme.about("bulk"), Some(("application/x-ndjson", lines))).await;
    assert!(!bulk.headers.contains_key("content-encoding") && bulk.text.len() > 5000, "{bulk}");
    assert_eq!(bulk.lines().last().unwrap()["inserted"], 200);
}

#[tokio::test]
async fn compression_can_be_switched_off() {
    let app = Setup::unlimited().with("--compression=off").start().await;
    let acme = filled(&app).await;
    let response = send(&app, &acme, Method::GET, &format!("{}?limit=200", acme.documents()), "gzip").await;
    assert_eq!((header(&response, "content-encoding"), header(&response, "vary")), (None, None));
    let page: Value = response.json().await.unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 200);
}

#[tokio::test]
async fn pages_of_other_origins_see_both_in_vary() {
    let app = Setup::unlimited().with("--cors-origins=https://app.example").start().await;
    let acme = filled(&app).await;
    let client =
        acme.owner.with_header("origin", "https://app.example").with_header("accept-encoding", "gzip");
    let response = client.get("/openapi.json").await;
    let vary: Vec<_> = response.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    let vary = vary.join(",").to_lowercase();
    assert!(vary.contains("origin") && vary.contains("accept-encoding"), "{vary}");
}
