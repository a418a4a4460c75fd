//! Links for a new password: made by the operator, used by the person who has forgotten the old one.

use super::account_links::{parse_lifetime, parse_token, url_of};
use super::auth::RequireOperator;
use super::extract::JsonBody;
use super::http::Http;
use super::openapi::Access;
use super::path_params::{MemberPath, OrganizationPath};
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::ErrorCode;
use tenantry_domain::account_link::{LinkKind, LinkToken};
use tenantry_domain::app::account_links::NewLink;
use tenantry_domain::app::auth::OrganizationRef;
use tenantry_domain::ids::AccountId;
use tenantry_domain::password::policy::NewPassword;
use utoipa::ToSchema;

request_fields! {
    /// How long the link is good.
    #[schema(as = NewPasswordReset)]
    pub struct NewPasswordResetRequest in body {
        /// Seconds it is good, at most 604800 (7 days); 86400 (a day) by default.
        pub expires_in: Option<Duration> = numeric(parse_lifetime),
    }
}

/// A link for a new password, which is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = PasswordReset)]
pub struct PasswordResetResponse<'a> {
    /// The account that it is for: 24 hex digits.
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// What the person sends to `POST /v1/auth/reset-password`. Who has it has the account.
    #[schema(example = "tnt_reset_674f1c2e9b1d4a0c5e8f7a6b_...")]
    pub token: &'a str,
    /// A link that carries the token behind `#`, for a page of your product; null unless `PUBLIC_URL` is set.
    #[schema(required = true)]
    pub url: Option<String>,
    /// When it ends, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// Make a link for a new password.
///
/// For a member who has forgotten theirs. You bring it to the person. It is good for one use, and ends with any change of
/// the account's password or address, or with another such link; it opens the account in all its organizations, so only the operator makes one.
#[utoipa::path(post, path = "/v1/organizations/{organization}/members/{account}/password-reset",
    operation_id = "createPasswordReset", tag = "Members",
    params(OrganizationPath, MemberPath),
    request_body = Option<NewPasswordResetRequest>,
    responses((status = 201, description = "The link.", body = PasswordResetResponse<'static>)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::MemberNotFound
    ])))))]
pub async fn create_password_reset(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    OrganizationPath(which): OrganizationPath,
    MemberPath(account): MemberPath,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let which = OrganizationRef::parse(&which)?;
    let NewPasswordResetRequest { expires_in } =
        body.optional_fields()?.parse(NewPasswordResetRequest::from_fields)?;
    let new = NewLink { kind: LinkKind::PasswordReset, email: None, lifetime: expires_in };
    let issued = http.app.account_links.issue(&operator, &which, account, &new).await?;
    let body = PasswordResetResponse {
        account_id: issued.account_id,
        token: issued.token.as_str(),
        url: url_of(&http, &issued.token),
        expires_at: issued.link.expires_at,
    };
    Ok(json(StatusCode::CREATED, &body))
}

request_fields! {
    /// A new password, and the token of a link for it.
    #[schema(as = ResetPassword)]
    pub struct ResetPasswordRequest(http: &Http) in body {
        /// As the link carries it.
        #[schema(example = "tnt_reset_674f1c2e9b1d4a0c5e8f7a6b_...")]
        pub token: LinkToken = required(|text| parse_token(LinkKind::PasswordReset, text)),
        /// At least 8 characters (setting `PASSWORD_MIN_LENGTH`), at most 256; not one of the most common.
        #[schema(example = "AnotherPassword456")]
        pub new_password: NewPassword = required(|text| http.new_password(text)),
    }
}

/// Give an account a new password by a link.
///
/// It ends every session of the account. Sign in with the new password then.
#[utoipa::path(post, path = "/v1/auth/reset-password", operation_id = "resetPassword", tag = "Sign-in",
    request_body = ResetPasswordRequest,
    responses((status = 204, description = "It is changed.")),
    extensions(("x-rule" = json!(Access::Public.refuses(&[
        ErrorCode::ResetInvalid, ErrorCode::CredentialUnconfirmed, ErrorCode::SignInBusy
    ])))))]
pub async fn reset_password(State(http): State<Arc<Http>>, body: JsonBody) -> Result<Response, ApiError> {
    let ResetPasswordRequest { token, new_password } =
        body.fields()?.parse(|fields| ResetPasswordRequest::from_fields(fields, &http))?;
    http.app.account_links.reset_password(&token, new_password).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
