//! The members of an organization: for its owners and admins, for the operator, and everybody's own membership.

use super::auth::RequireCaller;
use super::conditional::IfMember;
use super::cursor::Cursor;
use super::extract::{JsonBody, QueryFields};
use super::http::Http;
use super::openapi::{Access, VERSIONED};
use super::path_params::{MemberPath, OrganizationPath};
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::{OperationResponse, accepted, json, with_operation};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use tenantry_domain::ErrorCode;
use tenantry_domain::account::Role;
use tenantry_domain::app::auth::{OrganizationRef, Principal};
use tenantry_domain::app::members::{Member, MemberAccess, MemberOutcome};
use tenantry_domain::ids::AccountId;
use tenantry_domain::page::PageLimit;
use tenantry_domain::permission::Permission;
use utoipa::ToSchema;

/// An account inside an organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub struct MemberResponse<'a> {
    /// The account: 24 hex digits.
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// The address it signs in with.
    #[schema(example = "admin@techcorp.com")]
    pub email: &'a str,
    /// `owner`, `admin`, `member` or `viewer`, or a role of the organization's own.
    #[schema(example = "member")]
    pub role: &'a str,
    /// Since when it is a member, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

impl<'a> From<&'a Member> for MemberResponse<'a> {
    fn from(member: &'a Member) -> Self {
        Self {
            account_id: member.account_id,
            email: member.email.as_str(),
            role: member.membership.role.as_str(),
            since: member.membership.since,
        }
    }
}

/// A slice of the list of members.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MemberPage)]
pub struct MemberPage<'a> {
    /// In the order of their accounts' ids.
    pub items: Vec<MemberResponse<'a>>,
    /// Pass it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

request_fields! {
    /// Which members to list.
    pub struct MemberListQuery in query {
        /// Items of a page, 1 to 200; 50 by default.
        pub limit: PageLimit = numeric(PageLimit::parse) or default,
        /// `next_cursor` of the page before.
        pub cursor: Option<AccountId> = optional(|text| Cursor::parse(text)?.member()),
    }
}

/// List the members of an organization.
///
/// For owners, admins and the operator. In the order of their accounts' ids, a page at a time.
#[utoipa::path(get, path = "/v1/organizations/{organization}/members", operation_id = "listMembers", tag = "Members",
    params(OrganizationPath, MemberListQuery),
    responses((status = 200, description = "A page of members.", body = MemberPage<'static>)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersRead).refuses(&[
        ErrorCode::InvalidInput, ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound
    ])))))]
pub async fn list_members(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let which = OrganizationRef::parse(&which)?;
    let access = http.app.auth.manage_members(&caller, &which, Permission::MembersRead).await?;
    let MemberListQuery { limit, cursor } = query.parse(MemberListQuery::from_fields)?;
    let page = http.app.members.list_members(&access, cursor, limit).await?;
    let body = MemberPage {
        items: page.items.iter().map(MemberResponse::from).collect(),
        next_cursor: page.next.map(|id| Cursor::of_member(id).to_string()),
    };
    Ok(json(StatusCode::OK, &body))
}

/// Get a member.
///
/// For owners, admins and the operator; everybody gets themselves.
#[utoipa::path(get, path = "/v1/organizations/{organization}/members/{account}", operation_id = "getMember",
    tag = "Members",
    params(OrganizationPath, MemberPath),
    responses((status = 200, description = "The member.", body = MemberResponse<'static>)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersRead).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound, ErrorCode::MemberNotFound
    ])))))]
pub async fn get_member(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    MemberPath(account): MemberPath,
) -> Result<Response, ApiError> {
    let access = access(&http, &caller, &which, account, Permission::MembersRead).await?;
    Ok(member(&http.app.members.get_member(&access, account).await?))
}

