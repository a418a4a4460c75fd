//! What is compressed, and what a response says of it.

use super::*;
use axum::http::StatusCode;

fn response(media_type: &str, length: usize) -> Response {
    let mut response = Response::new(Body::from("x".repeat(length)));
    response.headers_mut().insert(header::CONTENT_TYPE, media_type.parse().unwrap());
    response.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"5\""));
    response
}

fn header_of<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn large_text_is_compressed_and_says_so() {
    for length in [1400, 1 << 20] {
        let answer = compress(Some(Coding::Gzip), response("application/json", length)).await;
        assert_eq!(header_of(&answer, "content-encoding"), Some("gzip"));
        assert_eq!(header_of(&answer, "vary"), Some("accept-encoding"));
        assert_eq!(header_of(&answer, "etag"), Some("W/\"5\""));
        assert!(HttpBody::size_hint(answer.body()).exact().unwrap() < 1400 + length as u64 / 100);
    }
    let plain = compress(None, response("application/json", 1400)).await;
    assert_eq!(
        (header_of(&plain, "vary"), header_of(&plain, "etag")),
        (Some("accept-encoding"), Some("\"5\""))
    );
}

/// A cache that has stored the 200 must not lose what that depends on.
#[tokio::test]
async fn not_modified_varies_as_its_response_would() {
    for given in [None, Some("Accept-Encoding")] {
        let mut unchanged = Response::new(Body::empty());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        if let Some(given) = given {
            unchanged.headers_mut().insert(header::VARY, HeaderValue::from_static(given));
        }
        let answer = compress(Some(Coding::Gzip), unchanged).await;
        let vary: Vec<_> = answer.headers().get_all(header::VARY).iter().collect();
        assert_eq!(vary, [given.unwrap_or("accept-encoding")]);
        assert_eq!(header_of(&answer, "content-encoding"), None);
    }
}

#[tokio::test]
async fn response_that_does_not_pay_stays_as_it_is() {
    let mut coded = response("text/css", 5000);
    coded.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    let mut refused = response("application/json", 5000);
    *refused.status_mut() = StatusCode::NOT_FOUND;
    let mut streamed = response("application/json", 0);
    let pieces = stream::iter([Ok::<_, std::io::Error>("x".repeat(5000))]);
    *streamed.body_mut() = Body::from_stream(pieces);
    for kept in [response("application/json", 1399), response("image/png", 5000), coded, refused, streamed] {
        let before = kept.headers().clone();
        let answer = compress(Some(Coding::Zstd), kept).await;
        assert_eq!(*answer.headers(), before);
    }
}

/// Nothing that shows a password, a token, a key or a link.
#[test]
fn routes_with_secrets_are_not_listed() {
    for route in [
        "/admin/login",
        "/org/create",
        "/v1/auth/refresh",
        "/v1/keys",
        "/v1/keys/{key}/rotate",
        "/v1/me/links",
        "/v1/organizations/{organization}/export",
        "/v1/organizations/{organization}/invitations",
        "/v1/organizations/{organization}/keys",
        "/v1/organizations/{organization}/members/{account}/links",
        "/v1/organizations/{organization}/members/{account}/password-reset",
        "/v1/organizations/{organization}/tokens",
    ] {
        for method in [Method::GET, Method::POST] {
            assert!(!is_listed(&method, route), "{method} {route}");
        }
    }
    assert!(!is_listed(&Method::POST, "/v1/organizations"));
    assert!(is_listed(&Method::POST, "/v1/organizations/{organization}/collections/{collection}/query"));
}
