//! How much an organization has, and how much it may have.

use super::auth::RequireTenant;
use super::fields::Fields;
use super::http::Http;
use super::problem::ApiError;
use super::representation::json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;
use tenantry_domain::app::tenant::Read;
use tenantry_domain::organization::{Quota, QuotaChange, QuotaLimit};
use utoipa::ToSchema;

/// How much an organization may have at most; what is null is not limited.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quota)]
pub struct QuotaBody {
    /// Documents, in all its collections.
    #[schema(required = true, example = 100_000)]
    pub documents: Option<u64>,
    /// Bytes of these as BSON.
    #[schema(required = true)]
    pub bytes: Option<u64>,
    /// Collections, with the one called `documents`.
    #[schema(required = true)]
    pub collections: Option<u64>,
    /// Bytes of the entries of all indexes.
    pub index_bytes: Option<u64>,
}

impl From<Quota> for QuotaBody {
    fn from(quota: Quota) -> Self {
        let number = |limit: Option<QuotaLimit>| limit.map(QuotaLimit::get);
        Self {
            documents: number(quota.documents),
            bytes: number(quota.bytes),
            collections: number(quota.collections),
            index_bytes: number(quota.index_bytes),
        }
    }
}

/// Another quota: what is absent stays, what is null is not limited any more. At most 2^53 of anything.
#[expect(dead_code, reason = "a schema of the OpenAPI document; `Fields` reads the body")]
#[derive(Debug, ToSchema)]
pub struct QuotaPatch {
    /// Documents, in all its collections.
    #[schema(required = false, maximum = 9_007_199_254_740_992_u64, example = 100_000)]
    pub documents: Option<u64>,
    /// Bytes of these as BSON.
    #[schema(required = false, maximum = 9_007_199_254_740_992_u64)]
    pub bytes: Option<u64>,
    /// Collections, with the one called `documents`.
    #[schema(required = false, maximum = 9_007_199_254_740_992_u64)]
    pub collections: Option<u64>,
    /// Bytes of the entries of all indexes.
    #[schema(required = false, maximum = 9_007_199_254_740_992_u64)]
    pub index_bytes: Option<u64>,
}

/// Reads a [`QuotaPatch`].
pub fn read_quota(fields: &mut Fields) -> QuotaChange {
    QuotaChange {
        documents: fields.limit("documents"),
        bytes: fields.limit("bytes"),
        collections: fields.limit("collections"),
        index_bytes: fields.limit("index_bytes"),
    }
}

/// How much an organization has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageBody {
    /// Documents, in all its collections.
    pub documents: u64,
    /// Bytes of these as BSON.
    pub bytes: u64,
    /// Collections, with the one called `documents`.
    pub collections: u64,
    /// Bytes of the entries of all indexes: of the key of each entry and of its document's `_id`. On MongoDB, where
    /// there is no quota for them, it may be up to a minute old, and is null where counting takes longer than a few seconds.
    pub index_bytes: Option<u64>,
    /// How much it may have.
    pub quota: QuotaBody,
}

/// Get what an organization uses of its quota.
///
/// Documents, bytes, collections and bytes of index entries, each beside its limit.
#[utoipa::path(get, path = "/v1/organizations/{organization}/usage", operation_id = "getUsage", tag = "Collections",
    params(RequireTenant<Read>),
    responses((status = 200, description = "What it has and may have.", body = UsageBody)))]
pub async fn get_usage(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
) -> Result<Response, ApiError> {
    let usage = http.app.get_usage(&tenant).await?;
    let body = UsageBody {
        documents: usage.documents,
        bytes: usage.bytes,
        collections: usage.collections,
        index_bytes: usage.index_bytes,
        quota: tenant.organization().quota.into(),
    };
    Ok(json(StatusCode::OK, &body))
}
