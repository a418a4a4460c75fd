//! Many documents, one to a line, answered one to a line: read, stored and answered in batches.
//!
//! While a batch is being stored, the next one is read, and no more than that: whoever does not read the answers is not
//! read from, either. What a newcomer gets wrong: once the first answer is out, nothing can be refused any more. What
//! goes wrong then is the last line, and the line with the totals is missing.

use super::NDJSON;
use super::lines::{Arrival, Line, Lines};
use crate::http::Http;
use crate::http::extract::cut_off;
use crate::http::idempotency::IDEMPOTENCY_KEY;
use crate::http::problem::{FieldProblem, Refusal, status_of};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use futures_util::future::{BoxFuture, FutureExt, pending, ready};
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use std::convert::Infallible;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::app::documents::LineOutcome;
use tenantry_domain::app::tenant::{Tenant, Write};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::document::{NewDocument, StoredDocument, mistaken};
use tenantry_domain::idempotency::RequestKey;
use tenantry_domain::limits::{INSERT_MAX_BYTES, INSERT_MAX_DOCUMENTS};
use tenantry_domain::offload;
use tenantry_domain::{Error, ErrorCode, Result};
use utoipa::ToSchema;

/// The media types of documents that are one to a line.
pub const MEDIA_TYPES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];
/// How long a batch with lines in it waits for more of them: whoever waits for an answer before going on gets it.
const LINGER: Duration = Duration::from_millis(5);

/// Which lines are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outcomes {
    /// All that are not empty.
    #[default]
    All,
    /// Those that were not stored.
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

/// A line of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum InsertAnswer {
    /// The document of that line is stored.
    Inserted(InsertedLine),
    /// It is not; or, in place of the last line, nothing from that line on was read.
    Refused(RefusedLine),
    /// The last line, if nothing was cut off.
    Totals(InsertTotals),
}

/// A line whose document is stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct InsertedLine {
    /// Which line it is, from 1; empty ones count.
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
    /// Which line it is, from 1; empty ones count.
    pub line: u64,
    /// What the HTTP status would be.
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
            status: status_of(code.kind()).as_u16(),
            code: code.code(),
            detail: error.sentence(),
            errors: error.fields().iter().map(FieldProblem::from).collect(),
        }
    }
}

/// How many lines there were.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct InsertTotals {
    /// Documents that were stored.
    pub inserted: u64,
    /// Documents that an earlier request with the same `Idempotency-Key` had stored.
    pub repeated: u64,
    /// Lines that were refused.
    pub refused: u64,
    /// All lines, empty ones too.
    pub lines: u64,
}

/// Stores the documents in the lines of `body`. What goes wrong before there is any answer is refused as always.
///
/// # Errors
/// `invalid_header`, `request_timeout`, `collection_not_found`, `token_revoked`, `store_unavailable`.
pub async fn insert(
    http: Arc<Http>,
    tenant: Tenant<Write>,
    collection: CollectionName,
    headers: &HeaderMap,
    outcomes: Outcomes,
    body: Body,
) -> Result<Response, Refusal> {
    let scope = format!("{}/{collection}", tenant.scope());
    let key = headers.get(&IDEMPOTENCY_KEY).map(|key| key.to_str().unwrap_or_default());
    let request = key.map(|key| RequestKey::parse(&scope, key)).transpose()?;
    let arrival = http.settings.arrival_timeout();
    let reader = Reader {
        lines: Lines::of(body, http.settings.max_document_json_bytes),
        idle: arrival,
        max_line_bytes: http.settings.max_document_json_bytes,
        max_document_bytes: http.app.policy().document_max_bytes,
    };
    let mut bulk = Bulk {
        http,
        tenant,
        collection,
        request,
        outcomes,
        reading: Some(reader.batch().boxed()),
        ahead: None,
        has_begun: false,
        totals: InsertTotals::default(),
    };
    tokio::time::timeout(arrival, bulk.read_first()).await.map_err(|_| ErrorCode::RequestTimeout)?;
    let first = bulk.step().await.map_err(|cut| cut.error)?;
    let answers = stream::iter(first).chain(stream::unfold(bulk, Bulk::go_on));
    let answers = answers
        .filter_map(|lines| ready((!lines.is_empty()).then(|| Ok::<_, Infallible>(Bytes::from(lines)))));
    let mut response = Response::new(Body::from_stream(answers));
    response.headers_mut().insert(header::CONTENT_TYPE, NDJSON);
    Ok(response)
}

