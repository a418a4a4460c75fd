//! Links that are sent to a person: made by the operator, listed, revoked, and used to prove an address or to change it.

use super::auth::{OptionalAccount, RequireAccount, RequireOperator};
use super::extract::JsonBody;
use super::http::Http;
use super::openapi::Access;
use super::path_params::{LinkPath, MemberPath, OrganizationPath};
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
use tenantry_domain::account_link::{AccountLink, LinkKind, LinkToken};
use tenantry_domain::app::account_links::{IssuedLink, NewLink};
use tenantry_domain::app::auth::OrganizationRef;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::AccountId;
use tenantry_domain::limits::LINK_LIFETIME_MAX;
use tenantry_domain::password::policy::NewPassword;
use tenantry_domain::{ErrorCode, Result};
use utoipa::ToSchema;

/// A link that nobody has used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountLink)]
pub struct LinkResponse<'a> {
    /// `password_reset`, `email_verification` or `email_change`. An account has at most one of each.
    #[schema(example = "email_verification")]
    pub kind: &'static str,
    /// The address that it is bound to: the account's, or the one that it is to get.
    #[schema(example = "admin@techcorp.com")]
    pub email: &'a str,
    /// How it reaches its person: `operator`, who brings it, or `mail`.
    #[schema(example = "operator")]
    pub delivery: &'static str,
    /// When it was made, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it ends, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

impl<'a> From<&'a AccountLink> for LinkResponse<'a> {
    fn from(link: &'a AccountLink) -> Self {
        Self {
            kind: link.kind.as_str(),
            email: link.email.as_str(),
            delivery: link.delivery.as_str(),
            created_at: link.created_at,
            expires_at: link.expires_at,
        }
    }
}

/// The links of an account that nobody has used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountLinks)]
pub struct LinksResponse<'a> {
    /// At most one of each kind.
    pub items: Vec<LinkResponse<'a>>,
}

fn links(found: &[AccountLink]) -> Response {
    json(StatusCode::OK, &LinksResponse { items: found.iter().map(LinkResponse::from).collect() })
}

/// A link with its token, which is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedAccountLink)]
pub struct IssuedLinkResponse<'a> {
    /// The account that it is for: 24 hex digits.
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// The link.
    #[serde(flatten)]
    pub link: LinkResponse<'a>,
    /// What the person sends: to `POST /v1/auth/reset-password`, `/v1/auth/verify-email` or `/v1/me/email/confirm`.
    #[schema(example = "tnt_verify_674f1c2e9b1d4a0c5e8f7a6b_...")]
    pub token: &'a str,
    /// A link that carries the token behind `#`, for a page of your product; null unless `PUBLIC_URL` is set.
    #[schema(required = true)]
    pub url: Option<String>,
}

/// The link to the page of your product that takes the token: behind `#`, so that no server on the way logs it.
pub fn url_of(http: &Http, token: &LinkToken) -> Option<String> {
    let public_url = &http.settings.public_url;
    (!public_url.is_empty()).then(|| format!("{public_url}{}#{}", token.kind().page(), token.as_str()))
}

request_fields! {
    /// The link to make.
    #[schema(as = NewAccountLink)]
    pub struct CreateLinkRequest in body {
        /// `password_reset`, `email_verification` or `email_change`.
        #[schema(example = "email_verification")]
        pub kind: LinkKind = required(str::parse),
        /// The address that the account is to get. Required for `email_change`: else leave it out.
        #[schema(example = "new@techcorp.com")]
        pub email: Option<EmailAddress> =
            required_if(kind == Some(LinkKind::EmailChange), |text| new_address(kind, text)),
        /// Seconds it is good, at most 604800 (7 days); 86400 (a day) by default.
        pub expires_in: Option<Duration> = numeric(parse_lifetime),
    }
}

fn new_address(kind: Option<LinkKind>, text: &str) -> Result<EmailAddress, String> {
    match kind {
        Some(LinkKind::PasswordReset | LinkKind::EmailVerification) => {
            Err("Leave it out: this link is for the address that the account has.".to_owned())
        }
        Some(LinkKind::EmailChange) | None => EmailAddress::parse(text),
    }
}

