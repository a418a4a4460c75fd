//! Documents of an organization, one at a time; [`bulk`], [`query`] and [`aggregate`] handle many at once.
//!
//! # Pitfalls
//! A document must not pass through `serde_json`, which rounds numbers and sorts members. Bodies go to the domain as
//! text and come back as bytes.

pub mod aggregate;
mod array_lines;
pub mod batch;
pub mod bulk;
mod full_scan;
mod line_groups;
mod lines;
pub mod query;
mod schema;
pub mod updates;
mod value_format;

pub use full_scan::FULL_SCAN;

pub(crate) use schema::NDJSON;
pub(crate) use value_format::ValueFormat;

use super::auth::RequireTenant;
use super::collections;
use super::conditional::{
    IfMatchRevision, IfNoneMatchRevision, ReplaceCondition, Unconditional, revision_etag,
};
use super::content_coding::decoded;
use super::extract::{DocumentBody, QueryFields, media_type};
use super::http::Http;
use super::idempotency::{self, IdempotencyHeader, IdempotentRequest, Replay, Scope};
use super::openapi::{Access, DOCUMENT_CHANGE, REPEATABLE};
use super::path_params::{CollectionPath, ItemPath, encoded};
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::{json, json_text, with_location};
use array_lines::is_array_of_documents;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use full_scan::with_scan;
use schema::Document;
use serde::Serialize;
use std::sync::Arc;
use tenantry_documents::document::{
    DocumentId, MergePatch, NewDocument, Revision, StoredDocument, write_document_json,
};
use tenantry_documents::filter::Filter;
use tenantry_documents::projection::Projection;
use tenantry_domain::app::tenant::{Read, TenantAccess, Write};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::offload;
use tenantry_domain::permission::Permission;
use tenantry_domain::{ErrorCode, Result};
use utoipa::ToSchema;

/// Insert a document.
///
/// A document without an `_id` is given an ObjectId. For many documents, use `POST …/bulk`. This path also
/// accepts NDJSON, and an array of documents that is no longer than one document may be, and then responds as
/// `POST …/bulk` does.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections/{collection}/documents",
    operation_id = "insertDocument", tag = "Documents",
    params(RequireTenant<Write>, CollectionPath, ValueFormat, IdempotencyHeader),
    request_body = Document,
    responses((status = 201, description = "The document.", body = Document)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::CollectionNotFound, ErrorCode::DocumentExists,
        ErrorCode::SchemaViolation, ErrorCode::QueryTooSlow, ErrorCode::UniqueViolation, ErrorCode::QuotaExceeded,
        ErrorCode::DocumentUnreadable
    ]).and(&REPEATABLE)))))]
pub async fn insert_document(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Write>,
    CollectionPath(collection): CollectionPath,
    head: (Unconditional, QueryFields),
    headers: HeaderMap,
    key: IdempotencyHeader,
    request: Request,
) -> Result<Response, ApiError> {
    let (Unconditional, QueryFields(query)) = head;
    if bulk::MEDIA_TYPES.contains(&media_type(&headers).as_str()) {
        let body = decoded(&headers, request.into_body())?;
        return bulk::insert(http, tenant, collection, query, headers, key, body).await;
    }
    let body = DocumentBody::from_request(request, &http).await?;
    if is_array_of_documents(&body.0) {
        return bulk::insert(http, tenant, collection, query, headers, key, body.0.into()).await;
    }
    let mut query = query;
    let form = ValueFormat::of(&mut query);
    query.finish_empty()?;
    insert_one(&http, tenant, collection, form, key, body).await
}

async fn insert_one(
    http: &Arc<Http>,
    tenant: TenantAccess<Write>,
    collection: CollectionName,
    form: ValueFormat,
    key: IdempotencyHeader,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let (scope, work) = (tenant.scope(), Arc::clone(http));
    let (route, content) = (format!("POST {collection}/documents"), body.0.clone());
    let request = IdempotentRequest { route: &route, body: &content };
    let scope = Scope { name: &scope, holder: Some(http.app.idempotency.key_holder_of_member(&tenant)) };
    let of = collections::path(tenant.organization(), &collection);
    let replay = rebuilt_response(http, &of, form, &body);
    idempotency::once(http, key, scope, request, replay, move |id| async move {
        let document = read_document(&work, body).await?;
        let id = id.map(document_id);
        let made = work.app.documents.insert_document(&tenant, &collection, document, id).await?;
        created(&of, form, made).await
    })
    .await
}

/// The `_id` for a document that has none, from the id that its request was granted.
const fn document_id(id: OrganizationId) -> DocumentId {
    DocumentId::of_object_id(*id.as_bytes())
}

