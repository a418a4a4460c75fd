//! The roles that a member may have, and what each allows: those that every organization has, and those that one of them
//! has defined.

use super::auth::RequireCaller;
use super::conditional::IfRole;
use super::extract::JsonBody;
use super::fields::Fields;
use super::http::Http;
use super::openapi::{Access, VERSIONED};
use super::path_params::{OrganizationPath, RolePath};
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::{OperationResponse, accepted, json, with_location, with_operation};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use tenantry_domain::account::Role;
use tenantry_domain::app::auth::{OrganizationRef, Principal};
use tenantry_domain::app::members::MemberAccess;
use tenantry_domain::app::roles::{NewRole, RoleOutcome, RoleUpdate};
use tenantry_domain::permission::{Permission, PermissionSet};
use tenantry_domain::role::{OWN_ROLE_PERMISSIONS, OwnRole, RoleDescription, RoleName};
use tenantry_domain::{Error, ErrorCode};
use utoipa::ToSchema;

/// A role.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Role)]
pub struct RoleResponse {
    /// `owner`, `admin`, `member` or `viewer`.
    #[schema(example = "member")]
    pub role: &'static str,
    /// What it allows in the organization.
    pub permissions: Vec<PermissionResponse>,
}

/// A permission.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Permission)]
pub struct PermissionResponse {
    /// Its name.
    #[schema(example = "documents:read")]
    pub name: &'static str,
    /// What it allows.
    pub description: &'static str,
}

impl From<Permission> for PermissionResponse {
    fn from(permission: Permission) -> Self {
        Self { name: permission.as_str(), description: permission.description() }
    }
}

impl From<(&'static str, Role)> for RoleResponse {
    fn from((name, role): (&'static str, Role)) -> Self {
        let permissions = role.built_in_permissions().unwrap_or(PermissionSet::EMPTY);
        Self { role: name, permissions: permissions.iter().map(PermissionResponse::from).collect() }
    }
}

/// The list of roles.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolePage {
    /// The one that may do most first.
    pub items: Vec<RoleResponse>,
    /// Always null: there is one page.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// List the roles that every organization has.
///
/// Each with what it allows. An organization may define more of its own: `GET /v1/organizations/{organization}/roles`.
#[utoipa::path(get, path = "/v1/roles", operation_id = "listRoles", tag = "Members",
    responses((status = 200, description = "All roles.", body = RolePage)),
    extensions(("x-rule" = json!(Access::Public.refuses(&[])))))]
pub async fn list_roles() -> Response {
    let items = Role::BUILT_IN_NAMES.into_iter().zip(Role::BUILT_IN).map(RoleResponse::from).collect();
    json(StatusCode::OK, &RolePage { items, next_cursor: None })
}

/// A role that an organization has defined.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationRole)]
pub struct OwnRoleResponse<'a> {
    /// Its name. Members and invitations name the role by it.
    #[schema(example = "billing")]
    pub name: &'a str,
    /// What people say of it; may be empty.
    #[schema(example = "Reads invoices, and who has changed them.")]
    pub description: &'a str,
    /// What it allows in the organization. `GET /v1/roles` explains each.
    #[schema(example = json!(["audit:read", "documents:read"]))]
    pub permissions: Vec<&'static str>,
    /// When it was made, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it last changed, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub modified_at: Timestamp,
}

impl<'a> From<&'a OwnRole> for OwnRoleResponse<'a> {
    fn from(role: &'a OwnRole) -> Self {
        Self {
            name: role.name.as_str(),
            description: role.description.as_str(),
            permissions: role.permissions.iter().map(Permission::as_str).collect(),
            created_at: role.created_at,
            modified_at: role.modified_at,
        }
    }
}

/// The list of the roles that an organization has defined.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationRolePage)]
pub struct OwnRolePage<'a> {
    /// In the order of their names.
    pub items: Vec<OwnRoleResponse<'a>>,
    /// Always null: there is one page.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// List the roles that an organization has defined.
