//! What the service says of itself as an OAuth 2.0 authorization server (RFC 8414): where its keys are, and where to ask about
//! a token. Only where the issuer of its tokens is an https URL: the document must be found by that.
//!
//! # Pitfalls
//! For an issuer with a path, clients look below the well-known path and not above it (RFC 8414, 3.1): there the route has
//! the issuer's path behind it.

use super::http::Http;
use super::openapi::Access;
use super::problem::ApiError;
use super::responses::json;
use crate::error_codes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;
use tenantry_domain::permission::{Permission, TOKEN_PERMISSIONS};
use utoipa::ToSchema;

/// Where the document is, for an issuer without a path.
const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";
/// Where it is for one with a path.
pub const BELOW_WELL_KNOWN: &str = "/.well-known/oauth-authorization-server/{*issuer_path}";

/// What RFC 8414 calls authorization server metadata.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthorizationServer)]
pub struct AuthorizationServerResponse<'a> {
    /// The `iss` of access tokens.
    #[schema(example = "https://id.example")]
    pub issuer: &'a str,
    /// Where the public keys are; absent where a shared secret signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Where a service key with `tokens:introspect` asks whether a token is valid (RFC 7662).
    pub introspection_endpoint: String,
    /// How it says who asks: `client_secret_basic`, with the id of the key as the client and the key as its secret, or
    /// `Bearer`, with the key as the token.
    pub introspection_endpoint_auth_methods_supported: [&'static str; 2],
    /// What tokens may allow.
    pub scopes_supported: Vec<&'static str>,
    /// None: people sign in at the service itself, and backends exchange a key.
    pub response_types_supported: [&'static str; 0],
    /// None, for the same reason; without this member it would mean two of them.
    pub grant_types_supported: [&'static str; 0],
    /// The API for people.
    pub service_documentation: String,
}

/// Describe the issuer of access tokens.
///
/// Authorization server metadata (RFC 8414): where the keys and the introspection are. It exists where `JWT_ISSUER` is an
/// https URL; if that has a path, the document is at this path with the issuer's path behind it.
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", operation_id = "getAuthorizationServer",
    tag = "Sign-in",
    responses((status = 200, description = "Its metadata.", body = AuthorizationServerResponse<'static>)),
    extensions(("x-rule" = json!(Access::Public.refuses(&[error_codes::ROUTE_NOT_FOUND])))))]
pub async fn describe_server(State(http): State<Arc<Http>>, uri: Uri) -> Result<Response, ApiError> {
    let issuer = http.settings.issuer_url.as_ref().ok_or(error_codes::ROUTE_NOT_FOUND)?;
    let asked = uri.path().strip_prefix(WELL_KNOWN).unwrap_or_default();
    // Behind a proxy that has removed the path of PUBLIC_URL, the request comes without it.
    if !asked.is_empty() && asked.trim_end_matches('/') != issuer.path {
        return Err(error_codes::ROUTE_NOT_FOUND.into());
    }
    let base = &issuer.base;
    let is_published = http.app.signing_keys.public_keys().await?["keys"] != serde_json::json!([]);
    let body = AuthorizationServerResponse {
        issuer: &issuer.text,
        jwks_uri: is_published.then(|| format!("{base}/.well-known/jwks.json")),
        introspection_endpoint: format!("{base}/v1/auth/introspect"),
        introspection_endpoint_auth_methods_supported: ["client_secret_basic", "Bearer"],
        scopes_supported: TOKEN_PERMISSIONS.iter().map(Permission::as_str).collect(),
        response_types_supported: [],
        grant_types_supported: [],
        service_documentation: format!("{base}/redoc"),
    };
    let mut response = json(StatusCode::OK, &body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response)
}
