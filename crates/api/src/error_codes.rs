//! The errors of HTTP: the refusals that no other transport has, the status of every error, and what an HTTP client can do
//! about it.
//!
//! The other rows are in the domain ([`ErrorCode`]). The problem body, the responses in the OpenAPI document and
//! `docs/errors.md` come from both tables.

use axum::http::StatusCode;
use tenantry_domain::error::ErrorRow;
use tenantry_domain::{Error, ErrorCode, ErrorKind};

/// Declares the refusals of HTTP alone, each with its row and its status.
macro_rules! http_errors {
    ($($name:ident, $status:ident, $code:literal, $title:literal, $advice:literal;)*) => {
        $(#[doc = $title] pub const $name: ErrorCode = ErrorCode::new(
            &ErrorRow { code: $code, kind: ErrorKind::Invalid, title: $title, advice: $advice },
        );)*

        const HTTP_ERRORS: &[(ErrorCode, StatusCode)] = &[$(($name, StatusCode::$status),)*];
    };
}

http_errors! {
    INVALID_HEADER, BAD_REQUEST, "invalid_header", "A request header has an invalid value.", "Correct the header that `detail` names.";
    MALFORMED_REQUEST, BAD_REQUEST, "malformed_request", "What was sent is not an HTTP/1.1 request.", "Correct what `detail` names; the connection is closed.";
    ROUTE_NOT_FOUND, NOT_FOUND, "route_not_found", "There is nothing at this path.", "The paths are listed at /openapi.json and /docs.";
    METHOD_NOT_ALLOWED, METHOD_NOT_ALLOWED, "method_not_allowed", "This path does not take that method.", "The methods it takes are in the `Allow` header.";
    REQUEST_TIMEOUT, REQUEST_TIMEOUT, "request_timeout", "The request did not arrive in time.", "Send it again over a faster connection.";
    BODY_TOO_LARGE, PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large.", "Send a smaller one; `detail` says the limit.";
    URI_TOO_LONG, URI_TOO_LONG, "uri_too_long", "The URL is too long.", "The whole head of a request may have 16 KiB: send a long filter in the body, at POST .../query.";
    UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The body is of a type this request does not take.", "Send it as the Content-Type that `detail` names.";
    HEADERS_TOO_LARGE, REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", "The headers of the request are too large.", "Send fewer or shorter ones: 100 headers, and 16 KiB with the first line, are taken.";
}

/// Advice for HTTP clients where the domain's advice is too general.
const ADVICE: &[(ErrorCode, &str)] = &[
    (
        ErrorCode::TokenMissing,
        "Sign in at POST /admin/login and send `Authorization: Bearer <access_token>`.",
    ),
    (ErrorCode::TokenInvalid, "Sign in again at POST /admin/login."),
    (ErrorCode::TokenExpired, "Get a new one at POST /v1/auth/refresh, or sign in again."),
    (ErrorCode::RefreshTokenInvalid, "Sign in again at POST /admin/login."),
    (
        ErrorCode::OperatorKeyRequired,
        "Send `Authorization: Bearer <operator key>`; the service prints at start where the key is kept.",
    ),
    (
        ErrorCode::OperationNotFound,
        "Check the id; it is in the `Operation-Location` header of the change that began it.",
    ),
    (
        ErrorCode::CollectionNotFound,
        "Create it at POST /v1/organizations/{organization}/collections, or check its name.",
    ),
    (
        ErrorCode::DocumentNotFound,
        "Check the id: text after `~` is JSON, 24 hexadecimal digits are an ObjectId, all else is a string.",
    ),
    (
        ErrorCode::OrganizationExists,
        "Import it under a new id (`id=new`), or purge the one that is there first.",
    ),
    (ErrorCode::DocumentExists, "Replace it with PUT, or choose another `_id`."),
    (
        ErrorCode::RoleNotFound,
        "Check its name against the list of the organization's roles; those that every organization has are at `GET /v1/roles`, and stay as they are.",
    ),
    (ErrorCode::RoleInUse, "Give them another role first: `GET .../members` lists who has which."),
    (
        ErrorCode::IdempotencyInProgress,
        "Wait as long as `Retry-After` says, then send it again to get its response.",
    ),
    (ErrorCode::IdempotencyKeyReused, "Send a new request with a new `Idempotency-Key`."),
    (
        ErrorCode::SigningKeyUnready,
        "Those who check tokens may not know it yet: wait as long as `Retry-After` says, or retire the key that signs, if it has leaked.",
    ),
    (ErrorCode::VersionMismatch, "Read it again and send its new ETag in `If-Match`."),
    (
        ErrorCode::TooManyIdempotencyKeys,
        "Wait as long as `Retry-After` says, or send the request without the header: keys that already have a response stay valid.",
    ),
    (ErrorCode::TooManyAttempts, "Wait as long as `Retry-After` says."),
    (ErrorCode::TooManyRequests, "Wait as long as `Retry-After` says, and send fewer at a time."),
    (ErrorCode::Internal, "Report the `request_id` to the operator of the service."),
    (ErrorCode::SignInBusy, "Try again after as long as `Retry-After` says."),
    (ErrorCode::StoreUnavailable, "Try again after as long as `Retry-After` says."),
    (ErrorCode::Overloaded, "Try again after as long as `Retry-After` says."),
];

/// Every error, ordered by status, then by its place in the tables.
#[must_use]
pub fn all() -> Vec<ErrorCode> {
    let http = HTTP_ERRORS.iter().map(|(code, _)| *code);
    let mut all: Vec<_> = ErrorCode::ALL.iter().copied().chain(http).collect();
    all.sort_by_key(|code| status_of(*code).as_u16());
    all
}

/// The error of that name.
#[must_use]
pub fn find(code: &str) -> Option<ErrorCode> {
    let mut http = HTTP_ERRORS.iter().map(|(row, _)| *row);
    ErrorCode::ALL
        .iter()
        .copied()
        .find(|row| row.code() == code)
        .or_else(|| http.find(|row| row.code() == code))
}

/// The HTTP status of an error.
#[must_use]
pub fn status_of(code: ErrorCode) -> StatusCode {
    match HTTP_ERRORS.iter().find(|(row, _)| *row == code) {
        Some((_, status)) => *status,
        None => status_of_kind(code.kind()),
    }
}

const fn status_of_kind(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Stale => StatusCode::PRECONDITION_FAILED,
        ErrorKind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::NoCapacity => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// What an HTTP client can do about it.
#[must_use]
pub fn advice(code: ErrorCode) -> &'static str {
    ADVICE.iter().find(|(row, _)| *row == code).map_or_else(|| code.advice(), |(_, advice)| advice)
}

/// The sentence for a client: the specific one if there is one, else title and advice.
#[must_use]
pub fn sentence(error: &Error) -> String {
    match error.particulars() {
        Some(detail) => detail.to_owned(),
        None => format!("{} {}", error.code().title(), advice(error.code())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn error_codes_are_unique_and_their_advice_is_sentences() {
        let mut codes = HashSet::new();
        for code in all() {
            assert!(codes.insert(code.code()), "{}", code.code());
            assert!(code.title().ends_with('.') && advice(code).ends_with('.'), "{}", code.code());
        }
    }
}
