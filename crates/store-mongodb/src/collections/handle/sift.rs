//! Reading where MongoDB finds more than what was asked for: each document is looked at here, and the rest left out.
//!
//! # Pitfalls
//! - A look may take long, so it has a thread of its own and holds up no other request.
//! - The server's `maxTimeMS` counts its own time alone; the time of the looks ends the reading as well.

use super::{CollectionHandle, ROUNDS};
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

/// What a document comes to; `None` if it was not asked for.
pub(crate) type Sieve<T> = Arc<dyn Fn(&RawDocument, &Fuel<'_>) -> EngineResult<Option<T>> + Send + Sync>;

/// Documents of the first look; each later one has twice as many, up to the most.
const FIRST_BATCH: usize = 32;
const MAX_BATCH: usize = 1_024;
/// Bytes after which a look begins with fewer.
const BATCH_BYTES: usize = 1 << 20;

impl CollectionHandle<'_> {
    /// Carries out a command that answers with documents; what `sieve` leaves of them, and whether there are others.
    /// `query_too_slow` after `time`.
    pub(crate) async fn sift<T: Send + 'static>(
        &mut self,
        processor: &Arc<Processor>,
        command: &Command,
        amount: Amount,
        time: Duration,
        sieve: Sieve<T>,
    ) -> EngineResult<(Vec<T>, bool)> {
        let ends = Instant::now() + time;
        for _ in 0..ROUNDS {
            let deadline = ends.saturating_duration_since(Instant::now()) + self.connection().deadline();
            let run = self.location.database.run_raw_cursor_command(command.timed(&self.location, deadline)?);
            let sieve = &sieve;
            let reading = async {
                let mut cursor = run.await?;
                let mut sifted = Sifted { found: Vec::new(), bytes: 0, amount };
                let mut count = FIRST_BATCH;
                loop {
                    let (batch, is_last) = next_batch(&mut cursor, count).await?;
                    match sifted.add(batch, sieve, processor, ends).await {
                        Ok(true) => return Ok(Ok((sifted.found, true))),
                        Ok(false) if is_last => return Ok(Ok((sifted.found, false))),
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
        Err(Error::unavailable("a collection moves all the time").into())
    }
}

/// The next documents, about so many, and whether they are the last.
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

/// What was left so far.
struct Sifted<T> {
    found: Vec<T>,
    bytes: usize,
    amount: Amount,
}

impl<T: Send + 'static> Sifted<T> {
    /// Looks at some documents; whether there are more than were to be found.
    async fn add(
        &mut self,
        batch: Vec<RawDocumentBuf>,
        sieve: &Sieve<T>,
        processor: &Arc<Processor>,
        ends: Instant,
    ) -> EngineResult<bool> {
        let (sieve, processor) = (sieve.clone(), processor.clone());
        let look = move || -> EngineResult<Vec<(T, usize)>> {
            let is_over = || if Instant::now() < ends { Ok(()) } else { Err(Interruption::TimeOver) };
            let slot = processor.enter(&is_over).map_err(Error::from)?;
            let must_stop = || slot.give_way(&is_over).and_then(|()| is_over());
            let (fuel, mut left) = (Fuel::new(&must_stop), Vec::new());
            for document in batch {
                must_stop().map_err(Error::from)?;
                let bytes = document.as_bytes().len();
                fuel.begin_document(bytes as u64).map_err(Error::from)?;
                left.extend(sieve(&document, &fuel)?.map(|one| (one, bytes)));
            }
            Ok(left)
        };
        for (one, bytes) in offload::elsewhere(look).await?? {
            if self.found.len() >= self.amount.documents || self.bytes >= self.amount.bytes {
                return Ok(true);
            }
            self.found.push(one);
            self.bytes += bytes;
        }
        Ok(false)
    }
}
