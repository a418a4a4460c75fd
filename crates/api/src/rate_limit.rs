//! `RateLimit` and `RateLimit-Policy`: the headers that tell a client of a rate-limited route how many attempts it has left
//! (draft-ietf-httpapi-ratelimit-headers).

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tenantry_domain::rate_limit::RateLimit;

/// The header with the attempts left.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The header with the limit.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Announces that `remaining` attempts of `limit` are left; adds nothing if they are not counted.
pub fn announce(headers: &mut HeaderMap, name: &str, limit: RateLimit, remaining: Option<u32>) {
    let Some(remaining) = remaining else { return };
    let (quota, window) = (limit.burst, (limit.period * limit.burst).as_secs());
    let period = limit.period.as_millis().div_ceil(1000);
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
