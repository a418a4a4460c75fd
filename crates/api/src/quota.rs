//! How much an organization may have, as requests and responses say it.

use super::request_fields::request_fields;
use serde::Serialize;
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
