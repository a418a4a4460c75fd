//! The lines of a body in batches: as many as are stored and answered together, and no more memory than there is room for.
//!
//! # Pitfalls
//! A batch ends early where there is no room for the next line: it is stored, which makes room. Only a reader that has
//! nothing to store waits, and the sender's clock stands still meanwhile.

use super::lines::{LineArrival, NdjsonLine, NdjsonLines};
use crate::body_budget::{BodyBudget, Reservation};
use crate::error_codes;
use crate::extract::cut_off;
use crate::http::Http;
use crate::line_clock::too_slow;
use axum::body::Body;
use futures_util::future::{BoxFuture, FutureExt, pending};
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::document::{NewDocument, mistake};
use tenantry_domain::app::documents::LineOutcome;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::limits::{INSERT_MAX_BYTES, INSERT_MAX_DOCUMENTS};
use tenantry_domain::{Error, ErrorCode, Result, offload};
use tokio::time::Instant;

/// How long a batch with lines in it waits for more of them: a client that waits for an answer before going on gets it.
const LINGER: Duration = Duration::from_millis(5);
/// Bytes that are kept of a line before it reserves as many as the longest may have.
const SHORT_LINE_BYTES: usize = 32 << 10;
/// Bytes of a body that arrive at once, at most.
const PIECE_BYTES: usize = 16 << 10;
/// Bytes that a line counts for besides its document.
const LINE_BYTES: usize = 256;

/// Lines that are stored and answered together.
pub(super) struct Batch {
    /// The first of them.
    pub(super) first: u64,
    /// The one after the last of them.
    pub(super) next: u64,
    /// Those with a document in them.
    pub(super) documents: Vec<(u64, NewDocument)>,
    bytes: usize,
    /// Those that are refused already.
    pub(super) refused: Vec<(u64, LineOutcome)>,
    /// Whether it is the last one, and how the body ended.
    pub(super) end: Option<Result<()>>,
    /// Room for it.
    pub(super) held: Reservation,
    /// Whether it is stored before more of the body is waited for.
    ends_early: bool,
}

impl Batch {
    fn new(first: u64, held: Reservation) -> Self {
        Self {
            first,
            next: first,
            documents: Vec::new(),
            bytes: 0,
            refused: Vec::new(),
            end: None,
            held,
            ends_early: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.refused.is_empty()
    }

    fn is_full(&self) -> bool {
        let lines = self.documents.len() + self.refused.len();
        lines >= INSERT_MAX_DOCUMENTS || self.bytes >= INSERT_MAX_BYTES || self.ends_early
    }

    fn add(&mut self, line: u64, document: Result<NewDocument>) {
        match document {
            Ok(document) => {
                self.bytes += document.bytes();
                self.documents.push((line, document));
            }
            Err(error) => self.refused.push((line, LineOutcome::Refused(error))),
        }
        let lines = self.documents.len() + self.refused.len();
        let bytes = self.bytes + LINE_BYTES * lines;
        // It is in memory already. Without room the batch ends with it.
        if !self.held.try_grow(bytes) {
            self.held.force_grow(bytes);
            self.ends_early = true;
        }
    }
}

/// Reads batches.
pub(super) struct BatchReader {
    lines: NdjsonLines,
    /// How long the body may pause, and what a line may take.
    patience: Duration,
    /// How long the first batch may still take to arrive; none once it is there.
    first: Option<Duration>,
    max_line_bytes: usize,
    max_document_bytes: usize,
    budget: Arc<BodyBudget>,
    organization: OrganizationId,
    /// Room for the line that has begun.
    held: Reservation,
}

/// A batch on its way, and who reads on after it.
pub(super) type Reading = BoxFuture<'static, (BatchReader, Batch)>;

impl BatchReader {
    pub(super) fn new(http: &Http, organization: OrganizationId, body: Body) -> Self {
        let (patience, longest) = (http.settings.arrival_timeout(), http.settings.max_document_json_bytes);
        Self {
            lines: NdjsonLines::of(body, longest, patience),
            patience,
            first: Some(patience),
            max_line_bytes: longest,
            max_document_bytes: http.app.policy().document_max_bytes,
            budget: Arc::clone(&http.body_budget),
            organization,
            held: http.body_budget.reserve(organization),
        }
    }

    pub(super) async fn batch(mut self) -> (Self, Batch) {
        let mut batch = Batch::new(self.lines.read() + 1, self.budget.reserve(self.organization));
        while batch.end.is_none() && !self.fill(&mut batch).await {
            match self.make_room(&batch).await {
                Ok(true) => self.read_on(&mut batch).await,
                Ok(false) => break,
                Err(error) => batch.end = Some(Err(error)),
            }
        }
        self.first = None;
        self.give_back();
        batch.next = self.lines.read() + 1;
        (self, batch)
    }

