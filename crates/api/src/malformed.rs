//! The response to a malformed request: a head that hyper cannot parse, that is ambiguous, or that takes too long.
//!
//! There is no request to route, so this module writes the whole response itself. The response goes through the same
//! layers as any other, and so has an id, a line in the log, and the headers that let a page of another origin read it.

use super::http::Http;
use super::middleware::Middleware;
use super::problem::ApiError;
use crate::error_codes;
use crate::listen::{HeadFault, MalformedHandler, MalformedRequest};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::response::Response;
use futures_util::FutureExt;
use jiff::Timestamp;
use std::io::Write;
use std::sync::Arc;
use tenantry_domain::clock::Clock;
use tenantry_domain::{Error, ErrorCode};
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
        Some(fault) => ApiError(error(*fault)),
        None => ErrorCode::Internal.into(),
    }
}

fn respond(mut router: Router, clock: &dyn Clock, malformed: &MalformedRequest<'_>) -> Option<Bytes> {
    let mut request = Request::new(Body::empty());
    // Not its own method: the CORS layer would answer a preflight.
    *request.method_mut() = Method::from_bytes(UNKNOWN).ok()?;
    request.extensions_mut().insert(malformed.fault);
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

/// The error for a fault, with its detail.
fn error(fault: HeadFault) -> Error {
    let detail = match fault {
        HeadFault::BareLineFeed => "A line of the request's head ends in LF alone: end each line in CR LF.",
        HeadFault::RequestLine => {
            "The first line must be a method, a path and `HTTP/1.1`, with one space between each."
        }
        HeadFault::HostMissing => "There is no `Host` header: send one with the name of the server.",
        HeadFault::HostRepeated => "There is more than one `Host` header: send one.",
        HeadFault::HostInvalid => "`Host` is not the name of a host, with or without a port.",
        HeadFault::TwoLengths => "`Transfer-Encoding` stands beside `Content-Length`: send one of them.",
        HeadFault::LengthRepeated => "There is more than one `Content-Length` header: send one.",
        HeadFault::TransferEncoding => {
            "`Transfer-Encoding` must be `chunked`, once, in HTTP/1.1: no other encoding is taken."
        }
        HeadFault::Unparsable => "The request's head is not HTTP/1.1: check its first line and its headers.",
        HeadFault::TargetTooLong => return error_codes::URI_TOO_LONG.into(),
        HeadFault::TooLarge => return error_codes::HEADERS_TOO_LARGE.into(),
        HeadFault::TooSlow => {
            let detail =
                "The head of the request did not arrive in time. Send it again over a faster connection.";
            return Error::new(error_codes::REQUEST_TIMEOUT).detail(detail);
        }
    };
    Error::new(error_codes::MALFORMED_REQUEST).detail(detail)
}
