//! `RateLimit` and `RateLimit-Policy`: what the throttled routes tell a client of its allowance
//! (draft-ietf-httpapi-ratelimit-headers).

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tenantry_domain::rate_limit::RateLimit;

/// Where the allowance stands.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Where the rule stands.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Says that `remaining` attempts of `limit` are left; nothing where nobody counts.
pub fn announce(headers: &mut HeaderMap, name: &str, limit: RateLimit, remaining: Option<u32>) {
    let Some(remaining) = remaining else { return };
    let (quota, period) = (limit.burst, limit.period.as_secs());
    let window = period * u64::from(quota);
    let values = [
        (RATE_LIMIT_POLICY, format!("\"{name}\";q={quota};w={window}")),
        (RATE_LIMIT, format!("\"{name}\";r={remaining};t={period}")),
    ];
    for (header, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(header, value);
        }
    }
}