///
/// All of them, at most 32, in the order of their names. Those that every organization has are at `GET /v1/roles`.
#[utoipa::path(get, path = "/v1/organizations/{organization}/roles", operation_id = "listOrganizationRoles",
    tag = "Members",
    params(OrganizationPath),
    responses((status = 200, description = "All of them.", body = OwnRolePage<'static>)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersRead).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound
    ])))))]
pub async fn list_organization_roles(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
) -> Result<Response, ApiError> {
    let access = access(&http, &caller, &which, Permission::MembersRead).await?;
    let roles = http.app.roles.list_roles(&access).await?;
    let body = OwnRolePage { items: roles.iter().map(OwnRoleResponse::from).collect(), next_cursor: None };
    Ok(json(StatusCode::OK, &body))
}

/// Get a role that an organization has defined.
#[utoipa::path(get, path = "/v1/organizations/{organization}/roles/{role}", operation_id = "getOrganizationRole",
    tag = "Members",
    params(OrganizationPath, RolePath),
    responses((status = 200, description = "The role.", body = OwnRoleResponse<'static>)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersRead).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound, ErrorCode::RoleNotFound
    ])))))]
pub async fn get_organization_role(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    RolePath(name): RolePath,
) -> Result<Response, ApiError> {
    let access = access(&http, &caller, &which, Permission::MembersRead).await?;
    Ok(own_role(StatusCode::OK, &http.app.roles.get_role(&access, name).await?))
}

request_fields! {
    /// What makes a role.
    #[schema(as = NewOrganizationRole)]
    pub struct NewRoleRequest in body {
        /// 1 to 32 small letters (a-z), digits, `_` and `-`, the first a letter; not `owner`, `admin`, `member` or `viewer`.
        #[schema(example = "billing")]
        pub name: RoleName = required(RoleName::parse),
        /// What people say of it: at most 200 characters.
        #[schema(example = "Reads invoices, and who has changed them.")]
        pub description: Option<RoleDescription> = optional(RoleDescription::parse),
        /// What it allows: no more than its maker may do, and nothing that an admin may not.
        #[schema(example = json!(["audit:read", "documents:read"]))]
        pub permissions: Vec<Permission> = required_list(parse_permission),
    }
}

/// Define a role.
///
/// Members and invitations then name it as they name `viewer`. Nobody defines a role that allows more than they may do
/// themselves. It takes no `Idempotency-Key`: a name is given once, and a second request is 409 `role_exists`.
#[utoipa::path(post, path = "/v1/organizations/{organization}/roles", operation_id = "createOrganizationRole",
    tag = "Members",
    params(OrganizationPath),
    request_body = NewRoleRequest,
    responses(
        (status = 201, description = "The role.", body = OwnRoleResponse<'static>),
        (status = 202, description = "The change goes on; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound, ErrorCode::OrganizationNotActive,
        ErrorCode::RoleExists, ErrorCode::TooManyRoles, ErrorCode::OperationInProgress
    ])))))]
pub async fn create_organization_role(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let access = access(&http, &caller, &which, Permission::MembersWrite).await?;
    let NewRoleRequest { name, description, permissions } = body.fields()?.parse(|fields| {
        let new = NewRoleRequest::from_fields(fields)?;
        refuse_repeated(fields, &new.permissions);
        Some(new)
    })?;
    let permissions = permissions.into_iter().collect();
    let new = NewRole { name, description: description.unwrap_or_default(), permissions };
    let outcome = http.app.roles.create_role(&access, new).await?;
    let path = format!("/v1/organizations/{}/roles/{name}", access.organization().id);
    Ok(match answer(StatusCode::CREATED, &outcome) {
        response if response.status() == StatusCode::CREATED => with_location(response, &path),
        response => response,
    })
}

request_fields! {
    /// What to change; what is absent or null stays.
    #[schema(as = OrganizationRolePatch)]
    pub struct RolePatch in body {
        /// What people say of it: at most 200 characters.
        pub description: Option<RoleDescription> = optional(RoleDescription::parse),
        /// What it allows from then on, all of it.
        #[schema(example = json!(["documents:read"]))]
        pub permissions: Option<Vec<Permission>> = list(parse_permission),
    }
}