/// Rebuilds the response to an insert, so that the document is not stored a second time with the response.
fn rebuilt_response(http: &Arc<Http>, of: &str, form: ValueFormat, body: &DocumentBody) -> Replay {
    let (http, of, body) = (Arc::clone(http), of.to_owned(), body.clone());
    Replay::Rebuilt(Box::new(move |made, etag| {
        let revision = etag.trim_matches('"').parse().map_or(Revision::UNKNOWN, Revision);
        Box::pin(async move {
            let document = read_document(&http, body).await?;
            let body = document.with_id(|| document_id(made));
            created(&of, form, StoredDocument { body, revision }).await
        })
    }))
}

/// The response to an insert into the collection at the path `of`.
async fn created(of: &str, form: ValueFormat, document: StoredDocument) -> Result<Response, ApiError> {
    let id = document.id().map(|id| encoded(&id.to_string())).unwrap_or_default();
    Ok(with_location(answer(StatusCode::CREATED, form, document).await?, &format!("{of}/documents/{id}")))
}

/// Get a document.
///
/// Values that JSON cannot represent are written as Extended JSON.
#[utoipa::path(get, path = "/v1/organizations/{organization}/collections/{collection}/documents/{document}",
    operation_id = "getDocument", tag = "Documents",
    params(RequireTenant<Read>, CollectionPath, ItemPath, ValueFormat, IfNoneMatchRevision),
    responses(
        (status = 200, description = "The document.", body = Document),
        (status = 304, description = "You have it.")),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&[
        ErrorCode::InvalidInput, ErrorCode::CollectionNotFound, ErrorCode::DocumentNotFound, ErrorCode::DocumentUnreadable
    ])))))]
pub async fn get_document(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    CollectionPath(collection): CollectionPath,
    ItemPath(id): ItemPath,
    form: ValueFormat,
    known: IfNoneMatchRevision,
) -> Result<Response, ApiError> {
    let document = http.app.documents.get_document(&tenant, &collection, &id).await?;
    if known.has(document.revision) {
        return Ok(with_etag(StatusCode::NOT_MODIFIED.into_response(), &document));
    }
    Ok(answer(StatusCode::OK, form, document).await?)
}

/// Replace a document.
///
/// The document must exist, and its `_id` stays. With `If-None-Match: *` it must not exist, and is created.
#[utoipa::path(put, path = "/v1/organizations/{organization}/collections/{collection}/documents/{document}",
    operation_id = "replaceDocument", tag = "Documents",
    params(RequireTenant<Write>, CollectionPath, ItemPath, ValueFormat, ReplaceCondition),
    request_body = Document,
    responses(
        (status = 200, description = "The document.", body = Document),
        (status = 201, description = "The document that was created.", body = Document)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsWrite).refuses(&DOCUMENT_CHANGE)))))]
pub async fn replace_document(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Write>,
    CollectionPath(collection): CollectionPath,
    ItemPath(id): ItemPath,
    form: ValueFormat,
    condition: ReplaceCondition,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let document = read_document(&http, body).await?;
    let Some(expected) = condition.of_existing() else {
        let of = collections::path(tenant.organization(), &collection);
        let made = http.app.documents.create_document(&tenant, &collection, &id, document).await?;
        return created(&of, form, made).await;
    };
    let document =
        http.app.documents.replace_document(&tenant, &collection, &id, &expected, document).await?;
    Ok(answer(StatusCode::OK, form, document).await?)
}

/// Change some fields of a document.
///
/// A JSON merge patch (RFC 7396): null removes a field, an object changes the fields it names, and any other
/// value replaces the field.
#[utoipa::path(patch, path = "/v1/organizations/{organization}/collections/{collection}/documents/{document}",
    operation_id = "patchDocument", tag = "Documents",
    params(RequireTenant<Write>, CollectionPath, ItemPath, ValueFormat, IfMatchRevision),
    request_body(content((Document = "application/merge-patch+json"), (Document = "application/json"))),
    responses((status = 200, description = "The document.", body = Document)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsWrite).refuses(&DOCUMENT_CHANGE)))))]
pub async fn patch_document(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Write>,
    CollectionPath(collection): CollectionPath,
    ItemPath(id): ItemPath,
    form: ValueFormat,
    IfMatchRevision(expected): IfMatchRevision,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let bytes = body.0.len();
    let parse = move || -> Result<MergePatch> { Ok(MergePatch::parse(body.text()?)?) };
    let patch = offload::by_size(bytes, parse).await??;
    let document = http.app.documents.patch_document(&tenant, &collection, &id, &expected, patch).await?;
    Ok(answer(StatusCode::OK, form, document).await?)
}

/// Delete a document.
///
/// It cannot be restored.
#[utoipa::path(delete, path = "/v1/organizations/{organization}/collections/{collection}/documents/{document}",
    operation_id = "deleteDocument", tag = "Documents",
    params(RequireTenant<Write>, CollectionPath, ItemPath, IfMatchRevision),
    responses((status = 204, description = "It is gone.")),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::CollectionNotFound, ErrorCode::DocumentNotFound,
        ErrorCode::VersionMismatch, ErrorCode::DocumentUnreadable
    ])))))]
