//! The signed-in account, for itself.

use super::auth::RequireAccount;
use super::cursor::Cursor;
use super::extract::{ClientAddress, JsonBody, QueryFields};
use super::http::Http;
use super::openapi::Access;
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
use tenantry_domain::ErrorCode;
use tenantry_domain::app::account_removal::RemovalOutcome;
use tenantry_domain::app::accounts::OwnOrganization;
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::page::PageLimit;
use tenantry_domain::password::policy::{NewPassword, PresentedPassword};
use tenantry_domain::permission::Permission;
use utoipa::ToSchema;

/// The signed-in account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me)]
pub struct MeResponse<'a> {
    /// 24 hex digits.
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// The address it signs in with.
    #[schema(example = "admin@techcorp.com")]
    pub email: &'a str,
    /// When its person proved that the address is theirs, RFC 3339 in UTC; null if nobody has.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub email_verified_at: Option<Timestamp>,
    /// When it was created, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The organizations it belongs to.
    pub memberships: MembershipPage<'a>,
}

/// An organization that the account belongs to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Membership)]
pub struct MembershipResponse<'a> {
    /// The organization: 24 hex digits.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
    /// Its name.
    #[schema(example = "Tech Innovations Corp")]
    pub organization_name: &'a str,
    /// Its identifier.
    #[schema(example = "tech-innovations-corp")]
    pub organization_identifier: &'a str,
    /// `active`, or `suspended`: then nobody signs in to it.
    #[schema(example = "active")]
    pub status: &'static str,
    /// `owner`, `admin`, `member` or `viewer`, or a role of the organization's own.
    #[schema(example = "owner")]
    pub role: &'a str,
    /// What the role allows there. `GET /v1/roles` explains each.
    #[schema(example = json!(["documents:read", "organizations:read"]))]
    pub permissions: Vec<&'static str>,
    /// Since when, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

impl<'a> From<&'a OwnOrganization> for MembershipResponse<'a> {
    fn from(own: &'a OwnOrganization) -> Self {
        Self {
            organization_id: own.organization.id,
            organization_name: own.organization.naming.name.as_str(),
            organization_identifier: own.organization.naming.identifier.as_str(),
            status: own.organization.status().as_str(),
            role: own.membership.role.as_str(),
            permissions: own
                .organization
                .permissions_of(own.membership.role)
                .iter()
                .map(Permission::as_str)
                .collect(),
            since: own.membership.since,
        }
    }
}

/// A slice of the list of one's organizations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MembershipPage)]
pub struct MembershipPage<'a> {
    /// In the order of their ids, without those that are deleted.
    pub items: Vec<MembershipResponse<'a>>,
    /// Pass it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

request_fields! {
    /// Which of one's organizations to list.
    pub struct MeQuery in query {
        /// Organizations of a page, 1 to 200; 50 by default.
        pub limit: PageLimit = numeric(PageLimit::parse) or default,
        /// `next_cursor` of the page before.
        pub cursor: Option<OrganizationId> = optional(|text| Cursor::parse(text)?.own_organization()),
    }
}

/// Get the signed-in account.
///
/// With the organizations it belongs to, a page at a time.
#[utoipa::path(get, path = "/v1/me", operation_id = "getMe", tag = "Sign-in",
    params(MeQuery),
    responses((status = 200, description = "The account.", body = MeResponse<'static>)),
    extensions(("x-rule" = json!(Access::Member.refuses(&[ErrorCode::InvalidInput])))))]
pub async fn get_me(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let MeQuery { limit, cursor } = query.parse(MeQuery::from_fields)?;
    let page = http.app.accounts.list_own_organizations(&member, cursor, limit).await?;
    let account = member.account();
    let body = MeResponse {
        account_id: account.id,
        email: account.email.as_str(),
        email_verified_at: account.email_verified_at,
        created_at: account.created_at,
        memberships: MembershipPage {
            items: page.items.iter().map(MembershipResponse::from).collect(),
            next_cursor: page.next.map(|id| Cursor::of_own_organization(id).to_string()),
        },
    };
    Ok(json(StatusCode::OK, &body))
}

request_fields! {
    /// A new password, and the one of before.
    #[schema(as = ChangePassword)]
    pub struct ChangePasswordRequest(http: &Http) in body {
        /// The password that the account has.
        #[schema(example = "SecurePassword123")]
        pub current_password: PresentedPassword =
            required(|text| Ok::<_, Infallible>(PresentedPassword::new(text))),
        /// At least 8 characters (setting `PASSWORD_MIN_LENGTH`), at most 256; not one of the most common.
        #[schema(example = "AnotherPassword456")]
        pub new_password: NewPassword = required(|text| http.new_password(text)),
    }
}

/// Change the password of the signed-in account.
///
/// It ends every other session of the account, in all its organizations.
#[utoipa::path(post, path = "/v1/me/password", operation_id = "changePassword", tag = "Sign-in",
    request_body = ChangePasswordRequest,
    responses((status = 204, description = "It is changed.")),
    extensions(("x-rule" = json!(Access::Member.refuses(&[
        ErrorCode::InvalidCredentials, ErrorCode::TooManyAttempts, ErrorCode::SignInBusy
    ])))))]
pub async fn change_password(
    State(http): State<Arc<Http>>,
    ClientAddress(network): ClientAddress,
    RequireAccount(member): RequireAccount,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let ChangePasswordRequest { current_password, new_password } =
        body.fields()?.parse(|fields| ChangePasswordRequest::from_fields(fields, &http))?;
    http.app.accounts.change_password(&member, current_password, new_password, network).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Remove the signed-in account.
///
/// It leaves all its organizations, its sessions end, and its address is free. It needs a recent sign-in. An organization
/// must have another owner: `last_owner` names those that have none, and then nothing has changed.
#[utoipa::path(delete, path = "/v1/me", operation_id = "removeAccount", tag = "Sign-in",
    responses(
        (status = 204, description = "The account is gone."),
        (status = 202, description = "It goes on, and takes a while.")),
    extensions(("x-rule" = json!(Access::Member.refuses(&[
        ErrorCode::ReauthenticationRequired, ErrorCode::LastOwner, ErrorCode::OperationInProgress
    ])))))]
pub async fn remove_account(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
) -> Result<Response, ApiError> {
    let status = match http.app.account_removal.remove_own_account(&member).await? {
        RemovalOutcome::Done => StatusCode::NO_CONTENT,
        RemovalOutcome::Running => StatusCode::ACCEPTED,
    };
    Ok(status.into_response())
}
