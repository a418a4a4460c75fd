//! Inserts many documents, one per line or in an array, with one response line for each: read, stored and answered in
//! groups.
//!
//! While one group is stored, only the next one is read, so a client that does not read its response lines is not read
//! from, either.
//!
//! # Pitfalls
//! Once the first response line is sent, the request cannot be refused any more. A later error becomes the last line, and
//! the line with the totals is missing.

use super::line_groups::{LineGroup, LineGroupFuture, LineGroupReader, read};
use super::schema::{Document, NDJSON};
use super::value_format::ValueFormat;
use crate::auth::RequireTenant;
use crate::body_budget::Reservation;
use crate::content_coding::decoded;
use crate::error_codes::{self, status_of};
use crate::extract::{QueryFields, media_type, not_taken};
use crate::fields::Fields;
use crate::http::Http;
use crate::idempotency::IdempotencyHeader;
use crate::openapi::Access;
use crate::path_params::CollectionPath;
use crate::problem::{ApiError, FieldProblem};
use crate::request_fields::request_fields;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use futures_util::future::{FutureExt, ready};
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use std::convert::Infallible;
use std::io::Write as _;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use tenantry_documents::document::{NewDocument, StoredDocument};
use tenantry_domain::app::documents::LineOutcome;
use tenantry_domain::app::tenant::{TenantAccess, Write};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::idempotency::IdempotencyKey;
use tenantry_domain::permission::Permission;
use tenantry_domain::{Error, ErrorCode, Result};
use utoipa::ToSchema;

/// The media types of NDJSON.
pub const MEDIA_TYPES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

/// The media type of a JSON array.
const JSON: &str = "application/json";

/// Which lines get a response line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outcomes {
    /// All lines that are not empty.
    #[default]
    All,
    /// The lines that were not stored.
    Refused,
}

impl FromStr for Outcomes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            "refused" => Ok(Self::Refused),
            _ => Err("Must be all or refused."),
        }
    }
}

request_fields! {
    /// How documents are inserted in bulk.
    pub struct BulkInsertQuery in query {
        /// `refused` responds only to the lines that were not stored, and with the last line; `all` is the default.
        pub outcomes: Outcomes = optional(str::parse) or default,
    }
}

/// A line of the response.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = InsertAnswer)]
pub enum InsertResponseLine {
    /// The document of that line is stored.
    #[expect(dead_code, reason = "`write_inserted` writes it: serde_json would round an `_id`")]
    Inserted(InsertedLine),
    /// The document of that line is not stored; or, in place of the last line, nothing from that line on was read.
    Refused(RefusedLine),
    /// The last line, if the response is complete.
    Totals(InsertTotals),
}

/// A line whose document is stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct InsertedLine {
    /// The number of the line, from 1; empty lines count. In an array, that of the element.
    pub line: u64,
    /// Always 201.
    pub status: u16,
    /// Its `_id`, as Extended JSON.
    pub id: serde_json::Value,
    /// Its revision: the `ETag` without the quotes.
    pub revision: String,
    /// `true` if an earlier request with the same `Idempotency-Key` had stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = bool)]
    pub repeated: Option<bool>,
}

/// A line that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedLine {
    /// The number of the line, from 1; empty lines count. In an array, that of the element.
    pub line: u64,
    /// The HTTP status that a request for this document alone would get.
    #[schema(example = 409)]
    pub status: u16,
    /// The stable name of the problem.
    #[schema(example = "document_exists")]
    pub code: &'static str,
    /// What happened, and what to do.
    pub detail: String,
    /// Every bad field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldProblem>,
}

impl RefusedLine {
    fn of(line: u64, error: &Error) -> Self {
        let code = error.code();
        Self {
            line,
            status: status_of(code).as_u16(),
            code: code.code(),
            detail: error_codes::sentence(error),
            errors: error.fields().iter().map(FieldProblem::from).collect(),
        }
    }
}

/// The totals of a bulk insert.
#[derive(Debug, Default, Clone, Copy, Serialize, ToSchema)]
pub struct InsertTotals {
    /// Documents that were stored.
    pub inserted: u64,
    /// Documents that an earlier request with the same `Idempotency-Key` had stored.
    pub repeated: u64,
    /// Lines that were refused.
    pub refused: u64,
    /// All lines, including empty ones.
    pub lines: u64,
}

