//! Rate limits over HTTP: `RateLimit` and `RateLimit-Policy`, the headers that tell a client how much is left of a limit
//! (draft-ietf-httpapi-ratelimit-headers), and the limits of requests.

pub mod requests;
mod table;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tenantry_domain::rate_limit::RateLimit;

/// The header with what is left.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The header with the limit.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Announces that `remaining` attempts of `limit` are left; adds nothing if they are not counted.
pub fn announce(headers: &mut HeaderMap, name: &str, limit: RateLimit, remaining: Option<u32>) {
    let Some(remaining) = remaining else { return };
    if let (Some(policy), Some(left)) = (policy(name, limit), left(name, limit, remaining)) {
        headers.insert(RATE_LIMIT_POLICY, policy);
        headers.insert(RATE_LIMIT, left);
    }
}

/// The value of `RateLimit-Policy`: as many within so many seconds.
fn policy(name: &str, limit: RateLimit) -> Option<HeaderValue> {
    let (quota, window) = (limit.burst, (limit.period * limit.burst).as_secs_f64().round());
    HeaderValue::try_from(format!("\"{name}\";q={quota};w={window}")).ok()
}

/// The value of `RateLimit`: as many are left, and one more after so many seconds.
fn left(name: &str, limit: RateLimit, remaining: u32) -> Option<HeaderValue> {
    let period = limit.period.as_nanos().div_ceil(1_000_000_000);
    HeaderValue::try_from(format!("\"{name}\";r={remaining};t={period}")).ok()
}
