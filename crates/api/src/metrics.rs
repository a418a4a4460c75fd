//! The metrics of the API. A handle is created once per route, method and status, and looked up without allocating.

use crate::rate_limit::requests::REQUEST_LIMITS;
use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tenantry_domain::rate_limit::STORED_LIMITS;

/// Requests answered, by `method`, `route` and `status`.
pub const HTTP_REQUESTS: &str = "http_requests_total";
/// Seconds from the head of a request to the head of its response, by `method` and `route`.
pub const HTTP_REQUEST_DURATION: &str = "http_request_duration_seconds";
/// Queries that examined more documents than `FULL_SCAN_NOTICE`, because no index serves them.
pub const DOCUMENT_FULL_SCANS: &str = "document_full_scans_total";
/// Open connections of clients.
pub const HTTP_CONNECTIONS: &str = "http_connections";
/// Requests that are worked on.
pub const HTTP_REQUESTS_IN_PROGRESS: &str = "http_requests_in_progress";
/// Requests that were refused at once, because as many were worked on as may be.
pub const HTTP_REQUESTS_SHED: &str = "http_requests_shed_total";
/// Requests that were refused because somebody has sent too many of them, by the name of the `limit`.
pub const REQUESTS_RATE_LIMITED: &str = "requests_rate_limited_total";
/// Connections that were closed at once, because their address had as many as one may have.
pub const HTTP_CONNECTIONS_REFUSED: &str = "http_connections_refused_total";
/// TLS handshakes that did not succeed, by `reason`: `failed`, `plain_http` or `timeout`.
pub const TLS_HANDSHAKE_FAILURES: &str = "tls_handshake_failures_total";
/// HTTP/2 connections that were closed for what their client did, by `reason`: `frames`, `head` or `stalled`.
pub const HTTP2_CONNECTIONS_CUT_OFF: &str = "http2_connections_cut_off_total";
/// Password hashes that wait for a thread.
pub const PASSWORD_HASH_QUEUE_DEPTH: &str = "password_hash_queue_depth";

/// The names of the limits: `limit` of [`REQUESTS_RATE_LIMITED`].
#[must_use]
pub fn rate_limits() -> Vec<&'static str> {
    [REQUEST_LIMITS.as_slice(), &STORED_LIMITS].concat()
}

/// A request that has been answered.
pub struct AnsweredRequest<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The route it matched, never its path.
    pub route: &'a str,
    /// The status of the response.
    pub status: StatusCode,
    /// From its head to the head of its response.
    pub took: Duration,
}

/// The metrics of one route, for one method and status.
struct Series {
    method: Method,
    status: StatusCode,
    requests: Counter,
    seconds: Histogram,
}

/// The metrics of all routes. Their number is bounded: routes are ours, and an unknown method counts as `OTHER`.
#[derive(Default)]
pub struct RequestMetrics(RwLock<HashMap<String, Vec<Series>>>);

impl RequestMetrics {
    /// Those of the operations of an OpenAPI document. Their good statuses, 500 and 503 begin with 0: of a counter that
    /// appears with its first request, Prometheus misses that one.
    #[must_use]
    pub fn of(document: &serde_json::Value) -> Self {
        let paths = document["paths"].as_object().into_iter().flatten();
        for (route, operations) in paths {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                let statuses = operation["responses"].as_object().into_iter().flatten();
                let statuses = statuses.map(|(status, _)| status.as_str());
                for status in
                    statuses.filter(|status| status.starts_with('2') || ["500", "503"].contains(status))
                {
                    let (method, route) = (method.to_ascii_uppercase(), route.clone());
                    counter!(HTTP_REQUESTS, "method" => method, "route" => route, "status" => status.to_owned())
                        .increment(0);
                }
            }
        }
        Self::default()
    }

    /// Counts an answered request.
    pub fn observe(&self, seen: &AnsweredRequest<'_>) {
        let method = known(seen.method);
        {
            let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let found = routes.get(seen.route).and_then(|all| {
                all.iter().find(|series| series.method == method && series.status == seen.status)
            });
            if let Some(series) = found {
                series.count(seen.took);
                return;
            }
        }
        let series = Series::new(&method, seen);
        series.count(seen.took);
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        routes.entry(seen.route.to_owned()).or_default().push(series);
    }
}

impl Series {
    fn new(method: &Method, seen: &AnsweredRequest<'_>) -> Self {
        let (route, status) = (seen.route.to_owned(), seen.status.as_str().to_owned());
        let name = method.as_str().to_owned();
        Self {
            method: method.clone(),
            status: seen.status,
            requests: counter!(HTTP_REQUESTS, "method" => name.clone(), "route" => route.clone(), "status" => status),
            seconds: histogram!(HTTP_REQUEST_DURATION, "method" => name, "route" => route),
        }
    }

    fn count(&self, took: Duration) {
        self.requests.increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

/// The method, or `OTHER` for any that a client may invent.
fn known(method: &Method) -> Method {
    const KNOWN_METHODS: [Method; 7] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    if KNOWN_METHODS.contains(method) {
        return method.clone();
    }
    Method::from_bytes(b"OTHER").unwrap_or(Method::TRACE)
}