/// Insert many documents.
///
/// The body is NDJSON: one document per line, and any number of lines; or a JSON array of documents, whose elements count
/// as lines. Each line that is not empty gets a response line, in the same order, as soon as its document is stored; a bad
/// line does not stop the others. The last line has the totals. With an `Idempotency-Key`, each document is identified by
/// its line number.
#[utoipa::path(post, path = "/v1/organizations/{organization}/collections/{collection}/bulk",
    operation_id = "insertDocuments", tag = "Documents",
    params(RequireTenant<Write>, CollectionPath, BulkInsertQuery, ValueFormat, IdempotencyHeader),
    request_body(content = Document, content_type = "application/x-ndjson", description = "A document to each line."),
    responses((status = 200, description = "A line for each line that is not empty, and at last the totals. Without the \
        totals something was cut off: of lines that have no answer nothing is known.",
        body = InsertResponseLine, content_type = "application/x-ndjson")),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsWrite).refuses(&[
        ErrorCode::RoleInsufficient, ErrorCode::CollectionNotFound, ErrorCode::DocumentUnreadable
    ])))))]
pub async fn insert_documents(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Write>,
    CollectionPath(collection): CollectionPath,
    QueryFields(query): QueryFields,
    headers: HeaderMap,
    key: IdempotencyHeader,
    body: Body,
) -> Result<Response, ApiError> {
    let media_type = media_type(&headers);
    if media_type != JSON && !MEDIA_TYPES.contains(&media_type.as_str()) {
        let advice = "The body must be NDJSON or a JSON array: send `Content-Type: application/x-ndjson` or \
                      `application/json`.";
        return Err(not_taken(&media_type, "one JSON object to a line, or an array of them", advice).into());
    }
    let body = decoded(&headers, body)?;
    insert(http, tenant, collection, query, headers, key, body).await
}

/// Stores the documents in the lines of `body`, which is decoded, or in its array. An error before the first response line is an ordinary refusal.
///
/// # Errors
/// `invalid_input`, `invalid_header`, `request_timeout`, `collection_not_found`,
/// `token_revoked`, `store_unavailable`.
pub async fn insert(
    http: Arc<Http>,
    tenant: TenantAccess<Write>,
    collection: CollectionName,
    mut query: Fields,
    headers: HeaderMap,
    key: IdempotencyHeader,
    body: Body,
) -> Result<Response, ApiError> {
    let form = ValueFormat::of(&mut query);
    let BulkInsertQuery { outcomes } = query.parse(BulkInsertQuery::from_fields)?;
    let is_json = media_type(&headers) == JSON;
    let scope = format!("{}/{collection}", tenant.scope());
    let request = key.parse(&scope)?;
    let reader = LineGroupReader::new(&http, tenant.organization().id, body, is_json);
    let mut bulk = Bulk {
        http,
        tenant,
        collection,
        request,
        outcomes,
        form,
        reading: Some(reader.group().boxed()),
        ahead: None,
        has_begun: false,
        totals: InsertTotals::default(),
    };
    bulk.read_first().await;
    let first = bulk.step().await.map_err(|cut| cut.error)?;
    let answers = stream::iter(first).chain(stream::unfold(bulk, Bulk::go_on));
    let answers = answers
        .filter_map(|lines| ready((!lines.is_empty()).then(|| Ok::<_, Infallible>(Bytes::from(lines)))));
    let mut response = Response::new(Body::from_stream(answers));
    response.headers_mut().insert(header::CONTENT_TYPE, NDJSON);
    Ok(response)
}

/// Why there are no more response lines, and the first line without one.
struct BulkFailure {
    line: u64,
    error: Error,
}

/// A running bulk insert.
struct Bulk {
    http: Arc<Http>,
    tenant: TenantAccess<Write>,
    collection: CollectionName,
    request: Option<IdempotencyKey>,
    outcomes: Outcomes,
    /// The form of each `id`.
    form: ValueFormat,
    /// `None` once the body has ended.
    reading: Option<LineGroupFuture>,
    /// The group that was read while the previous one was being stored.
    ahead: Option<LineGroup>,
    has_begun: bool,
    totals: InsertTotals,
}

impl Bulk {
    async fn read_first(&mut self) {
        self.ahead = self.next_group().await;
    }

    /// The response lines to the next group, and the state to go on from.
    async fn go_on(mut self) -> Option<(Vec<u8>, Self)> {
        let lines = match self.step().await {
            Ok(lines) => lines?,
            Err(BulkFailure { line, error }) => {
                if let Some(cause) = error.cause() {
                    let (code, organization) = (error.code().code(), self.tenant.organization().id);
                    tracing::error!(%organization, code, cause, "an insert of many documents was cut off");
                }
                (self.reading, self.ahead) = (None, None);
                let mut out = Vec::new();
                write_line(&InsertResponseLine::Refused(RefusedLine::of(line, &error)), &mut out);
                out
            }
        };
        Some((lines, self))
    }

