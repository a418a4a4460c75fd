//! The schema of a collection, and checks of the documents it has.
//!
//! # Pitfalls
//! Once the first line of a check is sent, it cannot be refused any more. A later error becomes the last line, and the line
//! with the totals is missing.

use super::auth::RequireTenant;
use super::collections;
use super::conditional::{IfMatchBody, IfNoneMatchBody};
use super::documents::{NDJSON, ValueFormat};
use super::extract::{DocumentBody, QueryFields};
use super::http::Http;
use super::openapi::Access;
use super::path_params::CollectionPath;
use super::problem::{ApiError, FieldProblem};
use super::request_fields::request_fields;
use super::responses::{tagged, tagged_unless, with_location};
use crate::error_codes::{self, status_of};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use serde_json::value::RawValue;
use std::convert::Infallible;
use std::sync::Arc;
use tenantry_documents::document::write_value_json;
use tenantry_documents::schema::{Schema, SchemaAction, SchemaDefinition, SchemaLevel};
use tenantry_domain::app::documents::{SchemaCheck, SchemaCheckPage, ViolatingDocument};
use tenantry_domain::app::tenant::{Read, Shape, TenantAccess};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::permission::Permission;
use tenantry_domain::{Error, ErrorCode, offload};
use utoipa::ToSchema;

/// The schema of a collection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CollectionSchema)]
pub struct SchemaResponse {
    /// The JSON Schema, of the dialect 2020-12.
    #[schema(value_type = serde_json::Value, example = json!({ "type": "object", "required": ["status"] }))]
    pub schema: Box<RawValue>,
    /// `strict`: every write is checked. `moderate`: every write, except changes of documents that violate it already.
    #[schema(example = "strict")]
    pub level: &'static str,
    /// `error`: a write that violates it is refused. `warn`: it is carried out and counted.
    #[schema(example = "error")]
    pub action: &'static str,
}

impl TryFrom<&SchemaDefinition> for SchemaResponse {
    type Error = Error;

    fn try_from(definition: &SchemaDefinition) -> Result<Self, Error> {
        let schema = RawValue::from_string(definition.schema.to_string()).map_err(Error::internal)?;
        Ok(Self { schema, level: definition.level.name(), action: definition.action.name() })
    }
}

/// Get the schema of a collection.
///
/// Writes to the collection are checked by it.
#[utoipa::path(get, path = "/v1/organizations/{organization}/collections/{collection}/schema",
    operation_id = "getCollectionSchema", tag = "Collections",
    params(RequireTenant<Read>, CollectionPath, IfNoneMatchBody),
    responses(
        (status = 200, description = "The schema.", body = SchemaResponse),
        (status = 304, description = "You have it.")),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&[
        ErrorCode::CollectionNotFound, ErrorCode::SchemaNotFound
    ])))))]
pub async fn get_schema(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    CollectionPath(collection): CollectionPath,
    known: IfNoneMatchBody,
) -> Result<Response, ApiError> {
    let schema = http.app.collections.get_schema(&tenant, &collection).await?;
    Ok(tagged_unless(&known, &SchemaResponse::try_from(&*schema)?))
}

request_fields! {
    /// The schema to set.
    #[schema(as = NewCollectionSchema)]
    pub struct NewSchema in body {
        /// The JSON Schema, of the dialect 2020-12; at most 64 KiB. References lead only within it.
        #[schema(example = json!({ "type": "object", "required": ["status"] }))]
        pub schema: Schema = required_schema,
        /// `strict` (the default) checks every write; `moderate` lets changes of documents pass that violate it already.
        pub level: SchemaLevel = optional(SchemaLevel::parse) or default,
        /// `error` (the default) refuses a write that violates it; `warn` carries it out and counts it.
        pub action: SchemaAction = optional(SchemaAction::parse) or default,
    }
}

/// Set the schema of a collection.
///
/// Admins only. In place of the one it had, if any. Every write that begins after the response is checked by it; documents
/// that are there stay as they are: check them with `POST …/schema/check`, best before.
#[utoipa::path(put, path = "/v1/organizations/{organization}/collections/{collection}/schema",
    operation_id = "setCollectionSchema", tag = "Collections",
    params(RequireTenant<Shape>, CollectionPath, IfMatchBody),
    request_body = NewSchema,
    responses(
        (status = 200, description = "The schema, in place of another.", body = SchemaResponse),
        (status = 201, description = "The schema; there was none.", body = SchemaResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::CollectionsWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::CollectionNotFound, ErrorCode::VersionMismatch
    ])))))]
