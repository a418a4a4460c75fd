//! Aggregates over documents, and the distinct values of a field.
//!
//! # Pitfalls
//! As a filter in a body, a pipeline must be kept as text: the order of its members matters.

use super::full_scan::with_scan;
use super::value_format::ValueFormat;
use crate::auth::RequireTenant;
use crate::extract::DocumentBody;
use crate::http::Http;
use crate::openapi::{Access, QUERY};
use crate::path_params::CollectionPath;
use crate::problem::ApiError;
use crate::request_fields::request_fields;
use crate::responses::json_text;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;
use tenantry_documents::aggregate::{AggregateResult, Aggregation, Distinct, Pipeline};
use tenantry_documents::document::{Path, write_value_json};
use tenantry_documents::filter::Filter;
use tenantry_domain::app::tenant::{Read, TenantAccess};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::offload;
use tenantry_domain::permission::Permission;
use utoipa::ToSchema;

/// The documents that a pipeline has made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AggregateResult)]
pub struct AggregateResponse {
    /// All of them, in the order of the last `$sort`, or of the groups' keys. Values as in documents.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<()>,
    /// About how many documents were examined, if no index served the request; else null.
    #[schema(required = true)]
    pub scanned: Option<u64>,
}

/// The distinct values of a field.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DistinctValues)]
pub struct DistinctResponse {
    /// All of them, in the order in which values sort; of values that are equal, such as `1` and `1.0`, one. Any JSON, as
    /// in documents.
    #[schema(value_type = Vec<serde_json::Value>)]
    pub items: Vec<()>,
    /// About how many documents were examined, if no index served the request; else null.
    #[schema(required = true)]
    pub scanned: Option<u64>,
}

request_fields! {
    /// What to compute.
    #[schema(as = AggregateBody)]
    pub struct AggregateRequest in body {
        /// At most 32 stages of MongoDB's aggregation language: `$match`, `$unwind`, `$group`, `$sort`, `$limit`, `$skip`,
        /// `$project`, `$addFields` and `$count`.
        #[schema(example = json!([
            { "$match": { "status": "paid" } },
            { "$group": { "_id": "$customer", "orders": { "$count": {} }, "total": { "$sum": "$total" } } },
            { "$sort": { "total": -1 } },
            { "$limit": 10 }
        ]))]
        pub pipeline: Pipeline = pipeline,
    }
}

request_fields! {
    /// Which values.
    #[schema(as = DistinctBody)]
    pub struct DistinctRequest in body {
        /// The path of the field. Of an array, its items count.
        #[schema(example = "status")]
        pub field: Path = required(Path::parse),
        /// Of which documents, in MongoDB's filter language; all by default.
        #[schema(example = json!({ "total": { "$gt": 100 } }))]
        pub filter: Filter = filter or default,
    }
}

/// Compute values from the documents.
///
/// A pipeline of stages, with MongoDB's meaning. All results are in the response: at most 10,000, of 4 MiB together.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections/{collection}/aggregate",
    operation_id = "aggregateDocuments", tag = "Documents",
    params(RequireTenant<Read>, CollectionPath, ValueFormat),
    request_body = AggregateRequest,
    responses((status = 200, description = "The results. `Full-Scan` says how many documents had to be looked at, if they \
        were many and no index spared that.", body = AggregateResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&QUERY)))))]
pub async fn aggregate_documents(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    CollectionPath(collection): CollectionPath,
    form: ValueFormat,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let body_bytes = body.0.len();
    let read = move || body.fields()?.parse(AggregateRequest::from_fields);
    // What consists of literals is computed with it: that takes several times as long as a filter.
    let AggregateRequest { pipeline } = offload::by_filter_size(body_bytes.saturating_mul(8), read).await??;
    answer(&http, &tenant, &collection, form, Aggregation::Pipeline(pipeline)).await
}

/// List the distinct values of a field.
///
/// All values are in the response: at most 10,000, of 4 MiB together.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections/{collection}/distinct",
    operation_id = "listDistinctValues", tag = "Documents",
    params(RequireTenant<Read>, CollectionPath, ValueFormat),
    request_body = DistinctRequest,
    responses((status = 200, description = "The values. `Full-Scan` says how many documents had to be looked at, if they \
        were many and no index spared that.", body = DistinctResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&QUERY)))))]
pub async fn list_distinct_values(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    CollectionPath(collection): CollectionPath,
    form: ValueFormat,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let body_bytes = body.0.len();
    let read = move || body.fields()?.parse(DistinctRequest::from_fields);
    let DistinctRequest { field, filter } = offload::by_filter_size(body_bytes, read).await??;
    answer(&http, &tenant, &collection, form, Aggregation::Distinct(Distinct::new(field, filter, "/field")))
        .await
}

async fn answer(
    http: &Http,
    tenant: &TenantAccess<Read>,
    collection: &CollectionName,
    form: ValueFormat,
    aggregation: Aggregation,
) -> Result<Response, ApiError> {
    let result = http.app.documents.aggregate_documents(tenant, collection, aggregation).await?;
    let (scanned, bytes) = (result.scanned, result.bytes());
    let body = offload::by_size(bytes, move || write_result(&result, form)).await?;
    Ok(with_scan(http, json_text(StatusCode::OK, body), scanned))
}

/// Writes an [`AggregateResponse`] or a [`DistinctResponse`] directly as bytes.
fn write_result(result: &AggregateResult, form: ValueFormat) -> Vec<u8> {
    let mut out = b"{\"items\":[".to_vec();
    for (number, item) in result.items.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        write_value_json(item.as_raw_bson_ref(), form.0, &mut out);
    }
    let scanned = result.scanned.map_or("null".to_owned(), |scanned| scanned.to_string());
    out.extend(format!("],\"scanned\":{scanned}}}").as_bytes());
    out
}
