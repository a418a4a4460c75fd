//! The roles that a member may have, and what each allows.

use super::openapi::Access;
use super::responses::json;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use tenantry_domain::account::Role;
use tenantry_domain::permission::Permission;
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

impl From<Role> for RoleResponse {
    fn from(role: Role) -> Self {
        let permissions = role.permissions().iter().map(PermissionResponse::from);
        Self { role: role.as_str(), permissions: permissions.collect() }
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

/// List the roles.
///
/// Each with what it allows. They are the same in every organization.
#[utoipa::path(get, path = "/v1/roles", operation_id = "listRoles", tag = "Members",
    responses((status = 200, description = "All roles.", body = RolePage)),
    extensions(("x-rule" = json!(Access::Public.refuses(&[])))))]
pub async fn list_roles() -> Response {
    let items = Role::ALL.into_iter().map(RoleResponse::from).collect();
    json(StatusCode::OK, &RolePage { items, next_cursor: None })
}