/// How long a link is good.
///
/// # Errors
/// The sentence for the field.
pub fn parse_lifetime(text: &str) -> Result<Duration, String> {
    let longest = LINK_LIFETIME_MAX.as_secs();
    match text.parse() {
        Ok(seconds) if (1..=longest).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("Must be a whole number of seconds, from 1 to {longest}.")),
    }
}

/// Make a link for a member.
///
/// For a new password, or with which a person proves the address of their account, or gives it another one. It replaces
/// another link of the kind, is good for one use, and ends with any change of the account's password or address. Only the
/// operator makes one: bring it to the person who has the address, by another way than the one who asks for it.
#[utoipa::path(post, path = "/v1/organizations/{organization}/members/{account}/links",
    operation_id = "createMemberLink", tag = "Members",
    params(OrganizationPath, MemberPath),
    request_body = CreateLinkRequest,
    responses((status = 201, description = "The link.", body = IssuedLinkResponse<'static>)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::MemberNotFound, ErrorCode::EmailAlreadyVerified
    ])))))]
pub async fn create_member_link(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    OrganizationPath(which): OrganizationPath,
    MemberPath(account): MemberPath,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let which = OrganizationRef::parse(&which)?;
    let CreateLinkRequest { kind, email, expires_in } =
        body.fields()?.parse(CreateLinkRequest::from_fields)?;
    let new = NewLink { kind, email, lifetime: expires_in };
    let IssuedLink { account_id, link, token } =
        http.app.account_links.issue(&operator, &which, account, &new).await?;
    let (url, link) = (url_of(&http, &token), LinkResponse::from(&link));
    Ok(json(StatusCode::CREATED, &IssuedLinkResponse { account_id, link, token: token.as_str(), url }))
}

/// List the links of a member.
///
/// Those that nobody has used and that have not expired. Their tokens are shown nowhere.
#[utoipa::path(get, path = "/v1/organizations/{organization}/members/{account}/links",
    operation_id = "listMemberLinks", tag = "Members",
    params(OrganizationPath, MemberPath),
    responses((status = 200, description = "The links.", body = LinksResponse<'static>)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::MemberNotFound
    ])))))]
pub async fn list_member_links(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    OrganizationPath(which): OrganizationPath,
    MemberPath(account): MemberPath,
) -> Result<Response, ApiError> {
    let which = OrganizationRef::parse(&which)?;
    Ok(links(&http.app.account_links.list_links_of_member(&operator, &which, account).await?))
}

/// Revoke a link of a member.
///
/// It is no longer valid.
#[utoipa::path(delete, path = "/v1/organizations/{organization}/members/{account}/links/{link}",
    operation_id = "revokeMemberLink", tag = "Members",
    params(OrganizationPath, MemberPath, LinkPath),
    responses((status = 204, description = "It is gone.")),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[
        ErrorCode::OrganizationNotFound, ErrorCode::MemberNotFound, ErrorCode::LinkNotFound
    ])))))]
pub async fn revoke_member_link(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    OrganizationPath(which): OrganizationPath,
    MemberPath(account): MemberPath,
    LinkPath(kind): LinkPath,
) -> Result<Response, ApiError> {
    let which = OrganizationRef::parse(&which)?;
    http.app.account_links.revoke_link_of_member(&operator, &which, account, kind).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// List the links of the signed-in account.
///
/// Those that nobody has used and that have not expired, also those that the operator made.
#[utoipa::path(get, path = "/v1/me/links", operation_id = "listLinks", tag = "Sign-in",
    responses((status = 200, description = "The links.", body = LinksResponse<'static>)),
    extensions(("x-rule" = json!(Access::Member.refuses(&[])))))]
pub async fn list_links(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
) -> Result<Response, ApiError> {
    Ok(links(&http.app.account_links.list_own_links(&member).await?))
}

/// Revoke a link of the signed-in account.
///
/// It is no longer valid.
#[utoipa::path(delete, path = "/v1/me/links/{link}", operation_id = "revokeLink", tag = "Sign-in",
    params(LinkPath),
    responses((status = 204, description = "It is gone.")),
    extensions(("x-rule" = json!(Access::Member.refuses(&[ErrorCode::LinkNotFound])))))]