/// Change a role that an organization has defined.
///
/// Its members may do more or less at once; their sessions go on, and their API keys never allow more than the role does.
/// Nobody changes a role that allows more than they may do, and nobody makes it allow more than that.
#[utoipa::path(patch, path = "/v1/organizations/{organization}/roles/{role}", operation_id = "changeOrganizationRole",
    tag = "Members",
    params(OrganizationPath, RolePath, IfRole),
    request_body(content(
        (RolePatch = "application/merge-patch+json"), (RolePatch = "application/json"))),
    responses(
        (status = 200, description = "The role.", body = OwnRoleResponse<'static>),
        (status = 202, description = "The change goes on; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound, ErrorCode::RoleNotFound,
        ErrorCode::OrganizationNotActive
    ]).and(&VERSIONED)))))]
pub async fn change_organization_role(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    RolePath(name): RolePath,
    IfRole(expected): IfRole,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let access = access(&http, &caller, &which, Permission::MembersWrite).await?;
    let RolePatch { description, permissions } = body.fields()?.parse(|fields| {
        let patch = RolePatch::from_fields(fields)?;
        if let Some(permissions) = &patch.permissions {
            if permissions.is_empty() {
                fields.refuse("permissions", "Must not be empty.");
            }
            refuse_repeated(fields, permissions);
        }
        Some(patch)
    })?;
    if description.is_none() && permissions.is_none() {
        return Ok(own_role(StatusCode::OK, &http.app.roles.get_role(&access, name).await?));
    }
    let update = RoleUpdate { description, permissions: permissions.map(|list| list.into_iter().collect()) };
    let outcome = http.app.roles.update_role(&access, name, &expected, update).await?;
    Ok(answer(StatusCode::OK, &outcome))
}

/// Delete a role that an organization has defined.
///
/// One that a member has is 409 `role_in_use`. Invitations that offer it are no longer valid.
#[utoipa::path(delete, path = "/v1/organizations/{organization}/roles/{role}", operation_id = "deleteOrganizationRole",
    tag = "Members",
    params(OrganizationPath, RolePath, IfRole),
    responses(
        (status = 204, description = "It is gone."),
        (status = 202, description = "The change goes on; `Location` says where to watch.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::MembersWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound, ErrorCode::RoleNotFound, ErrorCode::RoleInUse,
        ErrorCode::OrganizationNotActive
    ]).and(&VERSIONED)))))]
pub async fn delete_organization_role(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    RolePath(name): RolePath,
    IfRole(expected): IfRole,
) -> Result<Response, ApiError> {
    let access = access(&http, &caller, &which, Permission::MembersWrite).await?;
    Ok(answer(StatusCode::OK, &http.app.roles.delete_role(&access, name, &expected).await?))
}

async fn access(
    http: &Http,
    caller: &Principal,
    which: &str,
    permission: Permission,
) -> Result<MemberAccess, ApiError> {
    Ok(http.app.auth.manage_members(caller, &OrganizationRef::parse(which)?, permission).await?)
}

/// A permission that a role of an organization may allow.
fn parse_permission(text: &str) -> Result<Permission, String> {
    OWN_ROLE_PERMISSIONS.parse_member(text)
}

/// Refuses a permission that is given twice: the second was probably meant to be another one.
fn refuse_repeated(fields: &mut Fields, permissions: &[Permission]) {
    for (index, permission) in permissions.iter().enumerate() {
        if permissions[..index].contains(permission) {
            let repeated =
                Error::invalid_field(format!("/permissions/{index}"), "Is given twice: give it once.");
            fields.take::<()>(Err(repeated));
        }
    }
}

/// The answer to a change: the role, nothing if it is gone, or where to watch.
fn answer(status: StatusCode, outcome: &RoleOutcome) -> Response {
    match outcome {
        RoleOutcome::Running(record) => accepted(record),
        RoleOutcome::Done(record, Some(role)) => with_operation(own_role(status, role), record),
        RoleOutcome::Done(record, None) => with_operation(StatusCode::NO_CONTENT.into_response(), record),
    }
}

fn own_role(status: StatusCode, role: &OwnRole) -> Response {
    let mut response = json(status, &OwnRoleResponse::from(role));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", role.version)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
