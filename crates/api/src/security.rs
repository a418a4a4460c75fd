//! The security headers that every response has, for browsers.

use super::request_id::X_REQUEST_ID;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use std::sync::LazyLock;

/// On every response, unless the route sets its own. Copying the complete map costs a fifth of adding the headers one by
/// one.
static SECURITY: LazyLock<HeaderMap> = LazyLock::new(|| {
    HeaderMap::from_iter([
        // A placeholder: each response has its own id.
        (X_REQUEST_ID, HeaderValue::from_static("")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
        ),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    ])
});

/// The headers that every response has; one that starts with them does not get them added at the end.
pub fn headers() -> HeaderMap {
    SECURITY.clone()
}