pub async fn set_schema(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Shape>,
    CollectionPath(collection): CollectionPath,
    expected: IfMatchBody,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let body_bytes = body.0.len();
    let read = move || body.fields()?.parse(NewSchema::from_fields);
    let NewSchema { schema, level, action } = offload::by_filter_size(body_bytes, read).await??;
    let definition = SchemaDefinition { schema: schema.text().into(), level, action };
    let before = expected_schema(&http, &tenant, &collection, &expected).await?;
    let was_there =
        http.app.collections.set_schema(&tenant, &collection, &definition, before.as_deref()).await?;
    let status = if was_there { StatusCode::OK } else { StatusCode::CREATED };
    let response = tagged(status, &SchemaResponse::try_from(&definition)?);
    let path = format!("{}/schema", collections::path(tenant.organization(), &collection));
    Ok(if was_there { response } else { with_location(response, &path) })
}

/// Remove the schema of a collection.
///
/// Admins only. Writes are not checked any more.
#[utoipa::path(delete, path = "/v1/organizations/{organization}/collections/{collection}/schema",
    operation_id = "deleteCollectionSchema", tag = "Collections",
    params(RequireTenant<Shape>, CollectionPath, IfMatchBody),
    responses((status = 204, description = "It is gone.")),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::CollectionsWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::CollectionNotFound, ErrorCode::SchemaNotFound,
        ErrorCode::VersionMismatch
    ])))))]
pub async fn delete_schema(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Shape>,
    CollectionPath(collection): CollectionPath,
    expected: IfMatchBody,
) -> Result<Response, ApiError> {
    let before = expected_schema(&http, &tenant, &collection, &expected).await?;
    http.app.collections.delete_schema(&tenant, &collection, before.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The schema that a conditional change is about.
async fn expected_schema(
    http: &Http,
    tenant: &TenantAccess<Shape>,
    collection: &CollectionName,
    expected: &IfMatchBody,
) -> Result<Option<Arc<SchemaDefinition>>, ApiError> {
    if expected.is_any() {
        return Ok(None);
    }
    let before = http.app.collections.get_schema(&tenant.to_read()?, collection).await;
    let before = before.map_err(|error| match error.code() {
        ErrorCode::SchemaNotFound => ErrorCode::VersionMismatch.into(),
        _ => error,
    })?;
    expected.check(&SchemaResponse::try_from(&*before)?)?;
    Ok(Some(before))
}

request_fields! {
    /// What to check the documents by.
    #[schema(as = SchemaCheckRequest)]
    pub struct CheckRequest in body {
        /// Another schema than the collection's own, which it need not have then.
        #[schema(example = json!({ "type": "object", "required": ["status"] }))]
        pub schema: Option<Schema> = schema,
    }
}

request_fields! {
    /// Where a check begins.
    pub struct CheckQuery in query {
        /// `next_cursor` of the previous check by the same schema.
        pub cursor: Option<String> = optional(str::parse),
    }
}

/// A line of a check.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = SchemaCheckAnswer)]
pub enum CheckLine {
    /// A document that violates the schema.
    #[expect(dead_code, reason = "`write_violating` writes it: serde_json would round an `_id`")]
    Violating(ViolatingLine),
    /// In place of the last line: why the check goes no further.
    Refused(CheckRefusal),
    /// The last line, if the response is complete.
    Totals(CheckTotals),
}

/// A document that violates the schema.
#[derive(Debug, Serialize, ToSchema)]
pub struct ViolatingLine {
    /// Its `_id`, as Extended JSON.
    #[serde(rename = "_id")]
    pub id: serde_json::Value,
    /// What is wrong with it, up to a hundred places.
    pub errors: Vec<FieldProblem>,
    /// How many more places there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = u64)]
    pub unnamed: Option<u64>,
}

/// Why a check goes no further.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchemaCheckRefusal)]
pub struct CheckRefusal {
    /// The HTTP status of the problem.
    #[schema(example = 400)]
    pub status: u16,
    /// The stable name of the problem.
    #[schema(example = "query_too_slow")]
    pub code: &'static str,
    /// What happened, and what to do.
    pub detail: String,
}

/// The totals of a check.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchemaCheckTotals)]
pub struct CheckTotals {
    /// Documents that were checked.
    pub checked: u64,
    /// How many of these violate the schema.
    pub violating: u64,
    /// Pass it as `cursor` to check the others; null if there are none.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// Check the documents of a collection by a schema.
///
/// By the collection's own, or by the one in the body: a rehearsal. The response has a line for each document that violates
/// it, with every place, and a last line with the totals. After a minute it ends with a cursor, from which another request
/// goes on. Nothing changes.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections/{collection}/schema/check",
    operation_id = "checkCollectionSchema", tag = "Collections",
    params(RequireTenant<Read>, CollectionPath, ValueFormat, CheckQuery),
    request_body(content = Option<CheckRequest>, content_type = "application/json"),
    responses((status = 200, description = "A line for each document that violates the schema, and at last the totals. \
        Without the totals something was cut off.",
        body = CheckLine, content_type = "application/x-ndjson")),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&[
        ErrorCode::CollectionNotFound, ErrorCode::SchemaNotFound, ErrorCode::QueryTooSlow,
        ErrorCode::DocumentUnreadable
    ])))))]
