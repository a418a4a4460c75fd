//! Updates in MongoDB's language, of one document or of those that match a filter, and the delete of one that matches.

mod bodies;

use super::full_scan::with_scan;
use super::schema::Document;
use super::value_format::ValueFormat;
use crate::auth::RequireTenant;
use crate::collections;
use crate::conditional::{IfMatchRevision, Unconditional, revision_etag};
use crate::extract::DocumentBody;
use crate::http::Http;
use crate::idempotency::{self, IdempotencyHeader, IdempotentRequest, KeyedRun, Replay, Scope, ShortBody};
use crate::openapi::{Access, DOCUMENT_CHANGE, REPEATABLE};
use crate::path_params::{CollectionPath, ItemPath, encoded};
use crate::problem::ApiError;
use crate::responses::{json_text, with_location};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use bodies::{
    FindOneAndDeleteRequest, ReturnedDocument, SentUpdate, SentUpdates, UpdateDocumentRequest,
    UpdateDocumentsRequest,
};
use serde::Serialize;
use std::sync::Arc;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::projection::Projection;
use tenantry_documents::sort::Sort;
use tenantry_domain::app::documents::{
    KeyedUpdate, RevisionPrecondition, UpdateManyResult, UpdateOne, UpdateRequest, UpdateResult,
};
use tenantry_domain::app::tenant::{TenantAccess, Write};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::offload;
use tenantry_domain::permission::Permission;
use tenantry_domain::{Error, ErrorCode, Result};
use utoipa::ToSchema;

/// What an update did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpdateResult)]
pub struct UpdateResponse {
    /// How many documents matched.
    pub matched: u64,
    /// How many of these have changed.
    pub modified: u64,
    /// Whether others may match that were not reached in time; if so, send the request again.
    pub more: bool,
    /// The `_id` of the document that was inserted.
    #[schema(required = false, value_type = Option<Value>)]
    pub upserted_id: Option<()>,
    /// The document as it was or is, if requested and there is one.
    #[schema(required = false, value_type = Option<Document>)]
    pub document: Option<Document>,
    /// Why the update of many ended early, after it has changed others.
    #[schema(required = false)]
    pub refused: Option<RefusedDocument>,
    /// True in a repeated response whose document was too large to be kept: `document` has its `_id` alone.
    #[schema(required = false, value_type = Option<bool>)]
    pub shortened: Option<bool>,
}

/// A document that could not be changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedDocument {
    /// Its `_id`, as in a URL.
    pub id: String,
    /// The error code.
    pub code: String,
    /// What is wrong.
    pub detail: String,
}

/// What a find-one-and-delete did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeletedDocument)]
pub struct DeletedDocumentResponse {
    /// The document as it was; null if none matched.
    #[schema(required = true, value_type = Option<Document>)]
    pub document: Option<Document>,
    /// True in a repeated response whose document was too large to be kept: `document` has its `_id` alone.
    #[schema(required = false, value_type = Option<bool>)]
    pub shortened: Option<bool>,
}

/// Update a document by operators.
///
/// In MongoDB's update language, as a safe part of it: `$set`, `$inc`, `$push` and so on.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections/{collection}/documents/{document}/update",
    operation_id = "updateDocument", tag = "Documents",
    params(RequireTenant<Write>, CollectionPath, ItemPath, ValueFormat, IfMatchRevision, IdempotencyHeader),
    request_body = UpdateDocumentRequest,
    responses(
        (status = 200, description = "What was done. `ETag` is that of the document.", body = UpdateResponse),
        (status = 201, description = "The document was inserted.", body = UpdateResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsWrite).refuses(&DOCUMENT_CHANGE)
        .and(&REPEATABLE).and(&[ErrorCode::IdempotencyOutcomeUnknown])))))]
pub async fn update_document(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Write>,
    CollectionPath(collection): CollectionPath,
    ItemPath(id): ItemPath,
    head: (IfMatchRevision, ValueFormat),
    key: IdempotencyHeader,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let (IfMatchRevision(expected), form) = head;
    let route = form.route(format!("POST {collection}/documents/{id}/update"));
    let once = OnceUpdate { http: &http, tenant: &tenant, key, route: &route, body: &body };
    let (work, access) = (Arc::clone(&http), tenant.clone());
    let (sent_body, bytes) = (body.clone(), body.0.len());
    once.run(move |keyed| async move {
        let read = move || sent_body.fields()?.parse(SentUpdate::from_fields);
        let sent = offload::by_filter_size(bytes, read).await??;
        let returned = sent.returned;
        let result = update_one(&work, &access, &collection, &id, &expected, sent, keyed).await?;
        Ok(one(&collections::path(access.organization(), &collection), form, Some(result), returned).await?)
    })
    .await
}

async fn update_one(
    http: &Http,
    tenant: &TenantAccess<Write>,
    collection: &CollectionName,
    id: &DocumentId,
    expected: &RevisionPrecondition,
    sent: SentUpdate,
    keyed: Option<KeyedRun>,
) -> Result<UpdateResult> {
    let keyed = keyed
        .map(|keyed| KeyedUpdate { earliest: Revision(keyed.id.milliseconds()), is_again: keyed.is_again });
    let request = UpdateOne { update: sent.update, upsert: sent.upsert, keyed };
    http.app.documents.update_document(tenant, collection, id, expected, request).await
}