/// Lines that are stored and answered together.
#[derive(Default)]
struct Batch {
    /// The first of them.
    first: u64,
    /// The one after the last of them.
    next: u64,
    /// Those with a document in them.
    documents: Vec<(u64, NewDocument)>,
    bytes: usize,
    /// Those that are refused already.
    refused: Vec<(u64, LineOutcome)>,
    /// Whether it is the last one, and how the body ended.
    end: Option<Result<()>>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.refused.is_empty()
    }

    fn is_full(&self) -> bool {
        self.documents.len() + self.refused.len() >= INSERT_MAX_DOCUMENTS || self.bytes >= INSERT_MAX_BYTES
    }

    fn add(&mut self, line: u64, document: Result<NewDocument>) {
        match document {
            Ok(document) => {
                self.bytes += document.bytes();
                self.documents.push((line, document));
            }
            Err(error) => self.refused.push((line, LineOutcome::Refused(error))),
        }
    }
}

/// Reads batches.
struct Reader {
    lines: Lines,
    /// How long the body may pause.
    idle: Duration,
    max_line_bytes: usize,
    max_document_bytes: usize,
}

/// A batch on its way, and who reads on after it.
type Reading = BoxFuture<'static, (Reader, Batch)>;

impl Reader {
    async fn batch(mut self) -> (Self, Batch) {
        let mut batch = Batch { first: self.lines.read() + 1, ..Batch::default() };
        while batch.end.is_none() && !self.fill(&mut batch).await {
            let wait = if batch.is_empty() { self.idle } else { LINGER };
            match self.lines.arrive(wait).await {
                Arrival::More => {}
                Arrival::Nothing if batch.is_empty() => {
                    batch.end = Some(Err(ErrorCode::RequestTimeout.into()));
                }
                Arrival::Nothing => break,
                Arrival::Broken => batch.end = Some(Err(cut_off())),
                Arrival::End => {
                    if let Some(line) = self.lines.last() {
                        self.add(line, &mut batch).await;
                    }
                    batch.end.get_or_insert(Ok(()));
                }
            }
        }
        batch.next = self.lines.read() + 1;
        (self, batch)
    }

    /// Takes the lines that have arrived; whether the batch is full.
    async fn fill(&mut self, batch: &mut Batch) -> bool {
        while !batch.is_full() && batch.end.is_none() {
            let Some(line) = self.lines.next() else { return false };
            self.add(line, batch).await;
        }
        true
    }

    async fn add(&mut self, line: Line, batch: &mut Batch) {
        if let Some(error) = not_lines(&line) {
            batch.end = Some(Err(error));
            return;
        }
        let number = line.number;
        match self.parse(line).await {
            Ok(None) => {}
            Ok(Some(document)) => batch.add(number, Ok(document)),
            Err(error) => batch.add(number, Err(error)),
        }
    }

    /// The document in a line; none if it is empty.
    async fn parse(&mut self, line: Line) -> Result<Option<NewDocument>> {
        let text = line.text.ok_or_else(|| {
            let most = self.max_line_bytes;
            Error::new(ErrorCode::BodyTooLarge).detail(format!("The line may have at most {most} bytes."))
        })?;
        let text = text.slice_ref(mistaken::without_mark(&text));
        if text.trim_ascii().is_empty() {
            return Ok(None);
        }
        let (text_bytes, max_bytes) = (text.len(), self.max_document_bytes);
        let parse = move || {
            let text = std::str::from_utf8(&text).map_err(|_| {
                let what = mistaken::not_utf8(&text).explain("JSON in UTF-8");
                Error::new(ErrorCode::InvalidJson).detail(format!("The line {what}"))
            })?;
            NewDocument::parse(text, max_bytes).map(Some)
        };
        // The others on this thread have their turn after some hundred kibibytes, however quickly they arrive.
        for _ in 0..=text_bytes >> 10 {
            tokio::task::coop::consume_budget().await;
        }
        offload::by_size(text_bytes, parse).await?
    }

    /// Reads on, unless `batch` is the last one.
    fn after(self, batch: &Batch) -> Option<Reading> {
        batch.end.is_none().then(|| self.batch().boxed())
    }
}

/// The refusal of a whole body of which the first line is `line`, if it is a file in which no line can be a document.
fn not_lines(line: &Line) -> Option<Error> {
    let text = line.text.as_ref().filter(|_| line.number == 1)?;
    let what = mistaken::recognize_lines(text)?.explain("one JSON object to a line");
    Some(Error::new(ErrorCode::InvalidJson).detail(format!("The body {what}")))
}

/// The batch that is being read; never, where none is.
async fn read(reading: &mut Option<Reading>) -> (Reader, Batch) {
    match reading {
        Some(reading) => reading.await,
        None => pending().await,
    }
}

/// Why there are no more answers, and which line is the first without one.
struct Cut {
    line: u64,
    error: Error,
}

