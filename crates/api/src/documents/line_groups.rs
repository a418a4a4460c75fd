//! Reads the lines of a body in groups that are stored and answered together, within the memory budget.
//!
//! # Pitfalls
//! A group ends early where there is no room for the next line: storing it makes room. Only a reader that has nothing to
//! store waits for room, and that wait does not count against the sender.

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
use tenantry_documents::document::{NewDocument, diagnosis};
use tenantry_domain::app::documents::LineOutcome;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::limits::{INSERT_MAX_BYTES, INSERT_MAX_DOCUMENTS};
use tenantry_domain::{Error, ErrorCode, Result, offload};
use tokio::time::Instant;

/// How long a group with lines in it waits for more: some clients wait for a response before they send the next line.
const GROUP_DELAY: Duration = Duration::from_millis(5);
/// A line that grows beyond this reserves as much as the longest line may need.
const SHORT_LINE_BYTES: usize = 32 << 10;
/// The most bytes of a body that arrive at once.
const PIECE_BYTES: usize = 16 << 10;
/// Bytes that a line counts for in addition to its document.
const LINE_BYTES: usize = 256;

/// Lines that are stored and answered together.
pub(super) struct LineGroup {
    /// The number of the first line.
    pub(super) first: u64,
    /// The number after that of the last line.
    pub(super) next: u64,
    /// The lines with a document in them.
    pub(super) documents: Vec<(u64, NewDocument)>,
    bytes: usize,
    /// The lines that have already been refused.
    pub(super) refused: Vec<(u64, LineOutcome)>,
    /// How the body ended, if this is the last group.
    pub(super) end: Option<Result<()>>,
    /// The memory reserved for it.
    pub(super) held: Reservation,
    /// Whether to store it before waiting for more of the body.
    ends_early: bool,
}

impl LineGroup {
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
        // The line is in memory already. Without room, the group ends with it.
        if !self.held.try_grow(bytes) {
            self.held.force_grow(bytes);
            self.ends_early = true;
        }
    }
}

/// Reads groups.
pub(super) struct LineGroupReader {
    lines: NdjsonLines,
    /// How long the body may pause, and how long a line may take to arrive.
    patience: Duration,
    /// How long the first group may still take to arrive; `None` once it has.
    first: Option<Duration>,
    max_line_bytes: usize,
    max_document_bytes: usize,
    budget: Arc<BodyBudget>,
    organization: OrganizationId,
    /// The memory reserved for the line that is arriving.
    held: Reservation,
    /// Whether the body says that it is JSON, and so must be an array.
    is_json: bool,
}

/// A group that is being read, and the reader for the next one.
pub(super) type LineGroupFuture = BoxFuture<'static, (LineGroupReader, LineGroup)>;

