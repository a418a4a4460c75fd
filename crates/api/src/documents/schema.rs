//! The schema of a stored document in the OpenAPI document, and the media type of NDJSON.

use axum::http::HeaderValue;
use serde::Serialize;
use utoipa::ToSchema;

/// A document: any JSON object, with Extended JSON for values that JSON cannot represent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Document, value_type = Object, example = json!({ "_id": "order-1", "status": "open", "total": 12.5 }))]
pub struct Document(());

/// The media type of NDJSON.
pub const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