    /// Stores the next group and returns its response lines; `None` if there is no other group.
    async fn step(&mut self) -> Result<Option<Vec<u8>>, BulkFailure> {
        let Some(group) = self.next_group().await else { return Ok(None) };
        let is_empty = group.is_empty();
        let LineGroup { first, next, documents, refused: mut answers, end, held, .. } = group;
        if let (true, Some(Err(error))) = (is_empty, &end) {
            return Err(BulkFailure { line: next, error: error.clone() });
        }
        let numbers: Vec<u64> = documents.iter().map(|(line, _)| *line).collect();
        let stored = self.store(documents, held).await;
        let outcomes = stored.map_err(|error| BulkFailure { line: first, error })?;
        answers.extend(numbers.into_iter().zip(outcomes));
        answers.sort_by_key(|(line, _)| *line);
        let mut out = Vec::with_capacity(128 * answers.len());
        for (line, outcome) in &answers {
            self.answer(*line, outcome, &mut out);
        }
        match end {
            None => {}
            Some(Err(error)) => {
                write_line(&InsertResponseLine::Refused(RefusedLine::of(next, &error)), &mut out);
            }
            Some(Ok(())) => {
                self.totals.lines = next - 1;
                write_line(&InsertResponseLine::Totals(self.totals), &mut out);
            }
        }
        Ok(Some(out))
    }

    async fn next_group(&mut self) -> Option<LineGroup> {
        if let Some(group) = self.ahead.take() {
            return Some(group);
        }
        let (reader, group) = self.reading.as_mut()?.await;
        self.reading = reader.after(&group);
        Some(group)
    }

    /// Stores documents, keeping `held` until they are stored, and reads the next group in the meantime.
    async fn store(
        &mut self,
        documents: Vec<(u64, NewDocument)>,
        held: Reservation,
    ) -> Result<Vec<LineOutcome>> {
        let _held = held;
        // The first call goes to the store even without documents: it tells whether the collection exists.
        if documents.is_empty() && std::mem::replace(&mut self.has_begun, true) {
            return Ok(Vec::new());
        }
        self.has_begun = true;
        self.tenant = self.http.app.auth.renew(&self.tenant).await?;
        let Self { http, tenant, collection, request, reading, ahead, .. } = self;
        let mut storing =
            pin!(http.app.documents.insert_documents(tenant, collection, documents, request.as_ref()));
        loop {
            tokio::select! {
                biased;
                outcomes = &mut storing => return outcomes,
                (reader, group) = read(reading), if ahead.is_none() => {
                    *reading = reader.after(&group);
                    *ahead = Some(group);
                }
            }
        }
    }

    fn answer(&mut self, line: u64, outcome: &LineOutcome, out: &mut Vec<u8>) {
        let count = match outcome {
            LineOutcome::Inserted(_) => &mut self.totals.inserted,
            LineOutcome::Repeated(_) => &mut self.totals.repeated,
            LineOutcome::Refused(_) => &mut self.totals.refused,
        };
        *count += 1;
        match outcome {
            LineOutcome::Refused(error) => {
                write_line(&InsertResponseLine::Refused(RefusedLine::of(line, error)), out);
            }
            _ if self.outcomes == Outcomes::Refused => {}
            LineOutcome::Inserted(document) => write_inserted(line, document, self.form, "", out),
            LineOutcome::Repeated(document) => {
                write_inserted(line, document, self.form, ",\"repeated\":true", out);
            }
        }
    }
}

/// Writes an [`InsertedLine`] directly as bytes: `serde_json` would round an `_id`.
fn write_inserted(line: u64, document: &StoredDocument, form: ValueFormat, more: &str, out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    let _ = write!(out, "{{\"line\":{line},\"status\":201,\"id\":");
    match document.id() {
        Some(id) => id.write_json(form.0, out),
        None => out.extend(b"null"),
    }
    let _ = writeln!(out, ",\"revision\":\"{}\"{more}}}", document.revision);
}

fn write_line(line: &InsertResponseLine, out: &mut Vec<u8>) {
    // Serializing plain text and numbers cannot fail.
    let _ = serde_json::to_writer(&mut *out, line);
    out.push(b'\n');
}
