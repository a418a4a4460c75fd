//! Responses that are compressed, where that pays: whole ones of some size, on the routes listed here, for clients that ask.
//!
//! A compressed response tells by its length what is in it. So only routes are listed whose responses contain no password,
//! token, key or link. A response that is written while its client reads it is not compressed: its lines would have to be
//! flushed one by one, which saves little.
//!
//! # Pitfalls
//! A new route is not compressed unless it is listed here: whether it shows a secret is a decision.

mod encoder;
mod negotiation;

pub use negotiation::{Coding, preferred};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::response::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use encoder::encode;
use futures_util::stream;
use hyper::body::Body as HttpBody;
use tenantry_domain::offload;

/// The smallest body that is compressed: below, it fits into one packet anyway.
const MIN_BYTES: u64 = 1400;

/// Routes below this one hold documents and what describes them.
const COLLECTIONS: &str = "/v1/organizations/{organization}/collections";
/// Other routes whose responses to reads hold no secret.
const READS: [&str; 19] = [
    "/docs",
    "/docs/page.css",
    "/docs/start.js",
    "/docs/swagger-ui-bundle.js",
    "/docs/swagger-ui.css",
    "/metrics",
    "/openapi.json",
    "/redoc",
    "/redoc/page.css",
    "/redoc/redoc.standalone.js",
    "/v1/audit",
    "/v1/operations",
    "/v1/organizations",
    "/v1/organizations/{organization}",
    "/v1/organizations/{organization}/audit",
    "/v1/organizations/{organization}/members",
    "/v1/organizations/{organization}/operations",
    "/v1/organizations/{organization}/roles",
    "/v1/roles",
];

/// Whether responses of a route are compressed.
pub fn is_listed(method: &Method, route: &str) -> bool {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    route.starts_with(COLLECTIONS) || (is_read && READS.contains(&route))
}

/// The response in `coding`, if it pays; in any case it says that it depends on the codings that the client takes. The response
/// to HEAD still has the body that GET would send: its head is the same.
pub async fn compress(coding: Option<Coding>, response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    // It has the fields that its 200 would have (RFC 9110, 15.4.5), and nobody knows here how long that would be.
    if head.status == StatusCode::NOT_MODIFIED && !varies_by_coding(&head.headers) {
        head.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if !pays(&head, &body) {
        return Response::from_parts(head, body);
    }
    head.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let Some(coding) = coding else { return Response::from_parts(head, body) };
    // It is all there: nothing is waited for.
    let bytes = match to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes,
        Err(error) => {
            return Response::from_parts(head, Body::from_stream(stream::iter([Err::<Bytes, _>(error)])));
        }
    };
    let source = bytes.clone();
    let Ok(Ok(encoded)) = offload::by_size(bytes.len(), move || encode(coding, &source)).await else {
        // There is no memory for it, or next to none.
        return Response::from_parts(head, Body::from(bytes));
    };
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_ENCODING, coding.name());
    weaken(&mut head.headers);
    Response::from_parts(head, Body::from(encoded))
}

/// Whether a response gains by being compressed: it is whole, of some size, and text.
fn pays(head: &Parts, body: &Body) -> bool {
    let length = HttpBody::size_hint(body).exact().unwrap_or(0);
    head.status.is_success()
        && length >= MIN_BYTES
        && !head.headers.contains_key(header::CONTENT_ENCODING)
        && head.headers.get(header::CONTENT_TYPE).is_some_and(is_text)
}

fn varies_by_coding(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::VARY)
        .iter()
        .any(|names| names.as_bytes().to_ascii_lowercase().windows(15).any(|part| part == b"accept-encoding"))
}

fn is_text(media_type: &HeaderValue) -> bool {
    let bytes = media_type.as_bytes();
    bytes.starts_with(b"application/json") || bytes.starts_with(b"text/")
}

/// Makes the tag one of the content, whose bytes depend on the coding (RFC 9110, 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\"")) else { return };
    let weak = [b"W/", tag.as_bytes()].concat();
    if let Ok(weak) = HeaderValue::from_bytes(&weak) {
        headers.insert(header::ETAG, weak);
    }
}

#[cfg(test)]
mod tests;
