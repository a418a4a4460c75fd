//! The response to a malformed request: a head that hyper cannot parse, that is ambiguous, or that takes too long.
//!
//! There is no request to route, so this module writes the whole response itself. The response goes through the same
//! layers as any other, and so has an id, a line in the log, and the headers that let a page of another origin read it.

use super::head_errors;
use super::http::Http;
use super::middleware::Middleware;
use super::problem::ApiError;
use crate::listen::{HeadFault, MalformedHandler, MalformedPeer, MalformedRequest};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::response::Response;
use futures_util::FutureExt;
use jiff::Timestamp;
use std::io::Write;
use std::sync::Arc;
use tenantry_domain::ErrorCode;
use tenantry_domain::clock::Clock;
use tower::Service;
use tower_http::cors::CorsLayer;

/// The method of a malformed request in logs and metrics.
const UNKNOWN: &[u8] = b"UNKNOWN";
/// The longest response in bytes; a problem has a few hundred.
const MAX_BYTES: usize = 64 << 10;
/// Sent if no better response can be built.
const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Builds the responses, within the same layers as the routes.
pub fn handler(http: &Arc<Http>, cors: Option<CorsLayer>) -> MalformedHandler {
    let routes = Router::new().fallback(refuse);
    let routes = match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    let router: Router = routes.layer(Middleware(Arc::clone(http)));
    let clock = Arc::clone(&http.clock);
    Arc::new(move |malformed| {
        respond(router.clone(), &*clock, malformed).unwrap_or_else(|| Bytes::from_static(BARE))
    })
}

async fn refuse(request: Request) -> ApiError {
    match request.extensions().get::<HeadFault>() {
        Some(fault) => ApiError(head_errors::error(*fault)),
        None => ErrorCode::Internal.into(),
    }
}

fn respond(mut router: Router, clock: &dyn Clock, malformed: &MalformedRequest<'_>) -> Option<Bytes> {
    let mut request = Request::new(Body::empty());
    // Not its own method: the CORS layer would answer a preflight.
    *request.method_mut() = Method::from_bytes(UNKNOWN).ok()?;
    request.extensions_mut().insert(malformed.fault);
    request.extensions_mut().insert(MalformedPeer(malformed.peer));
    if let Some(origin) = malformed.origin.and_then(|origin| HeaderValue::from_bytes(origin).ok()) {
        request.headers_mut().insert(header::ORIGIN, origin);
    }
    // Nothing in these layers waits.
    let response = router.call(request).now_or_never()?.ok()?;
    encode(response, clock.now(), malformed.is_head_request)
}

fn encode(response: Response, now: Timestamp, is_head_request: bool) -> Option<Bytes> {
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body, MAX_BYTES).now_or_never()?.ok()?;
    let now = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    head.headers.insert(header::DATE, HeaderValue::from_str(&now).ok()?);
    let mut bytes = Vec::with_capacity(1024);
    let reason = head.status.canonical_reason().unwrap_or_default();
    write!(bytes, "HTTP/1.1 {} {reason}\r\n", head.status.as_str()).ok()?;
    for (name, value) in &head.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    if !is_head_request {
        bytes.extend_from_slice(&body);
    }
    Some(Bytes::from(bytes))
}
