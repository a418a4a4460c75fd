//! Problem details (RFC 9457): how an error of the domain or of the framework becomes a response.
//!
//! A handler returns [`ApiError`], which only carries the error; [`render`] turns it, and every other response of 400 and
//! above that the framework makes, into a problem body with the request's id.

use super::error_codes::{self, sentence, status_of};
use super::metrics::REQUESTS_RATE_LIMITED;
use super::rate_limit::announce;
use super::request_id::RequestId;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics::counter;
use serde::Serialize;
use tenantry_domain::{Error, ErrorCode, ErrorKind, FieldError};
use utoipa::ToSchema;

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The body of every refusal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDetails {
    /// A link to the explanation of this problem.
    #[serde(rename = "type")]
    #[schema(example = "/problems/name_taken")]
    pub kind: String,
    /// A summary that is the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    #[schema(example = 409)]
    pub status: u16,
    /// What happened this time, and what to do.
    pub detail: String,
    /// The stable name of the problem.
    #[schema(example = "name_taken")]
    pub code: String,
    /// Identifies this request in the service's log.
    pub request_id: String,
    /// Every bad field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldProblem>,
}

/// A bad field.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer into the body, or `?name` for a query parameter.
    #[schema(example = "/email")]
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl From<&FieldError> for FieldProblem {
    fn from(field: &FieldError) -> Self {
        Self { pointer: field.pointer.clone(), detail: field.detail.clone() }
    }
}

/// An error that the middleware will render.
#[derive(Debug, Clone)]
pub struct ApiError(pub Error);

/// The code of a response that is a problem, for the log.
#[derive(Debug, Clone, Copy)]
pub struct RenderedCode(pub &'static str);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self(code.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = status_of(self.0.code()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Turns a response that is a refusal into a problem, whose `type` begins with `public_url`; leaves any other unchanged.
pub fn render(mut response: Response, id: &RequestId, public_url: &str) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let error = match response.extensions_mut().remove::<ApiError>() {
        Some(ApiError(error)) => error,
        None => match of_framework(status) {
            Some(code) => code.into(),
            // A problem that was rendered before and stored for its Idempotency-Key.
            None => return response,
        },
    };
    if let Some(cause) = error.cause() {
        tracing::error!(request_id = id.as_str(), code = error.code().code(), cause, "a request failed");
    }
    let body = serde_json::to_vec(&problem(&error, id, public_url)).unwrap_or_default();
    let (mut parts, _) = response.into_parts();
    parts.status = status_of(error.code());
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    parts.headers.remove(header::CONTENT_LENGTH);
    add_headers(&mut parts.headers, &error);
    parts.extensions.insert(RenderedCode(error.code().code()));
    Response::from_parts(parts, Body::from(body))
}

fn problem(error: &Error, id: &RequestId, public_url: &str) -> ProblemDetails {
    let code = error.code();
    ProblemDetails {
        kind: format!("{public_url}/problems/{}", code.code()),
        title: code.title().to_owned(),
        status: status_of(code).as_u16(),
        detail: sentence(error),
        code: code.code().to_owned(),
        request_id: id.as_str().to_owned(),
        errors: error.fields().iter().map(FieldProblem::from).collect(),
    }
}

/// The code for a refusal of the framework; it makes no others.
fn of_framework(status: StatusCode) -> Option<ErrorCode> {
    Some(match status {
        StatusCode::NOT_FOUND => error_codes::ROUTE_NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED => error_codes::METHOD_NOT_ALLOWED,
        StatusCode::PAYLOAD_TOO_LARGE => error_codes::BODY_TOO_LARGE,
        StatusCode::INTERNAL_SERVER_ERROR => ErrorCode::Internal,
        _ => return None,
    })
}

fn add_headers(headers: &mut axum::http::HeaderMap, error: &Error) {
    if error.code().kind() == ErrorKind::Unauthenticated
        && let Ok(value) = HeaderValue::from_str(&challenge(error))
    {
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
    if let Some((name, limit)) = error.limit() {
        announce(headers, name, limit, Some(0));
        counter!(REQUESTS_RATE_LIMITED, "limit" => name).increment(1);
    }
    let wait = error.wait().or(match error.code().kind() {
        ErrorKind::RateLimited | ErrorKind::Unavailable => Some(std::time::Duration::from_secs(1)),
        _ => None,
    });
    if let Some(wait) = wait {
        // Whole seconds, rounded up: a retry a moment too early would be refused again.
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
            headers.insert(header::RETRY_AFTER, value);
        }
    }
}

/// The challenge of a 401 (RFC 6750; RFC 9470 for a sign-in that is too old).
fn challenge(error: &Error) -> String {
    const REALM: &str = "Bearer realm=\"tenantry\"";
    match error.code() {
        ErrorCode::TokenInvalid
        | ErrorCode::TokenExpired
        | ErrorCode::TokenRevoked
        | ErrorCode::CredentialUnconfirmed => {
            format!("{REALM}, error=\"invalid_token\", error_description=\"{}\"", error.code().title())
        }
        ErrorCode::ReauthenticationRequired => {
            let max_age = error.allowed_age().unwrap_or_default().as_secs();
            format!("{REALM}, error=\"insufficient_user_authentication\", max_age={max_age}")
        }
        _ => REALM.to_owned(),
    }
}
