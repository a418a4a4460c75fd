//! How much an organization has, and how much it may have.

use super::auth::RequireTenant;
use super::http::Http;
use super::openapi::Access;
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::json;
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
pub struct QuotaResponse {
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

impl From<Quota> for QuotaResponse {
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

request_fields! {
    /// Another quota: what is absent stays, what is null is not limited any more. At most 2^53 of anything.
    pub struct QuotaPatch in body {
        /// Documents, in all its collections.
        #[schema(example = 100_000)]
        pub documents: Option<Option<QuotaLimit>> = limit,
        /// Bytes of these as BSON.
        pub bytes: Option<Option<QuotaLimit>> = limit,
        /// Collections, with the one called `documents`.
        pub collections: Option<Option<QuotaLimit>> = limit,
        /// Bytes of the entries of all indexes.
        pub index_bytes: Option<Option<QuotaLimit>> = limit,
    }
}

impl From<QuotaPatch> for QuotaChange {
    fn from(patch: QuotaPatch) -> Self {
        let QuotaPatch { documents, bytes, collections, index_bytes } = patch;
        Self { documents, bytes, collections, index_bytes }
    }
}

/// How much an organization has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageResponse {
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
    pub quota: QuotaResponse,
}

/// Get what an organization uses of its quota.
///
/// Documents, bytes, collections and bytes of index entries, each beside its limit.
#[utoipa::path(get, path = "/v1/organizations/{organization}/usage", operation_id = "getUsage", tag = "Collections",
    params(RequireTenant<Read>),
    responses((status = 200, description = "What it has and may have.", body = UsageResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.refuses(&[])))))]
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
        quota: tenant.organization().quota.into(),
    };
    Ok(json(StatusCode::OK, &body))
}
