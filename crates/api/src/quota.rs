//! Quotas in requests and responses.

use super::request_fields::request_fields;
use serde::Serialize;
use tenantry_domain::organization::{Quota, QuotaChange, QuotaLimit};
use utoipa::ToSchema;

/// How much an organization may store at most; null means no limit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quota)]
pub struct QuotaResponse {
    /// Documents in all its collections.
    #[schema(required = true, example = 100_000)]
    pub documents: Option<u64>,
    /// Bytes of these documents as BSON.
    #[schema(required = true)]
    pub bytes: Option<u64>,
    /// Collections, including the one called `documents`.
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
    /// Changes to a quota: an absent member stays as it is, null removes its limit. No limit may exceed 2^53.
    pub struct QuotaPatch in body {
        /// Documents in all its collections.
        #[schema(example = 100_000)]
        pub documents: Option<Option<QuotaLimit>> = limit,
        /// Bytes of these documents as BSON.
        pub bytes: Option<Option<QuotaLimit>> = limit,
        /// Collections, including the one called `documents`.
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