impl LineGroupReader {
    pub(super) fn new(http: &Http, organization: OrganizationId, body: Body, is_json: bool) -> Self {
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
            is_json,
        }
    }

    pub(super) async fn group(mut self) -> (Self, LineGroup) {
        let mut group = LineGroup::new(self.lines.read() + 1, self.budget.reserve(self.organization));
        while group.end.is_none() && !self.fill(&mut group).await {
            match self.make_room(&group).await {
                Ok(true) => self.read_on(&mut group).await,
                Ok(false) => break,
                Err(error) => group.end = Some(Err(error)),
            }
        }
        self.first = None;
        self.give_back();
        group.next = self.lines.read() + 1;
        (self, group)
    }

    fn is_short(&self) -> bool {
        self.lines.begun() + PIECE_BYTES <= SHORT_LINE_BYTES
    }

    /// Frees the reservation of a long line that has ended.
    fn give_back(&mut self) {
        if self.is_short() {
            self.held.shrink(SHORT_LINE_BYTES);
        }
    }

    /// Reserves room for the next piece of the body. Returns `false` if the group should be stored first.
    async fn make_room(&mut self, group: &LineGroup) -> Result<bool> {
        let is_short = self.is_short();
        let needed = if is_short { SHORT_LINE_BYTES } else { self.max_line_bytes.max(SHORT_LINE_BYTES) };
        self.give_back();
        if !self.held.try_grow(needed) {
            if !group.is_empty() {
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
    async fn read_on(&mut self, group: &mut LineGroup) {
        let wait = match (group.is_empty(), self.first) {
            (false, _) => GROUP_DELAY,
            (true, None) => self.patience,
            (true, Some(left)) => left,
        };
        let began = Instant::now();
        let arrival = self.lines.arrive(wait).await;
        self.first = self.first.map(|left| left.saturating_sub(began.elapsed()));
        match arrival {
            LineArrival::More if group.is_empty() && self.first == Some(Duration::ZERO) => {
                group.end = Some(Err(error_codes::REQUEST_TIMEOUT.into()));
            }
            LineArrival::More => {}
            LineArrival::Nothing | LineArrival::TooSlow if !group.is_empty() => group.ends_early = true,
            LineArrival::Nothing => group.end = Some(Err(error_codes::REQUEST_TIMEOUT.into())),
            LineArrival::TooSlow => group.end = Some(Err(too_slow(self.patience))),
            LineArrival::Broken(None) => group.end = Some(Err(cut_off())),
            LineArrival::Broken(Some(fault)) => group.end = Some(Err(fault.refusal(ErrorCode::InvalidJson))),
            LineArrival::End => {
                if let Some(line) = self.lines.last() {
                    self.add(line, group).await;
                }
                group.end.get_or_insert(Ok(()));
            }
        }
    }

    /// Takes the lines that have arrived, and returns whether the group is full.
    async fn fill(&mut self, group: &mut LineGroup) -> bool {
        while !group.is_full() && group.end.is_none() {
            let Some(line) = self.lines.next() else { return false };
            self.add(line, group).await;
        }
        true
    }

    async fn add(&mut self, line: NdjsonLine, group: &mut LineGroup) {
        if let Some(error) = self.not_documents(&line) {
            group.end = Some(Err(error));
            return;
        }
        let number = line.number;
        match self.parse(line).await {
            Ok(None) => {}
            Ok(Some(document)) => group.add(number, Ok(document)),
            Err(error) => group.add(number, Err(error)),
        }
    }

    /// The document in a line; `None` if it is empty.
    async fn parse(&mut self, line: NdjsonLine) -> Result<Option<NewDocument>> {
        let text = line.text.ok_or_else(|| {
            let most = self.max_line_bytes;
            Error::new(error_codes::BODY_TOO_LARGE).detail(format!("The line may have at most {most} bytes."))
        })?;
        let text = text.slice_ref(diagnosis::without_mark(&text));
        if text.trim_ascii().is_empty() {
            return Ok(None);
        }
        let (text_bytes, max_bytes) = (text.len(), self.max_document_bytes);
        let parse = move || {
            let text = std::str::from_utf8(&text).map_err(|_| {
                let what = diagnosis::not_utf8(&text).explain("JSON in UTF-8");
                Error::new(ErrorCode::InvalidJson).detail(format!("The line {what}"))
            })?;
            Ok(Some(NewDocument::parse(text, max_bytes)?))
        };
        // Yields to other tasks on this thread every few hundred kibibytes, even if the body arrives faster.
        for _ in 0..=text_bytes >> 10 {
            tokio::task::coop::consume_budget().await;
        }
        offload::by_size(text_bytes, parse).await?
    }

    /// The refusal of the whole body, if its first `line` shows that no line of it can be a document.
    fn not_documents(&self, line: &NdjsonLine) -> Option<Error> {
        if line.number > 1 || self.lines.is_array() {
            return None;
        }
        let expected = if self.is_json { "a JSON array of documents" } else { "one JSON object to a line" };
        let found = line.text.as_ref().and_then(|text| diagnosis::recognize_lines(text));
        let detail = match found {
            Some(what) => format!("The body {}", what.explain(expected)),
            None if self.is_json => "The body must be a JSON array of documents. For a document to each line, send \
                                     `Content-Type: application/x-ndjson`; for one document, use `POST …/documents`."
                .to_owned(),
            None => return None,
        };
        Some(Error::new(ErrorCode::InvalidJson).detail(detail))
    }

    /// Starts reading the next group, unless `group` is the last one.
    pub(super) fn after(self, group: &LineGroup) -> Option<LineGroupFuture> {
        group.end.is_none().then(|| self.group().boxed())
    }
}

/// Waits for the group that is being read; never completes if there is none.
pub(super) async fn read(reading: &mut Option<LineGroupFuture>) -> (LineGroupReader, LineGroup) {
    match reading {
        Some(reading) => reading.await,
        None => pending().await,
    }
}
