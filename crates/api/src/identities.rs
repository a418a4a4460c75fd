//! The identities of the signed-in account: links to persons of identity providers.

use super::auth::RequireAccount;
use super::extract::JsonBody;
use super::http::Http;
use super::openapi::Access;
use super::path_params::IdentityPath;
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use tenantry_domain::identity::Identity;
use tenantry_domain::ids::IdentityId;
use tenantry_domain::{Error, ErrorCode};
use utoipa::ToSchema;

/// A link of the signed-in account to a person of an identity provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Identity)]
pub struct IdentityResponse<'a> {
    /// 24 hex digits.
    #[schema(value_type = String)]
    pub id: IdentityId,
    /// The `iss` of the provider's tokens.
    #[schema(example = "https://login.example.com/")]
    pub issuer: &'a str,
    /// The `sub` of the person.
    pub subject: &'a str,
    /// How it came about: `invitation`, `address` or `account`.
    #[schema(example = "invitation")]
    pub origin: &'static str,
    /// When it was made, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl<'a> From<&'a Identity> for IdentityResponse<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self {
            id: identity.id,
            issuer: &identity.issuer,
            subject: &identity.subject,
            origin: identity.origin.as_str(),
            created_at: identity.created_at,
        }
    }
}

/// The identities of an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IdentityList)]
pub struct IdentityListResponse<'a> {
    /// All of them: an account has 20 at most.
    pub items: Vec<IdentityResponse<'a>>,
}

/// List one's identities at identity providers.
///
/// The access tokens that these providers issue to these persons open what the account may do.
#[utoipa::path(get, path = "/v1/me/identities", operation_id = "listIdentities", tag = "Sign-in",
    responses((status = 200, description = "The identities.", body = IdentityListResponse<'static>)),
    extensions(("x-rule" = json!(Access::Member.refuses(&[])))))]
pub async fn list_identities(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
) -> Result<Response, ApiError> {
    let identities = http.app.identities.list_own_identities(&member).await?;
    let items = identities.iter().map(|identity| IdentityResponse::from(&**identity)).collect();
    Ok(json(StatusCode::OK, &IdentityListResponse { items }))
}

request_fields! {
    /// The person to link.
    #[schema(as = NewIdentity)]
    pub struct LinkIdentityRequest in body {
        /// An access token that a configured identity provider has issued to the person.
        pub token: String = required(|text| Ok::<_, Infallible>(text.to_owned())),
    }
}

/// Link the account to a person of an identity provider.
///
/// It takes both proofs: a recent sign-in here, and a token of the person. A link that is there already is answered as if
/// it were new.
#[utoipa::path(post, path = "/v1/me/identities", operation_id = "linkIdentity", tag = "Sign-in",
    request_body = LinkIdentityRequest,
    responses((status = 200, description = "The link.", body = IdentityResponse<'static>)),
    extensions(("x-rule" = json!(Access::Member.refuses(&[
        ErrorCode::ReauthenticationRequired, ErrorCode::IdentityTaken, ErrorCode::TooManyIdentities,
        ErrorCode::OperationInProgress
    ])))))]
pub async fn link_identity(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let LinkIdentityRequest { token } = body.fields()?.parse(LinkIdentityRequest::from_fields)?;
    let linked = http.app.identities.link_own_identity(&member, &token).await;
    let identity = linked.map_err(|error| match error.code() {
        // About the token in the body, not about the caller's.
        ErrorCode::TokenInvalid | ErrorCode::TokenExpired => {
            Error::invalid_field("/token", "Must be a valid access token of a configured identity provider.")
        }
        _ => error,
    })?;
    Ok(json(StatusCode::OK, &IdentityResponse::from(&*identity)))
}

/// End a link to an identity provider.
///
/// Tokens of that person open nothing from now on. It takes a recent sign-in here.
#[utoipa::path(delete, path = "/v1/me/identities/{identity}", operation_id = "unlinkIdentity", tag = "Sign-in",
    params(IdentityPath),
    responses((status = 204, description = "The link has ended.")),
    extensions(("x-rule" = json!(Access::Member.refuses(&[
        ErrorCode::ReauthenticationRequired, ErrorCode::IdentityNotFound
    ])))))]
pub async fn unlink_identity(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
    IdentityPath(id): IdentityPath,
) -> Result<Response, ApiError> {
    http.app.identities.unlink_own_identity(&member, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