pub async fn check_schema(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    CollectionPath(collection): CollectionPath,
    QueryFields(mut query): QueryFields,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let form = ValueFormat::of(&mut query);
    let CheckQuery { cursor } = query.parse(CheckQuery::from_fields)?;
    let body_bytes = body.0.len();
    let read = move || match body.0.is_empty() {
        true => Ok(None),
        false => body.fields()?.parse(CheckRequest::from_fields).map(|request| request.schema),
    };
    let schema = offload::by_filter_size(body_bytes, read).await??;
    let documents = &http.app.documents;
    let mut check = documents.begin_schema_check(&tenant, &collection, schema, cursor).await?;
    // Until here, and with the first documents, it can be refused.
    let first = documents.continue_schema_check(&tenant, &mut check).await?;
    let first = first.map(|page| lines(&page, form)).unwrap_or_default();
    let running = Some(RunningCheck { http: http.clone(), tenant, check, form });
    let pages = stream::once(async { first }).chain(stream::unfold(running, next_lines));
    // A page without violations has no line.
    let pages = pages.filter(|lines| std::future::ready(!lines.is_empty()));
    let mut response =
        Response::new(Body::from_stream(pages.map(|lines| Ok::<_, Infallible>(Bytes::from(lines)))));
    response.headers_mut().insert(header::CONTENT_TYPE, NDJSON);
    Ok(response)
}

/// A check that goes on while its response is sent.
struct RunningCheck {
    http: Arc<Http>,
    tenant: TenantAccess<Read>,
    check: SchemaCheck,
    form: ValueFormat,
}

async fn next_lines(running: Option<RunningCheck>) -> Option<(Vec<u8>, Option<RunningCheck>)> {
    let mut running = running?;
    let RunningCheck { http, tenant, check, form } = &mut running;
    let form = *form;
    match http.app.documents.continue_schema_check(tenant, check).await {
        Ok(page) => Some((lines(&page?, form), Some(running))),
        Err(error) => {
            if let Some(cause) = error.cause() {
                let (code, organization) = (error.code().code(), tenant.organization().id);
                tracing::error!(%organization, code, cause, "a check of documents was cut off");
            }
            let (status, code) = (status_of(error.code()).as_u16(), error.code().code());
            let refusal = CheckRefusal { status, code, detail: error_codes::sentence(&error) };
            let mut out = Vec::new();
            write_line(&CheckLine::Refused(refusal), &mut out);
            Some((out, None))
        }
    }
}

fn lines(page: &SchemaCheckPage, form: ValueFormat) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 * page.violating.len());
    page.violating.iter().for_each(|document| write_violating(document, form, &mut out));
    if let Some(totals) = &page.totals {
        let (checked, violating) = (totals.checked, totals.violating);
        let totals = CheckTotals { checked, violating, next_cursor: totals.next_cursor.clone() };
        write_line(&CheckLine::Totals(totals), &mut out);
    }
    out
}

/// Writes a [`ViolatingLine`] directly as bytes: `serde_json` would round an `_id`.
fn write_violating(document: &ViolatingDocument, form: ValueFormat, out: &mut Vec<u8>) {
    out.extend(b"{\"_id\":");
    write_value_json(document.id.as_raw_bson_ref(), form.0, out);
    out.extend(b",\"errors\":");
    let errors: Vec<FieldProblem> = document.errors.iter().map(FieldProblem::from).collect();
    // Serializing plain text cannot fail.
    let _ = serde_json::to_writer(&mut *out, &errors);
    if document.unnamed > 0 {
        out.extend(format!(",\"unnamed\":{}", document.unnamed).into_bytes());
    }
    out.extend(b"}\n");
}

fn write_line(line: &CheckLine, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(&mut *out, line);
    out.push(b'\n');
}
