//! Reads where MongoDB finds more than was asked for: each document is checked here, and the rest is left out.
//!
//! # Pitfalls
//! - A check may take long, so it runs on a thread of its own and delays no other request.
//! - The server's `maxTimeMS` counts only its own time; the time of the checks ends the read as well.

use super::{CollectionHandle, MAX_ATTEMPTS};
use crate::collections::command::{Amount, Command};
use crate::engine_error::EngineResult;
use bson::{RawDocument, RawDocumentBuf};
use mongodb::Cursor;
use mongodb::bson::Document;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenantry_documents::fuel::{Fuel, Interruption};
use tenantry_domain::Error;
use tenantry_domain::offload;
use tenantry_domain::processor::Processor;

/// Converts a document; `None` if it does not match.
pub(crate) type DocumentSelector<T> =
    Arc<dyn Fn(&RawDocument, &Fuel<'_>) -> EngineResult<Option<T>> + Send + Sync>;

/// Documents of the first batch; each later batch has twice as many, up to the maximum.
const FIRST_BATCH: usize = 32;
const MAX_BATCH: usize = 1_024;
/// A batch that reaches this many bytes takes no more documents.
const BATCH_BYTES: usize = 1 << 20;

impl CollectionHandle<'_> {
    /// Runs a command that returns documents. Returns what `selector` selects of them, and whether there are more.
    /// `query_too_slow` after `time`.
    pub(crate) async fn select<T: Send + 'static>(
        &mut self,
        processor: &Arc<Processor>,
        command: &Command,
        amount: Amount,
        time: Duration,
        selector: DocumentSelector<T>,
    ) -> EngineResult<(Vec<T>, bool)> {
        let ends = Instant::now() + time;
        for _ in 0..MAX_ATTEMPTS {
            let deadline = ends.saturating_duration_since(Instant::now()) + self.connection().deadline();
            let run = self.location.database.run_raw_cursor_command(command.timed(&self.location, deadline)?);
            let selector = &selector;
            let reading = async {
                let mut cursor = run.await?;
                let mut selection = Selection { found: Vec::new(), bytes: 0, amount };
                let mut count = FIRST_BATCH;
                loop {
                    let (batch, is_last) = next_batch(&mut cursor, count).await?;
                    match selection.add(batch, selector, processor, ends).await {
                        Ok(true) => return Ok(Ok((selection.found, true))),
                        Ok(false) if is_last => return Ok(Ok((selection.found, false))),
                        Ok(false) => count = (count * 2).min(MAX_BATCH),
                        Err(failure) => return Ok(Err(failure)),
                    }
                }
            };
            match self.connection().call_within(deadline, reading).await {
                Ok(found) => return found,
                Err(failure) => self.follow(failure).await?,
            }
        }
        Err(Error::unavailable("the collection keeps moving").into())
    }
}

/// The next batch of about that many documents, and whether it is the last.
async fn next_batch(
    cursor: &mut Cursor<Document>,
    count: usize,
) -> mongodb::error::Result<(Vec<RawDocumentBuf>, bool)> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < count && bytes < BATCH_BYTES {
        if !cursor.advance().await? {
            return Ok((batch, true));
        }
        bytes += cursor.current().as_bytes().len();
        batch.push(cursor.current().to_owned());
    }
    Ok((batch, false))
}

/// The documents selected so far.
struct Selection<T> {
    found: Vec<T>,
    bytes: usize,
    amount: Amount,
}

impl<T: Send + 'static> Selection<T> {
    /// Checks some documents; returns whether there are more matches than the limit.
    async fn add(
        &mut self,
        batch: Vec<RawDocumentBuf>,
        selector: &DocumentSelector<T>,
        processor: &Arc<Processor>,
        ends: Instant,
    ) -> EngineResult<bool> {
        let (selector, processor) = (selector.clone(), processor.clone());
        let check = move || -> EngineResult<Vec<(T, usize)>> {
            let is_over = || if Instant::now() < ends { Ok(()) } else { Err(Interruption::TimeOver) };
            let slot = processor.enter(&is_over).map_err(Error::from)?;
            let must_stop = || slot.give_way(&is_over).and_then(|()| is_over());
            let (fuel, mut left) = (Fuel::new(&must_stop), Vec::new());
            for document in batch {
                must_stop().map_err(Error::from)?;
                let bytes = document.as_bytes().len();
                fuel.begin_document(bytes as u64).map_err(Error::from)?;
                left.extend(selector(&document, &fuel)?.map(|one| (one, bytes)));
            }
            Ok(left)
        };
        for (one, bytes) in offload::elsewhere(check).await?? {
            if self.found.len() >= self.amount.documents || self.bytes >= self.amount.bytes {
                return Ok(true);
            }
            self.found.push(one);
            self.bytes += bytes;
        }
        Ok(false)
    }
}
