//! Collections of an organization's documents.
//!
//! Each count is current when it is read, so a page of collections is not a snapshot.

use super::auth::RequireTenant;
use super::conditional::{IfMatchBody, IfNoneMatchBody};
use super::cursor::Cursor;
use super::extract::{JsonBody, QueryFields};
use super::http::Http;
use super::idempotency::{self, IdempotencyHeader, IdempotentRequest, Replay, Scope};
use super::openapi::{Access, REPEATABLE};
use super::path_params::CollectionPath;
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::{json, tagged, tagged_unless, with_location};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use tenantry_domain::ErrorCode;
use tenantry_domain::app::tenant::{Read, Shape};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::Organization;
use tenantry_domain::page::PageLimit;
use tenantry_domain::permission::Permission;
use tenantry_domain::store::CollectionInfo;
use utoipa::ToSchema;

/// A collection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Collection)]
pub struct CollectionResponse<'a> {
    /// Its name.
    #[schema(example = "orders")]
    pub name: &'a str,
    /// How many documents are in it.
    pub documents: u64,
    /// Their size as BSON in bytes; on MongoDB with the fields that the service adds to each.
    pub bytes: u64,
    /// How many indexes it has, without the one on the `_id`.
    pub indexes: u32,
}

impl<'a> From<&'a CollectionInfo> for CollectionResponse<'a> {
    fn from(info: &'a CollectionInfo) -> Self {
        let CollectionInfo { name, documents, bytes, indexes } = info;
        Self { name: name.as_str(), documents: *documents, bytes: *bytes, indexes: *indexes }
    }
}

/// A page of the list of collections.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CollectionPage)]
pub struct CollectionPage<'a> {
    /// Ordered by name.
    pub items: Vec<CollectionResponse<'a>>,
    /// Pass it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// The path of a collection.
#[must_use]
pub fn path(organization: &Organization, name: &CollectionName) -> String {
    format!("/v1/organizations/{}/collections/{name}", organization.id)
}

request_fields! {
    /// Which collections to list.
    pub struct CollectionListQuery in query {
        /// Items of a page, 1 to 200; 50 by default.
        pub limit: PageLimit = numeric(PageLimit::parse) or default,
        /// `next_cursor` of the previous page.
        pub cursor: Option<CollectionName> = optional(|text| Cursor::parse(text)?.collection()),
    }
}

/// List the collections of an organization.
///
/// Ordered by name, a page at a time.
#[utoipa::path(get, path = "/v1/organizations/{organization}/collections", operation_id = "listCollections",
    tag = "Collections",
    params(RequireTenant<Read>, CollectionListQuery),
    responses((status = 200, description = "A page of collections.", body = CollectionPage<'static>)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&[ErrorCode::InvalidInput])))))]
pub async fn list_collections(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let CollectionListQuery { limit, cursor } = query.parse(CollectionListQuery::from_fields)?;
    let page = http.app.collections.list_collections(&tenant, cursor.as_ref(), limit).await?;
    let body = CollectionPage {
        items: page.items.iter().map(CollectionResponse::from).collect(),
        next_cursor: page.next.map(|name| Cursor::of_collection(&name).to_string()),
    };
    Ok(json(StatusCode::OK, &body))
}

request_fields! {
    /// The collection to create.
    pub struct NewCollection in body {
        /// 1 to 64 letters (a-z, A-Z), digits, `_` and `-`; the first is a letter or digit.
        #[schema(example = "orders")]
        pub name: CollectionName = required(CollectionName::parse),
    }
}

/// Create an empty collection.
///
/// Admins only.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections", operation_id = "createCollection",
    tag = "Collections",
    params(RequireTenant<Shape>, IdempotencyHeader),
    request_body = NewCollection,
    responses((status = 201, description = "The collection.", body = CollectionResponse<'static>)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::CollectionsWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::CollectionExists, ErrorCode::QuotaExceeded,
        ErrorCode::CapacityReached
    ]).and(&REPEATABLE)))))]
pub async fn create_collection(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Shape>,
    key: IdempotencyHeader,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let (scope, work) = (tenant.scope(), Arc::clone(&http));
    let content = body.0.clone();
    let request = IdempotentRequest { route: "POST collections", body: &content };
    let scope = Scope { name: &scope, holder: Some(http.app.idempotency.key_holder_of_member(&tenant)) };
    idempotency::once(&http, key, scope, request, Replay::Stored, move |_| async move {
        let NewCollection { name } = body.fields()?.parse(NewCollection::from_fields)?;
        let made = work.app.collections.create_collection(&tenant, &name).await?;
        let answer = tagged(StatusCode::CREATED, &CollectionResponse::from(&made));
        Ok(with_location(answer, &path(tenant.organization(), &name)))
    })
    .await
}

/// Get a collection.
///
/// The response says how many documents, bytes and indexes it has.
#[utoipa::path(get, path = "/v1/organizations/{organization}/collections/{collection}",
    operation_id = "getCollection", tag = "Collections",
    params(RequireTenant<Read>, CollectionPath, IfNoneMatchBody),
    responses(
        (status = 200, description = "The collection.", body = CollectionResponse<'static>),
        (status = 304, description = "You have it.")),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&[ErrorCode::CollectionNotFound])))))]
pub async fn get_collection(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    CollectionPath(name): CollectionPath,
    known: IfNoneMatchBody,
) -> Result<Response, ApiError> {
    let info = http.app.collections.get_collection(&tenant, &name).await?;
    Ok(tagged_unless(&known, &CollectionResponse::from(&info)))
}

/// Delete a collection with all its documents.
///
/// Admins only. The collection called `documents` cannot be deleted. With `If-Match`, a collection is deleted only if its
/// counts are still those that you have seen. Documents that others write at that moment are deleted, too.
#[utoipa::path(delete, path = "/v1/organizations/{organization}/collections/{collection}",
    operation_id = "deleteCollection", tag = "Collections",
    params(RequireTenant<Shape>, CollectionPath, IfMatchBody),
    responses((status = 204, description = "It is gone.")),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::CollectionsWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::CollectionNotFound, ErrorCode::CollectionIsDefault,
        ErrorCode::VersionMismatch
    ])))))]
pub async fn delete_collection(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Shape>,
    CollectionPath(name): CollectionPath,
    expected: IfMatchBody,
) -> Result<Response, ApiError> {
    if !expected.is_any() {
        let info = http.app.collections.get_collection(&tenant.to_read()?, &name).await?;
        expected.check(&CollectionResponse::from(&info))?;
    }
    http.app.collections.delete_collection(&tenant, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
