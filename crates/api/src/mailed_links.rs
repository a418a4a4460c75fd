//! Links that people ask for, and get by mail.

use super::account_links::LinkResponse;
use super::auth::RequireAccount;
use super::extract::{ClientAddress, JsonBody};
use super::http::Http;
use super::openapi::Access;
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::convert::Infallible;
use std::sync::Arc;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::password::policy::PresentedPassword;
use tenantry_domain::{ErrorCode, Result};

/// Ask for a link that proves the address of the signed-in account.
///
/// It is mailed to the address, in place of a link of before. Without SMTP, ask the operator for one.
#[utoipa::path(post, path = "/v1/me/email/verification", operation_id = "requestEmailVerification", tag = "Sign-in",
    responses((status = 202, description = "The link is on its way.", body = LinkResponse<'static>)),
    extensions(("x-rule" = json!(Access::Member.refuses(&[
        ErrorCode::MailNotConfigured, ErrorCode::EmailAlreadyVerified, ErrorCode::TooManyMails
    ])))))]
pub async fn request_email_verification(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
) -> Result<Response, ApiError> {
    let link = http.app.account_links.request_verification(&member).await?;
    Ok(json(StatusCode::ACCEPTED, &LinkResponse::from(&link)))
}

request_fields! {
    /// The address that the account is to get.
    #[schema(as = ChangeEmail)]
    pub struct ChangeEmailRequest in body {
        /// A link is mailed there; until it is used, the account keeps its address.
        #[schema(example = "new@techcorp.com")]
        pub email: EmailAddress = required(EmailAddress::parse),
        /// The password that the account has.
        #[schema(example = "SecurePassword123")]
        pub current_password: PresentedPassword =
            required(|text| Ok::<_, Infallible>(PresentedPassword::new(text))),
    }
}

/// Ask for another address for the signed-in account.
///
/// A link is mailed to the new address; with it, `POST /v1/me/email/confirm` makes the change, and the address of before is
/// told. The answer is the same whether the new address has an account. Without SMTP, ask the operator for a link.
#[utoipa::path(post, path = "/v1/me/email", operation_id = "requestEmailChange", tag = "Sign-in",
    request_body = ChangeEmailRequest,
    responses((status = 202, description = "The link is on its way.", body = LinkResponse<'static>)),
    extensions(("x-rule" = json!(Access::Member.refuses(&[
        ErrorCode::MailNotConfigured, ErrorCode::InvalidCredentials, ErrorCode::TooManyAttempts, ErrorCode::TooManyMails,
        ErrorCode::SignInBusy
    ])))))]
pub async fn request_email_change(
    State(http): State<Arc<Http>>,
    ClientAddress(network): ClientAddress,
    RequireAccount(member): RequireAccount,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let ChangeEmailRequest { email, current_password } =
        body.fields()?.parse(ChangeEmailRequest::from_fields)?;
    let links = &http.app.account_links;
    let link = links.request_email_change(&member, email, current_password, network).await?;
    Ok(json(StatusCode::ACCEPTED, &LinkResponse::from(&link)))
}

request_fields! {
    /// Whose password is forgotten.
    #[schema(as = ForgotPassword)]
    pub struct ForgotPasswordRequest in body {
        /// If it has an account, a link for a new password is mailed there.
        #[schema(example = "admin@techcorp.com")]
        pub email: EmailAddress = required(EmailAddress::parse),
    }
}

/// Ask for a link for a new password.
///
/// It is mailed to the address, if that has an account: neither the answer nor the time it takes tells. Without SMTP, the
/// operator makes such links.
#[utoipa::path(post, path = "/v1/auth/forgot-password", operation_id = "requestPasswordReset", tag = "Sign-in",
    request_body = ForgotPasswordRequest,
    responses((status = 202, description = "If the address has an account, a link is on its way.")),
    extensions(("x-rule" = json!(Access::Public.refuses(&[
        ErrorCode::MailNotConfigured, ErrorCode::TooManyAttempts, ErrorCode::TooManyMails
    ])))))]
pub async fn request_password_reset(
    State(http): State<Arc<Http>>,
    ClientAddress(network): ClientAddress,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let ForgotPasswordRequest { email } = body.fields()?.parse(ForgotPasswordRequest::from_fields)?;
    http.app.account_links.request_password_reset(email, network).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}
