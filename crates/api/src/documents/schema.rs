//! How the API's document calls a stored document, and the media type of many.

use axum::http::HeaderValue;
use serde::Serialize;
use utoipa::ToSchema;

/// A document: any JSON object, with Extended JSON for what JSON has no form for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Document, value_type = Object, example = json!({ "_id": "order-1", "status": "open", "total": 12.5 }))]
pub struct Document(());

/// The media type of documents that are one to a line.
pub const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
