//! What pages of other origins may send and read.

use crate::support::app::Setup;
use reqwest::Method;

const ORIGIN: &str = "https://app.example";

async fn allowed_headers(setup: Setup) -> Vec<String> {
    let app = setup.with(&format!("--cors-origins={ORIGIN}")).start().await;
    let preflight = app
        .client()
        .with_header("origin", ORIGIN)
        .with_header("access-control-request-method", "PATCH")
        .with_header("access-control-request-headers", "traceparent,authorization")
        .send(Method::OPTIONS, "/org/get", None)
        .await;
    assert_eq!(preflight.header("access-control-allow-origin"), ORIGIN);
    preflight.header("access-control-allow-headers").split(',').map(str::to_lowercase).collect()
}

#[tokio::test]
async fn preflight_allows_tracing_headers() {
    let allowed = allowed_headers(Setup::unlimited()).await;
    for name in ["traceparent", "tracestate", "baggage", "sentry-trace", "authorization", "if-match"] {
        assert!(allowed.iter().any(|header| header == name), "{name}: {allowed:?}");
    }
    assert!(!allowed.iter().any(|header| header == "x-trace-id"));
}

#[tokio::test]
async fn preflight_allows_configured_headers() {
    let allowed = allowed_headers(Setup::unlimited().with("--cors-headers=X-Trace-Id, b3")).await;
    for name in ["x-trace-id", "b3", "traceparent", "authorization"] {
        assert!(allowed.iter().any(|header| header == name), "{name}: {allowed:?}");
    }
}