request_fields! {
    /// What to change; what is absent or null stays.
    pub struct MemberPatch in body {
        /// The new role: `owner`, `admin`, `member` or `viewer`, or one that the organization has defined.
        #[schema(example = "member")]
        pub role: Option<Role> = optional(str::parse),
    }
}

/// Change the role of a member.
///
/// Admins give and take roles up to `admin`, and those of the organization's own; only owners and the operator make an owner of somebody, or something else of
/// an owner, and an owner only after a recent sign-in. A role that allows less ends the member's sessions of this organization at once; those of others go on.
#[utoipa::path(patch, path = "/v1/organizations/{organization}/members/{account}", operation_id = "changeMember",
    tag = "Members",
    params(OrganizationPath, MemberPath, IfMember),
    request_body(content(
        (MemberPatch = "application/merge-patch+json"), (MemberPatch = "application/json"))),
    responses(
        (status = 200, description = "The member.", body = MemberResponse<'static>),
        (status = 202, description = "The change goes on; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound, ErrorCode::MemberNotFound,
        ErrorCode::LastOwner, ErrorCode::TooManyMembers, ErrorCode::OrganizationNotActive,
        ErrorCode::ReauthenticationRequired
    ]).and(&VERSIONED)))))]
pub async fn change_member(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    MemberPath(account): MemberPath,
    IfMember(expected): IfMember,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let which = OrganizationRef::parse(&which)?;
    let access = http.app.auth.manage_members(&caller, &which, Permission::MembersWrite).await?;
    let MemberPatch { role } = body.fields()?.parse(MemberPatch::from_fields)?;
    let Some(role) = role else { return Ok(member(&http.app.members.get_member(&access, account).await?)) };
    let outcome = http.app.members.change_role(&access, account, &expected, role).await?;
    Ok(answer(&outcome))
}

/// Remove a member, or leave.
///
/// Admins remove everybody but owners; owners and the operator remove anybody, another owner only after a recent sign-in, and
/// everybody may leave. It ends the account's sessions of this organization at once. The account remains, also without any
/// organization.
#[utoipa::path(delete, path = "/v1/organizations/{organization}/members/{account}", operation_id = "removeMember",
    tag = "Members",
    params(OrganizationPath, MemberPath, IfMember),
    responses(
        (status = 204, description = "It is no member any more."),
        (status = 202, description = "The change goes on; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound, ErrorCode::MemberNotFound,
        ErrorCode::LastOwner, ErrorCode::OrganizationNotActive, ErrorCode::ReauthenticationRequired
    ]).and(&VERSIONED)))))]
pub async fn remove_member(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    MemberPath(account): MemberPath,
    IfMember(expected): IfMember,
) -> Result<Response, ApiError> {
    let access = access(&http, &caller, &which, account, Permission::MembersWrite).await?;
    let outcome = http.app.members.remove_member(&access, account, &expected).await?;
    Ok(answer(&outcome))
}

/// The right to that member: everybody's to themselves, else as `permission` says.
async fn access(
    http: &Http,
    caller: &Principal,
    which: &str,
    account: AccountId,
    permission: Permission,
) -> Result<MemberAccess, ApiError> {
    let which = OrganizationRef::parse(which)?;
    let is_self = matches!(caller, Principal::Member(member) if member.account().id == account);
    Ok(if is_self {
        http.app.auth.own_membership(caller, &which).await?
    } else {
        http.app.auth.manage_members(caller, &which, permission).await?
    })
}

fn member(member: &Member) -> Response {
    let mut response = json(StatusCode::OK, &MemberResponse::from(member));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", member.version())) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The answer to a change: the member, nothing if it is none any more, or where to watch.
fn answer(outcome: &MemberOutcome) -> Response {
    match outcome {
        MemberOutcome::Running(record) => accepted(record),
        MemberOutcome::Done(record, Some(now)) => with_operation(member(now), record),
        MemberOutcome::Done(record, None) => with_operation(StatusCode::NO_CONTENT.into_response(), record),
    }
}