/// Update the documents that match a filter.
///
/// The first one by `sort` and the `_id`; with `multi` all, or as many as are reached within the time limit of a query.
/// Each is changed on its own: a document that is taken from the filter by its change is handed out once, however many
/// ask at the same time.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections/{collection}/update",
    operation_id = "updateDocuments", tag = "Documents",
    params(RequireTenant<Write>, CollectionPath, ValueFormat, IdempotencyHeader),
    request_body = UpdateDocumentsRequest,
    responses(
        (status = 200, description = "What was done. `Full-Scan` says how many documents had to be looked at, if they \
            were many because no index serves the filter.", body = UpdateResponse),
        (status = 201, description = "A document was inserted.", body = UpdateResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::CollectionNotFound, ErrorCode::DocumentExists,
        ErrorCode::SchemaViolation, ErrorCode::UniqueViolation, ErrorCode::QuotaExceeded, ErrorCode::DocumentBusy, ErrorCode::DocumentUnreadable, ErrorCode::QueryTooSlow,
        ErrorCode::IdempotencyOutcomeUnknown
    ]).and(&REPEATABLE)))))]
pub async fn update_documents(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Write>,
    CollectionPath(collection): CollectionPath,
    head: (Unconditional, ValueFormat),
    key: IdempotencyHeader,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let (Unconditional, form) = head;
    let route = form.route(format!("POST {collection}/update"));
    let once = OnceUpdate { http: &http, tenant: &tenant, key, route: &route, body: &body };
    let (work, access) = (Arc::clone(&http), tenant.clone());
    let (sent_body, bytes) = (body.clone(), body.0.len());
    once.run(move |keyed| async move {
        refuse_again(keyed)?;
        let read = move || sent_body.fields()?.parse(SentUpdates::from_fields);
        let SentUpdates { filter, sent, multi, sort } = offload::by_filter_size(bytes, read).await??;
        let request = UpdateRequest { filter, update: sent.update, upsert: sent.upsert };
        let (documents, of) = (&work.app.documents, collections::path(access.organization(), &collection));
        if multi {
            let result = documents.update_documents(&access, &collection, &request).await?;
            let scanned = result.scanned;
            return Ok(with_scan(&work, many(&of, form, result)?, scanned));
        }
        let first = documents.update_first(&access, &collection, &request, &sort).await?;
        Ok(with_scan(&work, one(&of, form, first.result, sent.returned).await?, first.scanned))
    })
    .await
}

/// Delete a document that matches a filter, and return it.
///
/// The first one by `sort` and the `_id`. However many ask at the same time, each document is returned once.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections/{collection}/find-one-and-delete",
    operation_id = "findOneAndDelete", tag = "Documents",
    params(RequireTenant<Write>, CollectionPath, ValueFormat, IdempotencyHeader),
    request_body = FindOneAndDeleteRequest,
    responses((status = 200, description = "The document, or none. `Full-Scan` says how many had to be looked at, if \
        they were many because no index serves the filter.", body = DeletedDocumentResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::CollectionNotFound, ErrorCode::DocumentBusy,
        ErrorCode::DocumentUnreadable, ErrorCode::QueryTooSlow, ErrorCode::IdempotencyOutcomeUnknown
    ]).and(&REPEATABLE)))))]
pub async fn find_one_and_delete(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Write>,
    CollectionPath(collection): CollectionPath,
    head: (Unconditional, ValueFormat),
    key: IdempotencyHeader,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let (Unconditional, form) = head;
    let route = form.route(format!("POST {collection}/find-one-and-delete"));
    let once = OnceUpdate { http: &http, tenant: &tenant, key, route: &route, body: &body };
    let (work, access) = (Arc::clone(&http), tenant.clone());
    let (sent_body, bytes) = (body.clone(), body.0.len());
    once.run(move |keyed| async move {
        refuse_again(keyed)?;
        let read = move || {
            sent_body.fields()?.parse(|fields| {
                let filter = fields.required_filter("filter");
                let sort = fields.optional("sort", Sort::parse).unwrap_or_default();
                Some((Arc::new(filter?), sort))
            })
        };
        let (filter, sort) = offload::by_filter_size(bytes, read).await??;
        let first = work.app.documents.delete_first(&access, &collection, &filter, &sort).await?;
        let deleted = first.result.and_then(|result| result.before);
        let mut response = json_text(StatusCode::OK, deleted_body(deleted.as_ref(), false, form));
        // Who repeats the request learns which document it was.
        let short = deleted.as_ref().and_then(StoredDocument::id_alone);
        response.extensions_mut().insert(ShortBody(deleted_body(short.as_ref(), true, form)));
        Ok(with_scan(&work, response, first.scanned))
    })
    .await
}

fn deleted_body(document: Option<&StoredDocument>, is_short: bool, form: ValueFormat) -> Vec<u8> {
    let mut out = b"{".to_vec();
    write_document(document, is_short, form, &mut out);
    out.push(b'}');
    out
}

