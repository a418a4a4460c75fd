//! What surrounds every request: its id, its deadline, its security headers, its line in the log, its numbers.
//!
//! One layer instead of a stack of them: each would cost an allocation per request, and their order is a trap.

use super::Http;
use super::observe::Observed;
use super::problem::{Refusal, render};
use super::request_id::{RequestId, X_REQUEST_ID};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;
use tenantry_domain::{Error, ErrorCode};

/// On every answer, unless the route sets its own.
const SECURITY: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Carries a request through.
pub async fn frame(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers(), &*http.entropy);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let answer = tokio::time::timeout(http.settings.request_timeout, next.run(request)).await;
    let mut response = render(answer.unwrap_or_else(|_| too_slow()), &id);
    add_headers(response.headers_mut(), &id);
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let observed = Observed { method: &method, route, status: response.status(), took: started.elapsed() };
    http.metrics.observe(&observed);
    log(&id, &observed);
    response
}

fn too_slow() -> Response {
    Refusal(Error::new(ErrorCode::Overloaded)).into_response()
}

fn add_headers(headers: &mut HeaderMap, id: &RequestId) {
    headers.insert(X_REQUEST_ID, id.header().clone());
    for (name, value) in SECURITY {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Reads that went well are many and say little; the rest is what somebody looks for afterwards. The path is
/// not logged: it may hold a name, and the route says which endpoint it was.
fn log(id: &RequestId, seen: &Observed<'_>) {
    let (method, status) = (seen.method.as_str(), seen.status.as_u16());
    let micros = u64::try_from(seen.took.as_micros()).unwrap_or(u64::MAX);
    let id = id.as_str();
    if *seen.method == Method::GET && status < 400 {
        tracing::debug!(request_id = id, method, route = seen.route, status, micros, "answered");
    } else {
        tracing::info!(request_id = id, method, route = seen.route, status, micros, "answered");
    }
}

/// The answer where a handler panicked: a defect, told to the log and not to the client.
#[expect(clippy::needless_pass_by_value, reason = "the layer that calls it gives the panic away")]
pub fn on_panic(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("of unknown kind");
    Refusal(Error::internal(format!("a handler panicked: {text}"))).into_response()
}
