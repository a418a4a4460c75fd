//! Operations: the progress of a multi-step change, and the log of finished ones.

use super::auth::{RequireCaller, RequireOperator};
use super::cursor::Cursor;
use super::extract::QueryFields;
use super::http::Http;
use super::openapi::Access;
use super::path_params::{OperationPath, OrganizationPath};
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::{OperationPage, OperationResponse, json};
use super::sessions::parse_organization;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use std::sync::Arc;
use tenantry_domain::ErrorCode;
use tenantry_domain::app::auth::OrganizationRef;
use tenantry_domain::app::operations::LogQuery;
use tenantry_domain::ids::OperationId;
use tenantry_domain::operation::{OperationKind, OperationRecord, OperationState};
use tenantry_domain::page::{Page, PageLimit};
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
/// The log of its changes, the newest first. It outlives the organization: the operator reads that of a deleted one by its id
/// or its former identifier, and by its id also when it has been purged.
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
    Ok(page_of(&http.app.operations.list_operations(&access, cursor, limit).await?))
}

request_fields! {
    /// Which operations of all organizations to list.
    pub struct AllOperationsQuery in query {
        /// Items of a page, 1 to 200; 50 by default.
        pub limit: PageLimit = numeric(PageLimit::parse) or default,
        /// `next_cursor` of the previous page.
        pub cursor: Option<OperationId> = optional(|text| Cursor::parse(text)?.operation()),
        /// Only those of this organization: its id or identifier; of a deleted one, the former identifier too.
        pub organization: Option<OrganizationRef> = optional(parse_organization),
        /// Only those of this kind, such as `create` or `delete`.
        pub kind: Option<OperationKind> = optional(parse_kind),
        /// Only those that `succeeded`, or that `failed`.
        pub state: Option<OperationState> = optional(parse_state),
    }
}

fn parse_kind(text: &str) -> Result<OperationKind, String> {
    one_of(&OperationKind::ALL, OperationKind::as_str, text)
}

/// One that a finished operation can have.
fn parse_state(text: &str) -> Result<OperationState, String> {
    one_of(&[OperationState::Succeeded, OperationState::Failed], OperationState::as_str, text)
}

fn one_of<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Result<T, String> {
    all.iter().copied().find(|known| name(*known) == text).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|known| name(*known)).collect();
        format!("Must be one of {}.", names.join(", "))
    })
}

/// List the finished operations of all organizations.
///
/// The newest first, a page at a time. With `kind` or `state`, a page examines at most 1,000 operations: it may have fewer items than
/// `limit`, or none, and still name a next one.
#[utoipa::path(get, path = "/v1/operations", operation_id = "listAllOperations", tag = "Operations",
    params(AllOperationsQuery),
    responses((status = 200, description = "A page of operations.", body = OperationPage)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[
        ErrorCode::InvalidInput, ErrorCode::OrganizationNotFound
    ])))))]
pub async fn list_all_operations(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let AllOperationsQuery { limit, cursor, organization, kind, state } =
        query.parse(AllOperationsQuery::from_fields)?;
    let query = LogQuery { organization, kind, state, before: cursor };
    Ok(page_of(&http.app.operations.list_all_operations(operator, &query, limit).await?))
}

fn page_of(page: &Page<OperationRecord, OperationId>) -> Response {
    let body = OperationPage {
        items: page.items.iter().map(OperationResponse::from).collect(),
        next_cursor: page.next.map(|id| Cursor::of_operation(id).to_string()),
    };
    json(StatusCode::OK, &body)
}
