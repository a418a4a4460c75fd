//! Operations: watching a multi-step change, and the log of them.

use super::auth::{RequireCaller, RequireOperator};
use super::cursor::Cursor;
use super::extract::QueryFields;
use super::http::Http;
use super::path_params::{OperationPath, OrganizationIdPath};
use super::problem::ApiError;
use super::representation::{OperationBody, OperationPage, json};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use std::sync::Arc;
use tenantry_domain::page::PageLimit;
use tenantry_domain::{ErrorCode, Result};

/// Get an operation.
///
/// An operation is a change in several steps, running or finished. Poll it until `state` is no longer
/// `running`.
#[utoipa::path(get, path = "/v1/operations/{operation}", operation_id = "getOperation", tag = "Operations",
    params(OperationPath),
    responses((status = 200, description = "The operation.", body = OperationBody)))]
pub async fn get_operation(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OperationPath(id): OperationPath,
) -> Result<Response, ApiError> {
    let record = http.app.find_operation(&caller, id).await?;
    let mut response = json(StatusCode::OK, &OperationBody::from(&record));
    // What changes about an operation is how far it is, and then nothing.
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}-{}\"", record.state.as_str(), record.done)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// List the finished operations of an organization.
///
/// Its audit trail, the newest first. It outlives the organization.
#[utoipa::path(get, path = "/v1/organizations/{organization}/operations", operation_id = "listOperations",
    tag = "Operations",
    params(
        OrganizationIdPath,
        ("limit" = Option<u32>, Query, description = "Items of a page, 1 to 200; 50 by default."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.")),
    responses((status = 200, description = "A page of operations.", body = OperationPage)))]
pub async fn list_operations(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    OrganizationIdPath(id): OrganizationIdPath,
    QueryFields(mut query): QueryFields,
) -> Result<Response, ApiError> {
    let limit = query.optional("limit", PageLimit::parse).unwrap_or_default();
    let before = query.optional("cursor", |text| Cursor::parse(text)?.operation());
    query.refuse_unknown();
    query.finish()?;
    let id = id.parse().map_err(|_| ErrorCode::OrganizationNotFound)?;
    let page = http.app.list_operations(&operator, id, before, limit).await?;
    let body = OperationPage {
        items: page.items.iter().map(OperationBody::from).collect(),
        next_cursor: page.next.map(|id| Cursor::of_operation(id).to_string()),
    };
    Ok(json(StatusCode::OK, &body))
}
