//! Indexes of a collection.
//!
//! An index that is still being built is not found; a 202 says where it will be.

use super::auth::RequireTenant;
use super::collections;
use super::conditional::{IfMatchBody, IfNoneMatchBody};
use super::extract::DocumentBody;
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
use serde_json::value::RawValue;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::index::{Coverage, Index, IndexName, IndexOptions, PartialFilter};
use tenantry_documents::limits::EXPIRE_AFTER_MAX_SECONDS;
use tenantry_domain::ErrorCode;
use tenantry_domain::app::collections::IndexBuildState;
use tenantry_domain::app::tenant::{Read, Shape};
use tenantry_domain::limits::OPERATION_WAIT;
use tenantry_domain::offload;
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
    /// Present and true if the index has only documents with a value at one of its paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = bool)]
    pub sparse: Option<bool>,
    /// If present, the index has only documents that match.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = Object, example = json!({ "status": "open" }))]
    pub partial_filter: Option<Box<RawValue>>,
    /// If present, a document is removed this many seconds after the date in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = u32, example = 3600)]
    pub expire_after_seconds: Option<u32>,
}

impl From<&Index> for IndexResponse {
    fn from(index: &Index) -> Self {
        let partial_filter = match &index.coverage {
            Coverage::Partial(filter) => RawValue::from_string(filter.shown()).ok(),
            Coverage::All | Coverage::Sparse(_) => None,
        };
        Self {
            name: index.name.to_string(),
            keys: index.keys_text(),
            unique: index.unique,
            sparse: matches!(index.coverage, Coverage::Sparse(_)).then_some(true),
            partial_filter,
            expire_after_seconds: index.expire_after_seconds,
        }
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
        /// Whether the index has only documents with a value at one of its paths, even if it is null.
        pub sparse: bool = flag or default,
        /// The index has only documents that match: a filter of `$eq $gt $gte $lt $lte $in $exists $and $or`.
        #[schema(example = json!({ "status": "open" }))]
        pub partial_filter: Option<PartialFilter> = partial_filter,
        /// How many seconds after its date, or the earliest of several, a document is removed; for one key alone.
        #[schema(maximum = 2_147_483_647, example = 3600)]
        pub expire_after_seconds: Option<u32> = numeric(seconds),
    }
}

/// Reads a number of seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= EXPIRE_AFTER_MAX_SECONDS);
    seconds.ok_or_else(|| format!("Must be a whole number from 0 to {EXPIRE_AFTER_MAX_SECONDS}."))
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
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let body_bytes = body.0.len();
    let read = move || {
        body.fields()?.parse(|fields| {
            let NewIndex { keys, name, unique, sparse, partial_filter, expire_after_seconds } =
                NewIndex::from_fields(fields)?;
            let options = IndexOptions { unique, sparse, partial_filter, expire_after_seconds };
            fields.take(Index::parse_with(name, &keys, options))
        })
    };
    let index = offload::by_filter_size(body_bytes, read).await??;
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
