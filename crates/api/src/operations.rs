//! Operations: the progress of a multi-step change, and the log of finished ones.

use super::auth::RequireCaller;
use super::cursor::Cursor;
use super::extract::QueryFields;
use super::http::Http;
use super::openapi::Access;
use super::path_params::{OperationPath, OrganizationPath};
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::{OperationPage, OperationResponse, json};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use std::sync::Arc;
use tenantry_domain::ErrorCode;
use tenantry_domain::app::auth::OrganizationRef;
use tenantry_domain::ids::OperationId;
use tenantry_domain::page::PageLimit;
use tenantry_domain::permission::Permission;

/// Get an operation.
///
/// An operation is a change in several steps, running or finished. Poll it until `state` is no longer
/// `running`.
#[utoipa::path(get, path = "/v1/operations/{operation}", operation_id = "getOperation", tag = "Operations",
    params(OperationPath),
    responses((status = 200, description = "The operation.", body = OperationResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.refuses(&[ErrorCode::OperationNotFound])))))]
pub async fn get_operation(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OperationPath(id): OperationPath,
) -> Result<Response, ApiError> {
    let record = http.app.operations.find_operation(&caller, id).await?;
    let mut response = json(StatusCode::OK, &OperationResponse::from(&record));
    // Only the state and the progress of an operation change.
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}-{}\"", record.state.as_str(), record.done)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

request_fields! {
    /// Which operations to list.
    pub struct OperationListQuery in query {
        /// Items of a page, 1 to 200; 50 by default.
        pub limit: PageLimit = numeric(PageLimit::parse) or default,
        /// `next_cursor` of the previous page.
        pub cursor: Option<OperationId> = optional(|text| Cursor::parse(text)?.operation()),
    }
}

/// List the finished operations of an organization.
///
/// The log of its changes, the newest first. It outlives the organization: the operator reads it by the id then.
#[utoipa::path(get, path = "/v1/organizations/{organization}/operations", operation_id = "listOperations",
    tag = "Operations",
    params(OrganizationPath, OperationListQuery),
    responses((status = 200, description = "A page of operations.", body = OperationPage)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::AuditRead).refuses(&[
        ErrorCode::InvalidInput, ErrorCode::OrganizationNotFound, ErrorCode::RoleInsufficient
    ])))))]
pub async fn list_operations(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let OperationListQuery { limit, cursor } = query.parse(OperationListQuery::from_fields)?;
    let access = http.app.operations.allow_log(&caller, &OrganizationRef::parse(&which)?).await?;
    let page = http.app.operations.list_operations(&access, cursor, limit).await?;
    let body = OperationPage {
        items: page.items.iter().map(OperationResponse::from).collect(),
        next_cursor: page.next.map(|id| Cursor::of_operation(id).to_string()),
    };
    Ok(json(StatusCode::OK, &body))
}
