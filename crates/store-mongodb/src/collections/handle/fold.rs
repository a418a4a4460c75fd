//! Reads that keep one result of all documents: each document is handed to a [`DocumentFold`].
//!
//! While a thread of its own works on some documents, the server sends the next ones.
//!
//! # Pitfalls
//! - Where the collection has moved, the read begins again: the fold is made again.
//! - The server's `maxTimeMS` counts only its own time; the time of the work ends the read as well.

use super::{CollectionHandle, MAX_ATTEMPTS};
use crate::collections::command::Command;
use crate::engine_error::EngineResult;
use bson::{RawDocument, RawDocumentBuf};
use mongodb::Cursor;
use mongodb::bson::Document;
use mongodb::options::RunCursorCommandOptions;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenantry_documents::fuel::{Fuel, Interruption};
use tenantry_domain::Error;
use tenantry_domain::offload;
use tenantry_domain::processor::Processor;

/// Documents of a batch of the server; without it, a batch may have 16 MiB.
const SERVER_BATCH: u32 = 4_096;
/// Documents of the first hand-over; each later one has four times as many, up to the maximum.
const FIRST_BATCH: usize = 64;
const MAX_BATCH: usize = 4_096;
/// A hand-over that reaches this many bytes takes no more documents.
const BATCH_BYTES: usize = 1 << 20;

/// What is made of all documents.
pub(crate) trait DocumentFold: Send + 'static {
    /// What there is at the end.
    type Output: Send + 'static;

    /// Takes the next document; returns whether another one may matter.
    fn add(&mut self, document: &RawDocument, fuel: &Fuel<'_>) -> EngineResult<ControlFlow<()>>;

    /// The result, after the last document.
    fn finish(self, fuel: &Fuel<'_>) -> EngineResult<Self::Output>;
}

impl CollectionHandle<'_> {
    /// Runs a command that returns documents, and hands them to the fold that `begin` makes. `query_too_slow` after
    /// `time`.
    pub(crate) async fn fold<F: DocumentFold>(
        &mut self,
        processor: &Arc<Processor>,
        command: &Command,
        time: Duration,
        begin: impl Fn() -> F + Sync,
    ) -> EngineResult<F::Output> {
        let ends = Instant::now() + time;
        for _ in 0..MAX_ATTEMPTS {
            let deadline = ends.saturating_duration_since(Instant::now()) + self.connection().deadline();
            let options = RunCursorCommandOptions::builder().batch_size(SERVER_BATCH).build();
            let run = self.location.database.run_raw_cursor_command(command.timed(&self.location, deadline)?);
            let work = Work { processor: processor.clone(), ends };
            let fold = begin();
            let reading = async {
                let mut cursor = run.with_options(options).await?;
                Ok(read(&mut cursor, fold, &work).await)
            };
            match self.connection().call_within(deadline, reading).await {
                Ok(Ok(output)) => return Ok(output),
                // The server's own refusals come this way, as those of later batches.
                Ok(Err(failure)) | Err(failure) => self.follow(failure).await?,
            }
        }
        Err(Error::unavailable("the collection keeps moving").into())
    }
}

/// Reads all documents, or as many as the fold wants.
async fn read<F: DocumentFold>(
    cursor: &mut Cursor<Document>,
    fold: F,
    work: &Work,
) -> EngineResult<F::Output> {
    let mut count = FIRST_BATCH;
    let (mut batch, mut is_last) = next_batch(cursor, count).await?;
    let mut fold = fold;
    loop {
        count = (count * 4).min(MAX_BATCH);
        let adding = work.add(fold, batch);
        let (added, next) = if is_last {
            (adding.await, None)
        } else {
            let (added, next) = tokio::join!(adding, next_batch(cursor, count));
            (added, Some(next))
        };
        let (kept, flow) = added?;
        fold = kept;
        let Some(next) = next.filter(|_| flow.is_continue()) else { return work.finish(fold).await };
        (batch, is_last) = next?;
    }
}

/// The next batch of about that many documents, and whether it is the last.
async fn next_batch(
    cursor: &mut Cursor<Document>,
    count: usize,
) -> EngineResult<(Vec<RawDocumentBuf>, bool)> {
    let (mut batch, mut bytes) = (Vec::with_capacity(count), 0);
    while batch.len() < count && bytes < BATCH_BYTES {
        if !cursor.advance().await? {
            return Ok((batch, true));
        }
        bytes += cursor.current().as_bytes().len();
        batch.push(cursor.current().to_owned());
    }
    Ok((batch, false))
}

/// Where the work on documents is done, and when it ends.
struct Work {
    processor: Arc<Processor>,
    ends: Instant,
}

impl Work {
    async fn add<F: DocumentFold>(
        &self,
        mut fold: F,
        batch: Vec<RawDocumentBuf>,
    ) -> EngineResult<(F, ControlFlow<()>)> {
        self.spend(move |fuel| {
            for document in batch {
                fuel.begin_document(document.as_bytes().len() as u64).map_err(Error::from)?;
                if fold.add(&document, fuel)?.is_break() {
                    return Ok((fold, ControlFlow::Break(())));
                }
            }
            Ok((fold, ControlFlow::Continue(())))
        })
        .await
    }

    async fn finish<F: DocumentFold>(&self, fold: F) -> EngineResult<F::Output> {
        self.spend(move |fuel| fold.finish(fuel)).await
    }

    /// Does some work on a thread of its own, in turn with that of other queries.
    async fn spend<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Fuel<'_>) -> EngineResult<T> + Send + 'static,
    ) -> EngineResult<T> {
        let (processor, ends) = (self.processor.clone(), self.ends);
        offload::elsewhere(move || {
            let is_over = || if Instant::now() < ends { Ok(()) } else { Err(Interruption::TimeOver) };
            let slot = processor.enter(&is_over).map_err(Error::from)?;
            let must_stop = || slot.give_way(&is_over).and_then(|()| is_over());
            must_stop().map_err(Error::from)?;
            work(&Fuel::new(&must_stop))
        })
        .await?
    }
}