pub async fn revoke_link(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
    LinkPath(kind): LinkPath,
) -> Result<Response, ApiError> {
    http.app.account_links.revoke_own_link(&member, kind).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Reads the token of a link of that kind.
///
/// # Errors
/// The sentence for the field.
pub fn parse_token(kind: LinkKind, text: &str) -> Result<LinkToken, String> {
    LinkToken::parse(kind, text)
        .map_err(|_| "Is no token of a link for this, or is mistyped: copy it again, whole.".to_owned())
}

request_fields! {
    /// The token of a link that proves an address.
    #[schema(as = VerifyEmail)]
    pub struct VerifyEmailRequest(http: &Http, is_signed_in: bool) in body {
        /// As the link carries it.
        #[schema(example = "tnt_verify_674f1c2e9b1d4a0c5e8f7a6b_...")]
        pub token: LinkToken = required(|text| parse_token(LinkKind::EmailVerification, text)),
        /// Without an access token of the account: its new password. At least 8 characters (setting `PASSWORD_MIN_LENGTH`),
        /// at most 256; not one of the most common.
        #[schema(example = "AnotherPassword456")]
        pub new_password: Option<NewPassword> =
            optional(|text| unless_signed_in(is_signed_in, http.new_password(text))),
    }
}

/// Who is signed in keeps their password.
fn unless_signed_in<T>(is_signed_in: bool, parsed: Result<T, String>) -> Result<T, String> {
    if is_signed_in {
        return Err("Leave it out: the account that is signed in keeps its password.".to_owned());
    }
    parsed
}

/// Prove the address of an account by a link.
///
/// With an access token of the account, nothing else changes. Without one, `new_password` is required: somebody else may
/// have made the account, so its password of before and all its sessions end.
#[utoipa::path(post, path = "/v1/auth/verify-email", operation_id = "verifyEmail", tag = "Sign-in",
    request_body = VerifyEmailRequest,
    responses((status = 204, description = "The address is proven.")),
    extensions(("x-rule" = json!(Access::OptionalMember.refuses(&[
        ErrorCode::LinkInvalid, ErrorCode::LinkForAnother, ErrorCode::SignInBusy
    ])))))]
pub async fn verify_email(
    State(http): State<Arc<Http>>,
    OptionalAccount(member): OptionalAccount,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let VerifyEmailRequest { token, new_password } =
        body.fields()?.parse(|fields| VerifyEmailRequest::from_fields(fields, &http, member.is_some()))?;
    http.app.account_links.verify_email(member.as_ref(), &token, new_password).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

request_fields! {
    /// The token of a link to a new address.
    #[schema(as = ConfirmEmail)]
    pub struct ConfirmEmailRequest in body {
        /// As the link carries it.
        #[schema(example = "tnt_address_674f1c2e9b1d4a0c5e8f7a6b_...")]
        pub token: LinkToken = required(|text| parse_token(LinkKind::EmailChange, text)),
    }
}

/// Give the signed-in account the address that a link was sent to.
///
/// The address is proven by that. Every other session of the account ends, in all its organizations.
#[utoipa::path(post, path = "/v1/me/email/confirm", operation_id = "confirmEmail", tag = "Sign-in",
    request_body = ConfirmEmailRequest,
    responses((status = 204, description = "It is changed.")),
    extensions(("x-rule" = json!(Access::Member.refuses(&[
        ErrorCode::LinkInvalid, ErrorCode::LinkForAnother, ErrorCode::EmailTaken
    ])))))]
pub async fn confirm_email(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let ConfirmEmailRequest { token } = body.fields()?.parse(ConfirmEmailRequest::from_fields)?;
    http.app.account_links.confirm_email_change(&member, &token).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