/// A request under way.
struct Bulk {
    http: Arc<Http>,
    tenant: Tenant<Write>,
    collection: CollectionName,
    request: Option<RequestKey>,
    outcomes: Outcomes,
    /// None once the body has ended.
    reading: Option<Reading>,
    /// Read while the one before it was being stored.
    ahead: Option<Batch>,
    has_begun: bool,
    totals: InsertTotals,
}

impl Bulk {
    async fn read_first(&mut self) {
        self.ahead = self.next_batch().await;
    }

    /// The answers to the next batch, and what comes after them.
    async fn go_on(mut self) -> Option<(Vec<u8>, Self)> {
        let lines = match self.step().await {
            Ok(lines) => lines?,
            Err(Cut { line, error }) => {
                if let Some(cause) = error.cause() {
                    let (code, organization) = (error.code().code(), self.tenant.organization().id);
                    tracing::error!(%organization, code, cause, "an insert of many documents was cut off");
                }
                (self.reading, self.ahead) = (None, None);
                let mut out = Vec::new();
                write_line(&RefusedLine::of(line, &error), &mut out);
                out
            }
        };
        Some((lines, self))
    }

    /// Stores the next batch; the answers to it. None if there is no other.
    async fn step(&mut self) -> Result<Option<Vec<u8>>, Cut> {
        let Some(batch) = self.next_batch().await else { return Ok(None) };
        let is_empty = batch.is_empty();
        let Batch { first, next, documents, refused: mut answers, end, .. } = batch;
        if let (true, Some(Err(error))) = (is_empty, &end) {
            return Err(Cut { line: next, error: error.clone() });
        }
        let numbers: Vec<u64> = documents.iter().map(|(line, _)| *line).collect();
        let outcomes = self.store(documents).await.map_err(|error| Cut { line: first, error })?;
        answers.extend(numbers.into_iter().zip(outcomes));
        answers.sort_by_key(|(line, _)| *line);
        let mut out = Vec::with_capacity(128 * answers.len());
        for (line, outcome) in &answers {
            self.answer(*line, outcome, &mut out);
        }
        match end {
            None => {}
            Some(Err(error)) => write_line(&RefusedLine::of(next, &error), &mut out),
            Some(Ok(())) => {
                self.totals.lines = next - 1;
                write_line(&self.totals, &mut out);
            }
        }
        Ok(Some(out))
    }

    async fn next_batch(&mut self) -> Option<Batch> {
        if let Some(batch) = self.ahead.take() {
            return Some(batch);
        }
        let (reader, batch) = self.reading.as_mut()?.await;
        self.reading = reader.after(&batch);
        Some(batch)
    }

    /// Stores documents, and reads the next ones meanwhile.
    async fn store(&mut self, documents: Vec<(u64, NewDocument)>) -> Result<Vec<LineOutcome>> {
        // The first time even nothing is stored: that tells whether the collection is there.
        if documents.is_empty() && std::mem::replace(&mut self.has_begun, true) {
            return Ok(Vec::new());
        }
        self.has_begun = true;
        self.tenant = self.http.app.renew(&self.tenant).await?;
        let Self { http, tenant, collection, request, reading, ahead, .. } = self;
        let mut storing = pin!(http.app.insert_documents(tenant, collection, documents, request.as_ref()));
        loop {
            tokio::select! {
                biased;
                outcomes = &mut storing => return outcomes,
                (reader, batch) = read(reading), if ahead.is_none() => {
                    *reading = reader.after(&batch);
                    *ahead = Some(batch);
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
            LineOutcome::Refused(error) => write_line(&RefusedLine::of(line, error), out),
            _ if self.outcomes == Outcomes::Refused => {}
            LineOutcome::Inserted(document) => write_inserted(line, document, "", out),
            LineOutcome::Repeated(document) => write_inserted(line, document, ",\"repeated\":true", out),
        }
    }
}

/// An [`InsertedLine`], straight into bytes: `serde_json` would round an `_id`.
fn write_inserted(line: u64, document: &StoredDocument, more: &str, out: &mut Vec<u8>) {
    out.extend(format!("{{\"line\":{line},\"status\":201,\"id\":").as_bytes());
    match document.id() {
        Some(id) => id.write_json(out),
        None => out.extend(b"null"),
    }
    out.extend(format!(",\"revision\":\"{}\"{more}}}\n", document.revision).as_bytes());
}

fn write_line(line: &impl Serialize, out: &mut Vec<u8>) {
    // Plain text and numbers: that cannot fail.
    let _ = serde_json::to_writer(&mut *out, line);
    out.push(b'\n');
}
