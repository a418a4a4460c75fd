//! Pages and counts of documents that match a filter.
//!
//! # Pitfalls
//! The same query is text in a URL and JSON in a body. The filter in a body must be kept as text too, because the order
//! of its members can matter.

use super::full_scan::with_scan;
use super::value_format::ValueFormat;
use crate::auth::RequireTenant;
use crate::extract::{DocumentBody, QueryFields};
use crate::http::Http;
use crate::openapi::{Access, QUERY};
use crate::path_params::CollectionPath;
use crate::problem::ApiError;
use crate::request_fields::request_fields;
use crate::responses::{json, json_text};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;
use tenantry_documents::filter::Filter;
use tenantry_documents::index::IndexName;
use tenantry_documents::projection::Projection;
use tenantry_documents::query::SORT_POINTER;
use tenantry_documents::query::explanation::{ExplainedAccess, Explanation};
use tenantry_documents::sort::Sort;
use tenantry_domain::app::documents::{DocumentPage, PageRequest};
use tenantry_domain::app::tenant::{Read, TenantAccess};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::offload;
use tenantry_domain::page::PageLimit;
use tenantry_domain::permission::Permission;
use utoipa::ToSchema;

/// A page of the documents that match.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentPage)]
pub struct DocumentPageResponse {
    /// In the order of the query. A page may have fewer than `limit` of them even if others follow.
    #[schema(value_type = Vec<super::Document>)]
    pub items: Vec<super::Document>,
    /// Pass it as `cursor` for the next page of the same query; null on the last.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
    /// The revision of each, if requested: its `ETag` without the quotes.
    #[schema(required = false, value_type = Vec<String>)]
    pub revisions: Option<Vec<String>>,
    /// How the documents were found, if requested with `explain`; there are no `items` then.
    #[schema(required = false, value_type = QueryExplanation)]
    pub explanation: Option<QueryExplanation>,
}

/// How a query finds its first page, and how much it examines for that.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryExplanation {
    /// `index`; `id`, the index on the `_id`; `scan` of the whole collection; `nothing`, if no document can match.
    #[schema(example = "index")]
    pub plan: &'static str,
    /// The name of the index; several, joined by commas, only where MongoDB combines them. Null for another plan, or an
    /// index that a program has made.
    #[schema(required = true, example = "status_1_placed_-1")]
    pub index: Option<String>,
    /// Whether the documents have to be sorted, because nothing they are found by has the order.
    pub sorted: bool,
    /// Entries of the index that were examined.
    pub entries_examined: u64,
    /// Documents that were examined.
    pub documents_examined: u64,
    /// Documents on the page.
    pub matched: u64,
}

impl From<Explanation> for QueryExplanation {
    fn from(explanation: Explanation) -> Self {
        let plan = explanation.access.as_str();
        let names = match explanation.access {
            ExplainedAccess::Indexes(names) => names,
            ExplainedAccess::Nothing | ExplainedAccess::Scan | ExplainedAccess::Id => Vec::new(),
        };
        let names: Vec<&str> = names.iter().map(IndexName::as_str).collect();
        Self {
            plan,
            index: (!names.is_empty()).then(|| names.join(",")),
            sorted: explanation.is_sorted,
            entries_examined: explanation.entries_examined,
            documents_examined: explanation.documents_examined,
            matched: explanation.matched,
        }
    }
}

/// The response with an explanation, in the form of a page.
#[derive(Serialize)]
struct ExplainedPage {
    items: [(); 0],
    next_cursor: Option<String>,
    explanation: QueryExplanation,
}

/// How many documents match.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentCount)]
pub struct DocumentCountResponse {
    /// The number, exactly.
    pub count: u64,
}

request_fields! {
    /// A query of documents.
    #[schema(as = QueryBody)]
    pub struct DocumentQuery in body and query
    reported as [filter, sort, limit, cursor, fields, revisions, explain] {
        /// Which documents, in MongoDB's filter language; all by default.
        #[schema(example = json!({ "status": { "$in": ["open", "held"] } }))]
        pub filter: Filter = filter or default,
        /// Up to 3 paths joined by commas, with `-` before a descending one; the `_id` is always the last key.
        #[schema(example = "-placed")]
        pub sort: Sort = optional(Sort::parse) or default,
        /// The paths to include, joined by commas; or the paths to leave out, each with `-` before it.
        #[schema(example = "status,total")]
        pub fields: Projection = optional(Projection::parse) or default,
        /// Items of a page, 1 to 200; 50 by default.
        pub limit: PageLimit = numeric(PageLimit::parse) or default,
        /// `next_cursor` of the previous page.
        pub cursor: Option<String> = optional(str::parse),
        /// Whether to return the revision of each document, too.
        pub revisions: bool = flag or default,
        /// Whether to return how the documents are found, instead of them.
        pub explain: bool = flag or default,
    }
}

/// List the documents that match a filter.
///
/// A page at a time. If the filter is too long for a URL, use `POST …/query`.
#[utoipa::path(get, path = "/v1/organizations/{organization}/collections/{collection}/documents",
    operation_id = "listDocuments", tag = "Documents",
    params(RequireTenant<Read>, CollectionPath, ValueFormat, DocumentQuery),
    responses((status = 200, description = "A page of documents. `Full-Scan` says how many had to be looked at, if they \
        were many and no index spared that.", body = DocumentPageResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&QUERY)))))]
pub async fn list_documents(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    CollectionPath(collection): CollectionPath,
    QueryFields(mut fields): QueryFields,
) -> Result<Response, ApiError> {
    let (bytes, form) = (fields.filter_bytes(), ValueFormat::of(&mut fields));
    let read = move || fields.parse(DocumentQuery::from_fields);
    let query = offload::by_filter_size(bytes, read).await??;
    let pointers = Pointers { cursor: "?cursor", sort: SORT_POINTER };
    list_matching(&http, &tenant, &collection, query, form, pointers).await
}