    fn is_short(&self) -> bool {
        self.lines.begun() + PIECE_BYTES <= SHORT_LINE_BYTES
    }

    /// Frees what a long line had reserved that has ended.
    fn give_back(&mut self) {
        if self.is_short() {
            self.held.shrink(SHORT_LINE_BYTES);
        }
    }

    /// Reserves what the next piece of the body may need; not, if the batch should rather be stored first.
    async fn make_room(&mut self, batch: &Batch) -> Result<bool> {
        let is_short = self.is_short();
        let needed = if is_short { SHORT_LINE_BYTES } else { self.max_line_bytes.max(SHORT_LINE_BYTES) };
        self.give_back();
        if !self.held.try_grow(needed) {
            if !batch.is_empty() {
                return Ok(false);
            }
            self.held.grow(needed, self.patience).await?;
        }
        if !is_short {
            self.lines.reserve_longest();
        }
        Ok(true)
    }

    /// Waits for more of the body.
    async fn read_on(&mut self, batch: &mut Batch) {
        let wait = match (batch.is_empty(), self.first) {
            (false, _) => LINGER,
            (true, None) => self.patience,
            (true, Some(left)) => left,
        };
        let began = Instant::now();
        let arrival = self.lines.arrive(wait).await;
        self.first = self.first.map(|left| left.saturating_sub(began.elapsed()));
        match arrival {
            LineArrival::More if batch.is_empty() && self.first == Some(Duration::ZERO) => {
                batch.end = Some(Err(error_codes::REQUEST_TIMEOUT.into()));
            }
            LineArrival::More => {}
            LineArrival::Nothing | LineArrival::TooSlow if !batch.is_empty() => batch.ends_early = true,
            LineArrival::Nothing => batch.end = Some(Err(error_codes::REQUEST_TIMEOUT.into())),
            LineArrival::TooSlow => batch.end = Some(Err(too_slow(self.patience))),
            LineArrival::Broken => batch.end = Some(Err(cut_off())),
            LineArrival::End => {
                if let Some(line) = self.lines.last() {
                    self.add(line, batch).await;
                }
                batch.end.get_or_insert(Ok(()));
            }
        }
    }

    /// Takes the lines that have arrived; whether the batch is full.
    async fn fill(&mut self, batch: &mut Batch) -> bool {
        while !batch.is_full() && batch.end.is_none() {
            let Some(line) = self.lines.next() else { return false };
            self.add(line, batch).await;
        }
        true
    }

    async fn add(&mut self, line: NdjsonLine, batch: &mut Batch) {
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

    /// The document in a line; `None` if it is empty.
    async fn parse(&mut self, line: NdjsonLine) -> Result<Option<NewDocument>> {
        let text = line.text.ok_or_else(|| {
            let most = self.max_line_bytes;
            Error::new(error_codes::BODY_TOO_LARGE).detail(format!("The line may have at most {most} bytes."))
        })?;
        let text = text.slice_ref(mistake::without_mark(&text));
        if text.trim_ascii().is_empty() {
            return Ok(None);
        }
        let (text_bytes, max_bytes) = (text.len(), self.max_document_bytes);
        let parse = move || {
            let text = std::str::from_utf8(&text).map_err(|_| {
                let what = mistake::not_utf8(&text).explain("JSON in UTF-8");
                Error::new(ErrorCode::InvalidJson).detail(format!("The line {what}"))
            })?;
            Ok(Some(NewDocument::parse(text, max_bytes)?))
        };
        // The others on this thread have their turn after some hundred kibibytes, however quickly they arrive.
        for _ in 0..=text_bytes >> 10 {
            tokio::task::coop::consume_budget().await;
        }
        offload::by_size(text_bytes, parse).await?
    }

    /// Reads on, unless `batch` is the last one.
    pub(super) fn after(self, batch: &Batch) -> Option<Reading> {
        batch.end.is_none().then(|| self.batch().boxed())
    }
}

/// The refusal of a whole body of which the first line is `line`, if it is a file in which no line can be a document.
fn not_lines(line: &NdjsonLine) -> Option<Error> {
    let text = line.text.as_ref().filter(|_| line.number == 1)?;
    let what = mistake::recognize_lines(text)?.explain("one JSON object to a line");
    Some(Error::new(ErrorCode::InvalidJson).detail(format!("The body {what}")))
}

/// The batch that is being read; never, where none is.
pub(super) async fn read(reading: &mut Option<Reading>) -> (BatchReader, Batch) {
    match reading {
        Some(reading) => reading.await,
        None => pending().await,
    }
}
