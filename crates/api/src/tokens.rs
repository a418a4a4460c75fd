//! Exchanging a service key for a token of one organization, and asking what a token is.

use super::auth::{RequireCaller, RequireClient};
use super::extract::{FormBody, JsonBody};
use super::http::Http;
use super::key_lifetime::parse_seconds;
use super::openapi::Access;
use super::path_params::OrganizationPath;
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::ErrorCode;
use tenantry_domain::app::auth::OrganizationRef;
use tenantry_domain::app::introspection::ActiveToken;
use tenantry_domain::app::token_exchange::{Subject, TokenRequest};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::limits::EXCHANGED_TOKEN_MAX;
use tenantry_domain::permission::{Permission, TOKEN_PERMISSIONS};
use tenantry_domain::token::{ActorClaim, ClaimsGrant};
use utoipa::ToSchema;

request_fields! {
    /// What the token is to be.
    #[schema(as = NewToken)]
    pub struct NewTokenRequest in body {
        /// What it allows: `documents:read`, `documents:write`, `collections:write`, `organizations:read`,
        /// `members:read` or `audit:read`, as far as the key has them.
        #[schema(example = json!(["documents:read", "documents:write"]))]
        pub permissions: Vec<Permission> = required_list(|text| TOKEN_PERMISSIONS.parse_member(text)),
        /// Your own id of the user that it acts for, 1 to 255 bytes. It is a claim of the token and gives no right.
        #[schema(example = "user-4711")]
        pub subject: Option<Subject> = optional(Subject::parse),
        /// Seconds until it ends, 1 to 3,600; 900 by default.
        #[schema(example = 900)]
        pub expires_in: Option<Duration> = numeric(|text| parse_seconds(text, 1, EXCHANGED_TOKEN_MAX.as_secs())),
    }
}

request_fields! {
    /// A token to look at.
    #[schema(as = Introspection)]
    pub struct IntrospectRequest in body {
        /// An access token of this service.
        pub token: String = required(str::parse),
    }
}

/// What a token is (RFC 7662, 2.2). Where `active` is false, there is nothing else.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = IntrospectedToken)]
pub struct IntrospectionResponse {
    /// Whether it is valid now.
    pub active: bool,
    /// What it allows now, with a space between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The client that it was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Always `bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// When it expires, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// When it was issued, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// The account, or `key:` and the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Whom it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Its own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// The backend's own id of the user, in an exchanged token that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Who acts, in an exchanged token: `{"sub": "key:…"}` (RFC 8693, 4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub act: Option<ActorClaim>,
}

impl From<ActiveToken> for IntrospectionResponse {
    fn from(token: ActiveToken) -> Self {
        let ActiveToken { claims, permissions } = token;
        let (subject, act) = match claims.grant {
            ClaimsGrant::Exchange(exchange) => (exchange.subject, Some(exchange.act)),
            ClaimsGrant::Session(_) => (None, None),
        };
        Self {
            active: true,
            scope: Some(permissions.to_scope()),
            client_id: claims.client_id,
            token_type: Some("bearer"),
            exp: Some(claims.exp),
            iat: Some(claims.iat),
            sub: Some(claims.sub),
            aud: Some(claims.aud),
            iss: Some(claims.iss),
            jti: Some(claims.jti),
            org_id: Some(claims.org_id),
            subject,
            act,
        }
    }
}

/// Ask whether a token is valid.
///
/// Token introspection (RFC 7662), for services that get access tokens from clients and do not check the records behind
/// them: the answer says what holds now. For a service key with the permission `tokens:introspect`. A token that is
/// invalid, has ended, or is of an organization that the key does not cover, is not `active`. The body may also be a form
/// (`application/x-www-form-urlencoded`), as the RFC has it, and the key may come as `Basic`, with its id as the name.
#[utoipa::path(post, path = "/v1/auth/introspect", operation_id = "introspectToken", tag = "Keys",
    request_body = IntrospectRequest,
    responses((status = 200, description = "What it is.", body = IntrospectionResponse)),
    extensions(("x-rule" = json!(Access::Service.needs(Permission::TokensIntrospect).refuses(&[
        ErrorCode::PermissionMissing
    ])))))]
pub async fn introspect_token(
    State(http): State<Arc<Http>>,
    RequireClient(caller): RequireClient,
    body: FormBody,
) -> Result<Response, ApiError> {
    let access = http.app.introspection.allow_introspection(&caller)?;
    // OAuth 2.0 wants parameters ignored that a server does not know, such as `token_type_hint`.
    let IntrospectRequest { token } = body.0.parse_known(IntrospectRequest::from_fields)?;
    let found = http.app.introspection.introspect_token(&access, &token).await?;
    let body = found.map_or_else(IntrospectionResponse::default, IntrospectionResponse::from);
    Ok(json(StatusCode::OK, &body))
}

/// A token of one organization.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub struct IssuedTokenResponse<'a> {
    /// Send it as `Authorization: Bearer <access_token>`.
    pub access_token: &'a str,
    /// Always `urn:ietf:params:oauth:token-type:access_token` (RFC 8693).
    pub issued_token_type: &'static str,
    /// Always `bearer`.
    #[schema(example = "bearer")]
    pub token_type: &'static str,
    /// Seconds it is good for.
    #[schema(example = 900)]
    pub expires_in: u64,
    /// What it allows, with a space between.
    #[schema(example = "documents:read documents:write")]
    pub scope: String,
    /// Whose data it opens: 24 hex digits.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
}

/// Exchange a service key for a token of one organization.
///
/// For a service key with the permission `tokens:issue`. The token opens this organization alone, allows what is asked
/// for and no more than the key, and ends with the key, with a delete or suspension of the organization, or after at most
/// an hour. It makes no other tokens or keys. Keep it until shortly before it expires, and ask for a new one then.
#[utoipa::path(post, path = "/v1/organizations/{organization}/tokens", operation_id = "issueToken", tag = "Keys",
    params(OrganizationPath),
    request_body = NewTokenRequest,
    responses((status = 200, description = "The token.", body = IssuedTokenResponse<'static>)),
    extensions(("x-rule" = json!(Access::Service.needs(Permission::TokensIssue).refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::OrganizationSuspended, ErrorCode::PermissionMissing,
        ErrorCode::ExchangeDisabled
    ])))))]
pub async fn issue_token(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let right = http.app.token_exchange.allow_issue(&caller, &OrganizationRef::parse(&which)?).await?;
    let request = body.fields()?.parse(NewTokenRequest::from_fields)?;
    let request = TokenRequest {
        permissions: request.permissions.into_iter().collect(),
        subject: request.subject,
        lifetime: request.expires_in,
    };
    let grant = http.app.token_exchange.issue_token(&right, request).await?;
    let body = IssuedTokenResponse {
        access_token: &grant.access_token,
        issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
        token_type: "bearer",
        expires_in: grant.lifetime.as_secs(),
        scope: grant.permissions.to_scope(),
        organization_id: grant.organization.id,
    };
    Ok(json(StatusCode::OK, &body))
}
