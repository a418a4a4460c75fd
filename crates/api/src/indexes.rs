//! Indexes of a collection.
//!
//! An index that is still being built is not found; a 202 says where it will be.

use super::auth::RequireTenant;
use super::collections;
use super::conditional::{IfMatchBody, IfNoneMatchBody};
use super::extract::JsonBody;
use super::http::Http;
use super::openapi::Access;
use super::path_params::{CollectionPath, IndexPath, encoded};
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::{json, tagged, tagged_unless, with_location};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::ErrorCode;
use tenantry_domain::app::collections::IndexBuildState;
use tenantry_domain::app::tenant::{Read, Shape};
use tenantry_domain::limits::OPERATION_WAIT;
use tenantry_domain::permission::Permission;
use utoipa::ToSchema;

/// The header with the caller's preferences (RFC 7240).
pub const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The caller's preferences.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Prefer {
    /// `respond-async` (RFC 7240): respond with 202 at once. If the build fails, the reason is then not reported.
    #[param(rename = "Prefer", value_type = Option<String>)]
    respond_async: bool,
}

impl<S: Sync> FromRequestParts<S> for Prefer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let lines = parts.headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
        // Each preference may have parameters.
        let mut preferences =
            lines.flat_map(|line| line.split(',')).filter_map(|preference| preference.split(';').next());
        let respond_async =
            preferences.any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"));
        Ok(Self { respond_async })
    }
}

/// An index.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Index)]
pub struct IndexResponse {
    /// Its name.
    #[schema(example = "status_1_placed_-1")]
    pub name: String,
    /// Its paths, with `-` before a descending one.
    #[schema(example = "status,-placed")]
    pub keys: String,
    /// Whether no two documents may share an entry.
    pub unique: bool,
}

impl From<&Index> for IndexResponse {
    fn from(index: &Index) -> Self {
        Self { name: index.name.to_string(), keys: index.keys_text(), unique: index.unique }
    }
}

/// The indexes of a collection. There are few, so they fit on one page.
#[derive(Debug, Serialize, ToSchema)]
pub struct IndexList {
    /// Ordered by name, without the one on the `_id`.
    pub items: Vec<IndexResponse>,
}

/// List the indexes of a collection.
///
/// All of them, ordered by name, without the one on the `_id`.
#[utoipa::path(get, path = "/v1/organizations/{organization}/collections/{collection}/indexes",
    operation_id = "listIndexes", tag = "Collections",
    params(RequireTenant<Read>, CollectionPath),
    responses((status = 200, description = "All of them.", body = IndexList)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&[ErrorCode::CollectionNotFound])))))]
pub async fn list_indexes(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    CollectionPath(collection): CollectionPath,
) -> Result<Response, ApiError> {
    let indexes = http.app.collections.list_indexes(&tenant, &collection).await?;
    Ok(json(StatusCode::OK, &IndexList { items: indexes.iter().map(IndexResponse::from).collect() }))
}

request_fields! {
    /// The index to create.
    pub struct NewIndex in body {
        /// 1 to 8 paths joined by commas, with `-` before a descending one.
        #[schema(example = "status,-placed")]
        pub keys: String = required(str::parse),
        /// Its name; by default it is derived from the keys.
        pub name: Option<IndexName> = optional(IndexName::parse),
        /// Whether no two documents may share an entry; a missing field counts as an entry, too.
        pub unique: bool = flag or default,
    }
}

/// Create an index.
///
/// Admins only. Others can write to the collection while the index is built. If the build takes longer than a
/// few seconds, the response is 202 and `Location` names the index. A repeated request finds the same
/// index.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections/{collection}/indexes",
    operation_id = "createIndex", tag = "Collections",
    params(RequireTenant<Shape>, CollectionPath, Prefer),
    request_body = NewIndex,
    responses(
        (status = 201, description = "The index; it serves.", body = IndexResponse),
        (status = 200, description = "The index; it was there already, the same.", body = IndexResponse),
        (status = 202, description = "It is still being made; once it serves, it is at `Location`. If that cannot be, \
            it never is.", body = IndexResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::CollectionsWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::CollectionNotFound, ErrorCode::IndexExists,
        ErrorCode::UniqueViolation, ErrorCode::TooManyIndexes, ErrorCode::QuotaExceeded,
        ErrorCode::CapacityReached
    ])))))]
pub async fn create_index(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Shape>,
    CollectionPath(collection): CollectionPath,
    prefer: Prefer,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let index = body.fields()?.parse(|fields| {
        let NewIndex { keys, name, unique } = NewIndex::from_fields(fields)?;
        fields.take(Index::parse(name, &keys, unique))
    })?;
    let patience = if prefer.respond_async { Duration::ZERO } else { OPERATION_WAIT };
    let status = match http.app.collections.create_index(&tenant, &collection, &index, patience).await? {
        IndexBuildState::New => StatusCode::CREATED,
        IndexBuildState::Exists => StatusCode::OK,
        IndexBuildState::Later => StatusCode::ACCEPTED,
    };
    let of = collections::path(tenant.organization(), &collection);
    let path = format!("{of}/indexes/{}", encoded(index.name.as_str()));
    Ok(with_location(tagged(status, &IndexResponse::from(&index)), &path))
}

/// Get an index.
///
/// An index that is still being built is not found yet.
#[utoipa::path(get, path = "/v1/organizations/{organization}/collections/{collection}/indexes/{index}",
    operation_id = "getIndex", tag = "Collections",
    params(RequireTenant<Read>, CollectionPath, IndexPath, IfNoneMatchBody),
    responses(
        (status = 200, description = "The index.", body = IndexResponse),
        (status = 304, description = "You have it.")),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&[
        ErrorCode::CollectionNotFound, ErrorCode::IndexNotFound
    ])))))]
pub async fn get_index(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    CollectionPath(collection): CollectionPath,
    IndexPath(name): IndexPath,
    known: IfNoneMatchBody,
) -> Result<Response, ApiError> {
    let index = http.app.collections.get_index(&tenant, &collection, &name).await?;
    Ok(tagged_unless(&known, &IndexResponse::from(&index)))
}

/// Delete an index.
///
/// Admins only. No document changes.
#[utoipa::path(delete, path = "/v1/organizations/{organization}/collections/{collection}/indexes/{index}",
    operation_id = "deleteIndex", tag = "Collections",
    params(RequireTenant<Shape>, CollectionPath, IndexPath, IfMatchBody),
    responses((status = 204, description = "It is gone.")),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::CollectionsWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::CollectionNotFound, ErrorCode::IndexNotFound,
        ErrorCode::VersionMismatch
    ])))))]
pub async fn delete_index(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Shape>,
    CollectionPath(collection): CollectionPath,
    IndexPath(name): IndexPath,
    expected: IfMatchBody,
) -> Result<Response, ApiError> {
    if !expected.is_any() {
        let index = http.app.collections.get_index(&tenant.to_read()?, &collection, &name).await?;
        expected.check(&IndexResponse::from(&index))?;
    }
    http.app.collections.delete_index(&tenant, &collection, &name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
