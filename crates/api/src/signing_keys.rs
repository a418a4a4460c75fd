//! The keys that sign access tokens: the public ones for everybody, and the operator's view of those that rotate.

use super::auth::RequireOperator;
use super::http::Http;
use super::openapi::Access;
use super::path_params::SigningKeyPath;
use super::problem::ApiError;
use super::responses::json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use tenantry_domain::ErrorCode;
use tenantry_domain::signing_keys::SigningKeyView;
use utoipa::ToSchema;

/// A JSON Web Key Set.
#[derive(Serialize, ToSchema)]
#[schema(as = SigningKeys)]
pub struct SigningKeysResponse {
    /// The keys, as RFC 7517 defines them.
    #[schema(value_type = Vec<Object>)]
    pub keys: Value,
}

/// Get the keys that verify access tokens.
///
/// A JSON Web Key Set (RFC 7517). It has keys where tokens are signed with EdDSA, and is empty where they are
/// signed with a shared secret. Keys that sign later are in it a day or more before they do.
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "getSigningKeys", tag = "Sign-in",
    responses((status = 200, description = "A JSON Web Key Set; empty where tokens are signed with a shared secret.",
        body = SigningKeysResponse, content_type = "application/jwk-set+json")),
    extensions(("x-rule" = json!(Access::Public.refuses(&[])))))]
pub async fn jwks(State(http): State<Arc<Http>>) -> Result<Response, ApiError> {
    let keys = http.app.signing_keys.public_keys().await?["keys"].take();
    let mut response = json(StatusCode::OK, &SigningKeysResponse { keys });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response)
}

/// A key that signs access tokens.
#[derive(Serialize, ToSchema)]
#[schema(as = SigningKey)]
pub struct SigningKeyResponse {
    /// Its name, which the header of a token and the key set have as `kid`.
    #[schema(example = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")]
    pub kid: String,
    /// `current` signs; `next` will; `former` has signed tokens that are still valid; `retired` was ended.
    #[schema(example = "current")]
    pub state: &'static str,
    /// Since when it is published, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub published_at: Timestamp,
    /// From when on it signs, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub signs_from: Timestamp,
    /// Until when it signs, RFC 3339 in UTC; null if no later key is known.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub signs_until: Option<Timestamp>,
    /// Until when it is published and accepted, RFC 3339 in UTC; null if no later key is known.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub accepted_until: Option<Timestamp>,
}

impl From<SigningKeyView> for SigningKeyResponse {
    fn from(key: SigningKeyView) -> Self {
        let SigningKeyView { kid, state, published_at, signs_from, signs_until, accepted_until } = key;
        Self { kid, state: state.as_str(), published_at, signs_from, signs_until, accepted_until }
    }
}

/// The keys that sign access tokens.
#[derive(Serialize, ToSchema)]
pub struct SigningKeyList {
    /// The algorithm of the tokens.
    #[schema(example = "EdDSA")]
    pub algorithm: &'static str,
    /// The keys, the first to sign first; none where a shared secret signs.
    pub items: Vec<SigningKeyResponse>,
}

/// List the keys that sign access tokens.
///
/// Where they are in their lives, and when each takes over; nothing secret. Retired keys are listed for a while.
#[utoipa::path(get, path = "/v1/signing-keys", operation_id = "listSigningKeys", tag = "Keys",
    responses((status = 200, description = "The keys.", body = SigningKeyList)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[])))))]
pub async fn list_signing_keys(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
) -> Result<Response, ApiError> {
    let algorithm = http.app.signing_keys.algorithm(&operator).await?;
    Ok(list(algorithm, http.app.signing_keys.list_keys(&operator).await?))
}

/// Have the next signing key take over.
///
/// Keys rotate by themselves; this does it now. The next key must have been published for a day, so that all who check
/// tokens know it. Tokens of the key before are accepted until they expire. In an installation of before, whose key does
/// not rotate, the first call makes it rotate from then on: the next key is published, and takes over a day later.
#[utoipa::path(post, path = "/v1/signing-keys/rotate", operation_id = "rotateSigningKey", tag = "Keys",
    responses((status = 200, description = "The keys as they are now.", body = SigningKeyList)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[
        ErrorCode::SigningKeysFixed, ErrorCode::SigningKeyUnready
    ])))))]
pub async fn rotate_signing_key(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
) -> Result<Response, ApiError> {
    let keys = http.app.signing_keys.rotate(&operator).await?;
    Ok(list(http.app.signing_keys.algorithm(&operator).await?, keys))
}

/// Retire a signing key.
///
/// For a key that has leaked: it and every token that it signed end at once, on other instances within a second. If it is
/// the one that signs, the next takes over. Sessions go on: clients get new tokens with their refresh tokens. Who checks
/// tokens by the key set alone accepts those of the key until they read the set again.
#[utoipa::path(delete, path = "/v1/signing-keys/{kid}", operation_id = "retireSigningKey", tag = "Keys",
    params(SigningKeyPath),
    responses((status = 200, description = "The keys as they are now.", body = SigningKeyList)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[
        ErrorCode::SigningKeysFixed, ErrorCode::SigningKeyNotFound
    ])))))]
pub async fn retire_signing_key(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    SigningKeyPath(kid): SigningKeyPath,
) -> Result<Response, ApiError> {
    let keys = http.app.signing_keys.retire(&operator, &kid).await?;
    Ok(list(http.app.signing_keys.algorithm(&operator).await?, keys))
}

fn list(algorithm: &'static str, keys: Vec<SigningKeyView>) -> Response {
    let items = keys.into_iter().map(SigningKeyResponse::from).collect();
    json(StatusCode::OK, &SigningKeyList { algorithm, items })
}
