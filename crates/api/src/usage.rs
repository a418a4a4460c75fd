//! How much an organization stores, and its quota.

use super::auth::RequireTenant;
use super::http::Http;
use super::openapi::Access;
use super::problem::ApiError;
use super::quota::QuotaResponse;
use super::responses::json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;
use tenantry_domain::app::tenant::Read;
use tenantry_domain::permission::Permission;
use utoipa::ToSchema;

/// How much an organization stores.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageResponse {
    /// Documents in all its collections.
    pub documents: u64,
    /// Bytes of these documents as BSON.
    pub bytes: u64,
    /// Collections, including the one called `documents`.
    pub collections: u64,
    /// Bytes of the entries of all indexes: the key of each entry and the `_id` of its document. On MongoDB, which has no
    /// quota for them, the number may be up to a minute old, and is null if counting takes longer than a few seconds.
    pub index_bytes: Option<u64>,
    /// Bytes on disk, with indexes and with room that is free for later documents; null on MongoDB in the placement
    /// `shared`, where others' data is in the same files.
    pub disk_bytes: Option<u64>,
    /// Its quota.
    pub quota: QuotaResponse,
}

/// Get what an organization uses of its quota.
///
/// Documents, bytes, collections and bytes of index entries, and the limits on them; and the bytes on disk.
#[utoipa::path(get, path = "/v1/organizations/{organization}/usage", operation_id = "getUsage", tag = "Collections",
    params(RequireTenant<Read>),
    responses((status = 200, description = "What it has and may have.", body = UsageResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&[])))))]
pub async fn get_usage(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
) -> Result<Response, ApiError> {
    let usage = http.app.collections.get_usage(&tenant).await?;
    let body = UsageResponse {
        documents: usage.documents,
        bytes: usage.bytes,
        collections: usage.collections,
        index_bytes: usage.index_bytes,
        disk_bytes: http.app.collections.get_disk_bytes(&tenant).await?,
        quota: tenant.organization().quota.into(),
    };
    Ok(json(StatusCode::OK, &body))
}
