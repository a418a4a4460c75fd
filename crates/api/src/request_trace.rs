//! Which requests are traced, and their spans. Where the spans go is up to the binary.
//!
//! # Pitfalls
//! The span of a traced request has a target of its own: the spans below it are exported because they are within one with that
//! target. So a request that is not traced costs one decision, and no span.

use axum::http::{HeaderMap, Method, StatusCode};
use tenantry_domain::ids::OrganizationId;
use tracing::Span;
use tracing::field::{Empty, display};

/// The target of the spans of traced requests.
pub const TRACED: &str = "tenantry_api::traced";

/// Tells the span of a request which span of its caller it continues.
pub type AdoptParent = Box<dyn FnOnce(&Span) + Send>;

/// Decides which requests are traced.
pub trait RequestTracer: Send + Sync {
    /// What begins the trace of a request with these headers; `None` if it is not traced.
    fn sample(&self, headers: &HeaderMap) -> Option<AdoptParent>;

    /// The id of the trace that this span belongs to, as 32 hexadecimal digits.
    fn trace_id(&self, span: &Span) -> Option<String>;
}

/// The span of a traced request.
pub fn span(method: &Method, route: &str, request_id: &str, adopt: AdoptParent) -> Span {
    let span = tracing::debug_span!(
        target: TRACED,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = %method,
        http.route = route,
        http.response.status_code = Empty,
        request_id,
        organization = Empty,
        code = Empty,
    );
    adopt(&span);
    span
}

/// Adds what is known when a traced request has been answered.
pub fn finish(span: &Span, status: StatusCode, organization: Option<OrganizationId>, code: Option<&str>) {
    span.record("http.response.status_code", status.as_u16());
    if let Some(id) = organization {
        span.record("organization", display(id));
    }
    if let Some(code) = code {
        span.record("code", code);
    }
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}