/// An update that is carried out once for each `Idempotency-Key`.
struct OnceUpdate<'a> {
    http: &'a Arc<Http>,
    tenant: &'a TenantAccess<Write>,
    key: IdempotencyHeader,
    route: &'a str,
    body: &'a DocumentBody,
}

impl OnceUpdate<'_> {
    async fn run<F>(self, run: impl FnOnce(Option<KeyedRun>) -> F) -> Result<Response, ApiError>
    where
        F: Future<Output = Result<Response, ApiError>> + Send + 'static,
    {
        let (http, tenant) = (self.http, self.tenant);
        let name = tenant.scope();
        let scope = Scope { name: &name, holder: Some(http.app.idempotency.key_holder_of_member(tenant)) };
        let request = IdempotentRequest { route: self.route, body: &self.body.0 };
        idempotency::once_keyed(http, self.key, scope, request, Replay::Stored, run).await
    }
}

/// Refuses a request of which nobody knows whether an earlier try was carried out.
fn refuse_again(keyed: Option<KeyedRun>) -> Result<()> {
    match keyed {
        Some(keyed) if keyed.is_again => Err(ErrorCode::IdempotencyOutcomeUnknown.into()),
        _ => Ok(()),
    }
}

/// The response to an update of one document in the collection at the path `of`.
async fn one(
    of: &str,
    form: ValueFormat,
    result: Option<UpdateResult>,
    returned: ReturnedDocument,
) -> Result<Response> {
    let of = of.to_owned();
    let bytes =
        |document: &Option<StoredDocument>| document.as_ref().map_or(0, |one| one.body.as_bytes().len());
    let size = result.as_ref().map_or(0, |result| bytes(&result.before).max(bytes(&result.after)));
    offload::by_size(size, move || {
        let result = result.unwrap_or_default();
        let document = match returned {
            ReturnedDocument::Before => result.before.as_ref(),
            ReturnedDocument::After => result.after.as_ref(),
            ReturnedDocument::None => None,
        };
        let write = |document: Option<&StoredDocument>, is_short: bool| {
            let counts = (u64::from(result.before.is_some()), u64::from(result.is_modified));
            let upserted = result.after.as_ref().filter(|_| result.is_upserted());
            let mut out = counted(counts, false, upserted, form);
            if returned != ReturnedDocument::None {
                out.push(b',');
                write_document(document, is_short, form, &mut out);
            }
            out.push(b'}');
            out
        };
        let status = if result.is_upserted() { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = json_text(status, write(document, false));
        let short = document.and_then(StoredDocument::id_alone);
        response.extensions_mut().insert(ShortBody(write(short.as_ref(), true)));
        if let Some(after) = &result.after {
            if let Some(tag) = revision_etag(after.revision) {
                response.headers_mut().insert(header::ETAG, tag);
            }
            if result.is_upserted() {
                response = located(response, &of, after);
            }
        }
        response
    })
    .await
}

/// The response to an update of many documents.
fn many(of: &str, form: ValueFormat, result: UpdateManyResult) -> Result<Response, ApiError> {
    let mut out = counted((result.matched, result.modified), result.more, result.upserted.as_ref(), form);
    if let Some((id, error)) = result.refused {
        let refused = RefusedDocument {
            id: id.to_string(),
            code: error.code().code().to_owned(),
            detail: refusal_detail(&error),
        };
        out.extend(b",\"refused\":");
        serde_json::to_writer(&mut out, &refused).map_err(Error::internal)?;
    }
    out.push(b'}');
    let status = if result.upserted.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    let response = json_text(status, out);
    Ok(match &result.upserted {
        Some(made) => located(response, of, made),
        None => response,
    })
}

/// What is wrong, with the pointers of the fields.
fn refusal_detail(error: &Error) -> String {
    let fields = error.fields().iter().map(|field| format!("{}: {}", field.pointer, field.detail));
    let fields: Vec<String> = fields.collect();
    if fields.is_empty() { error.sentence() } else { fields.join(" ") }
}

fn located(response: Response, of: &str, document: &StoredDocument) -> Response {
    let id = document.id().map(|id| encoded(&id.to_string())).unwrap_or_default();
    with_location(response, &format!("{of}/documents/{id}"))
}

/// The beginning of an [`UpdateResponse`].
fn counted(
    (matched, modified): (u64, u64),
    more: bool,
    upserted: Option<&StoredDocument>,
    form: ValueFormat,
) -> Vec<u8> {
    let mut out = format!("{{\"matched\":{matched},\"modified\":{modified},\"more\":{more}").into_bytes();
    if let Some(id) = upserted.and_then(StoredDocument::id) {
        out.extend(b",\"upserted_id\":");
        id.write_json(form.0, &mut out);
    }
    out
}

fn write_document(document: Option<&StoredDocument>, is_short: bool, form: ValueFormat, out: &mut Vec<u8>) {
    out.extend(b"\"document\":");
    match document {
        Some(document) => super::write(document, &Projection::default(), form, out),
        None => out.extend(b"null"),
    }
    if is_short && document.is_some() {
        out.extend(b",\"shortened\":true");
    }
}