pub async fn delete_document(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Write>,
    CollectionPath(collection): CollectionPath,
    ItemPath(id): ItemPath,
    IfMatchRevision(expected): IfMatchRevision,
) -> Result<Response, ApiError> {
    http.app.documents.delete_document(&tenant, &collection, &id, &expected).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The result of one round of deletes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeletedDocuments)]
pub struct DeletedDocumentsResponse {
    /// How many documents were deleted.
    pub deleted: u64,
    /// Whether other documents may still match; if so, send the request again.
    pub more: bool,
}

request_fields! {
    /// The documents to delete.
    #[schema(as = DeleteBody)]
    pub struct DeleteDocumentsRequest in body and query {
        /// Which documents, in MongoDB's filter language; `{}` is all.
        #[schema(example = json!({ "status": { "$in": ["closed", "void"] } }))]
        pub filter: Filter = required_filter,
    }
}

/// Delete the documents that match a filter.
///
/// All of them, or as many as are found within the time limit of a query; `more` says whether to send the request
/// again. If the filter is too long for a URL, use `POST …/delete`.
#[utoipa::path(delete, path = "/v1/organizations/{organization}/collections/{collection}/documents",
    operation_id = "deleteDocuments", tag = "Documents",
    params(RequireTenant<Write>, CollectionPath, DeleteDocumentsRequest),
    responses((status = 200, description = "What was deleted. `Full-Scan` says how many documents had to be looked at, \
        if they were many because no index serves the filter.", body = DeletedDocumentsResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsWrite).refuses(&[
        ErrorCode::InvalidInput, ErrorCode::RoleInsufficient, ErrorCode::CollectionNotFound,
        ErrorCode::QueryTooSlow
    ])))))]
pub async fn delete_documents(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Write>,
    CollectionPath(collection): CollectionPath,
    head: (Unconditional, QueryFields),
) -> Result<Response, ApiError> {
    let (Unconditional, QueryFields(query)) = head;
    let bytes = query.filter_bytes();
    let read = move || query.parse(DeleteDocumentsRequest::from_fields);
    let DeleteDocumentsRequest { filter } = offload::by_filter_size(bytes, read).await??;
    delete_matching(&http, &tenant, &collection, &filter).await
}

/// Delete the documents that match a filter in the body.
///
/// The same as `DELETE …/documents`, for filters that are too long for a URL.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections/{collection}/delete",
    operation_id = "deleteMatchingDocuments", tag = "Documents",
    params(RequireTenant<Write>, CollectionPath),
    request_body = DeleteDocumentsRequest,
    responses((status = 200, description = "What was deleted. `Full-Scan` says how many documents had to be looked at, \
        if they were many because no index serves the filter.", body = DeletedDocumentsResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsWrite).refuses(&[
        ErrorCode::InvalidInput, ErrorCode::RoleInsufficient, ErrorCode::CollectionNotFound,
        ErrorCode::QueryTooSlow
    ])))))]
pub async fn delete_matching_documents(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Write>,
    CollectionPath(collection): CollectionPath,
    Unconditional: Unconditional,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let body_bytes = body.0.len();
    let read = move || body.fields()?.parse(DeleteDocumentsRequest::from_fields);
    let DeleteDocumentsRequest { filter } = offload::by_filter_size(body_bytes, read).await??;
    delete_matching(&http, &tenant, &collection, &filter).await
}

async fn delete_matching(
    http: &Http,
    tenant: &TenantAccess<Write>,
    collection: &CollectionName,
    filter: &Filter,
) -> Result<Response, ApiError> {
    let deleted = http.app.documents.delete_documents(tenant, collection, filter).await?;
    let body = DeletedDocumentsResponse { deleted: deleted.documents, more: deleted.more };
    Ok(with_scan(http, json(StatusCode::OK, &body), deleted.scanned))
}

async fn read_document(http: &Http, body: DocumentBody) -> Result<NewDocument> {
    let max_bytes = http.app.policy().document_max_bytes;
    offload::by_size(body.0.len(), move || Ok(NewDocument::parse(body.text()?, max_bytes)?)).await?
}

/// A response with a document and its `ETag`.
async fn answer(status: StatusCode, form: ValueFormat, document: StoredDocument) -> Result<Response> {
    let bytes = document.body.as_bytes().len();
    let write = move || {
        let mut json = Vec::with_capacity(bytes + 64);
        write(&document, &Projection::default(), form, &mut json);
        with_etag(json_text(status, json), &document)
    };
    offload::by_size(bytes, write).await
}

/// Appends the projected `document` to `out`.
fn write(document: &StoredDocument, projection: &Projection, form: ValueFormat, out: &mut Vec<u8>) {
    write_document_json(&projection.apply(&document.body), form.0, out);
}

fn with_etag(mut response: Response, document: &StoredDocument) -> Response {
    if let Some(tag) = revision_etag(document.revision) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