/// List the documents that match a filter in the body.
///
/// The same as `GET …/documents`, for filters that are too long for a URL.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections/{collection}/query",
    operation_id = "queryDocuments", tag = "Documents",
    params(RequireTenant<Read>, CollectionPath, ValueFormat),
    request_body = DocumentQuery,
    responses((status = 200, description = "A page of documents. `Full-Scan` says how many had to be looked at, if they \
        were many and no index spared that.", body = DocumentPageResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&QUERY)))))]
pub async fn query_documents(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    CollectionPath(collection): CollectionPath,
    form: ValueFormat,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let body_bytes = body.0.len();
    let read = move || body.fields()?.parse(DocumentQuery::from_fields);
    let query = offload::by_filter_size(body_bytes, read).await??;
    let pointers = Pointers { cursor: "/cursor", sort: "/sort" };
    list_matching(&http, &tenant, &collection, query, form, pointers).await
}

request_fields! {
    /// The documents to count.
    #[schema(as = CountBody)]
    pub struct CountQuery in body and query {
        /// Which documents, in MongoDB's filter language; all by default.
        #[schema(example = json!({ "status": { "$in": ["open", "held"] } }))]
        pub filter: Filter = filter or default,
    }
}

/// Count the documents that match a filter.
///
/// If the filter is too long for a URL, use `POST …/count`.
#[utoipa::path(get, path = "/v1/organizations/{organization}/collections/{collection}/count",
    operation_id = "countDocuments", tag = "Documents",
    params(RequireTenant<Read>, CollectionPath, CountQuery),
    responses((status = 200, description = "How many. `Full-Scan` says how many had to be looked at, if they were many \
        and no index spared that.", body = DocumentCountResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&QUERY)))))]
pub async fn count_documents(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    CollectionPath(collection): CollectionPath,
    QueryFields(fields): QueryFields,
) -> Result<Response, ApiError> {
    let bytes = fields.filter_bytes();
    let read = move || fields.parse(CountQuery::from_fields);
    let CountQuery { filter } = offload::by_filter_size(bytes, read).await??;
    count(&http, &tenant, &collection, &filter).await
}

/// Count the documents that match a filter in the body.
///
/// The same as `GET …/count`, for filters that are too long for a URL.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections/{collection}/count",
    operation_id = "countMatchingDocuments", tag = "Documents",
    params(RequireTenant<Read>, CollectionPath),
    request_body = CountQuery,
    responses((status = 200, description = "How many. `Full-Scan` says how many had to be looked at, if they were many \
        and no index spared that.", body = DocumentCountResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsRead).refuses(&QUERY)))))]
pub async fn count_matching_documents(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Read>,
    CollectionPath(collection): CollectionPath,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let body_bytes = body.0.len();
    let read = move || body.fields()?.parse(CountQuery::from_fields);
    let CountQuery { filter } = offload::by_filter_size(body_bytes, read).await??;
    count(&http, &tenant, &collection, &filter).await
}

async fn count(
    http: &Http,
    tenant: &TenantAccess<Read>,
    collection: &CollectionName,
    filter: &Filter,
) -> Result<Response, ApiError> {
    let counted = http.app.documents.count_documents(tenant, collection, filter).await?;
    let answer = json(StatusCode::OK, &DocumentCountResponse { count: counted.documents });
    Ok(with_scan(http, answer, counted.scanned))
}

/// Where in the request the inputs are that can only be refused after looking at the data.
struct Pointers {
    cursor: &'static str,
    sort: &'static str,
}

async fn list_matching(
    http: &Http,
    tenant: &TenantAccess<Read>,
    collection: &CollectionName,
    query: DocumentQuery,
    form: ValueFormat,
    pointers: Pointers,
) -> Result<Response, ApiError> {
    let DocumentQuery { filter, sort, fields: projection, limit, cursor, revisions, explain } = query;
    let (cursor_at, sort_at) = (pointers.cursor, pointers.sort);
    let request = PageRequest { filter, sort, limit, cursor, cursor_at, sort_at };
    if explain {
        let explanation = http.app.documents.explain_documents(tenant, collection, request).await?.into();
        return Ok(json(StatusCode::OK, &ExplainedPage { items: [], next_cursor: None, explanation }));
    }
    let page = http.app.documents.find_documents(tenant, collection, request).await?;
    let scanned = page.scanned;
    let bytes = page.documents.iter().map(|document| document.body.as_bytes().len()).sum();
    let write = move || write_page(&page, &projection, form, revisions);
    let body = offload::by_size(bytes, write).await?;
    Ok(with_scan(http, json_text(StatusCode::OK, body), scanned))
}

/// Writes a [`DocumentPageResponse`] directly as bytes.
fn write_page(
    page: &DocumentPage,
    projection: &Projection,
    form: ValueFormat,
    with_revisions: bool,
) -> Vec<u8> {
    let mut out = b"{\"items\":[".to_vec();
    for (number, document) in page.documents.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        super::write(document, projection, form, &mut out);
    }
    // Cursors and revisions are plain text that needs no escaping.
    let cursor = page.next_cursor.as_ref().map_or("null".to_owned(), |cursor| format!("\"{cursor}\""));
    out.extend(format!("],\"next_cursor\":{cursor}").as_bytes());
    if with_revisions {
        let revisions: Vec<String> =
            page.documents.iter().map(|document| format!("\"{}\"", document.revision)).collect();
        out.extend(format!(",\"revisions\":[{}]", revisions.join(",")).as_bytes());
    }
    out.push(b'}');
    out
}
