//! The budget of a query: its time limit, and on an async thread only a few steps.
//!
//! # Pitfalls
//! A query that begins on an async thread restarts elsewhere when its budget is spent. The work until then is
//! lost, and after that only its time limit bounds it.

use crate::containers::close_signal::CloseSignal;
use std::time::{Duration, Instant};
use tenantry_documents::fuel::{Fuel, Interruption};
use tenantry_domain::processor::{Processor, Slot};

/// Steps that a query may take on an async thread. Some hundred documents in memory take fewer; handing a
/// query to another thread and back takes as long as fifty documents.
const INLINE_STEPS: u64 = 400_000;
/// How long those steps may take on a slow machine, or if the documents are not in memory.
const INLINE_TIME: Duration = Duration::from_micros(500);

/// The budget of a query.
#[derive(Clone, Copy)]
pub(super) struct Budget<'a> {
    end: Option<Instant>,
    steps: u64,
    /// The processor it shares with other queries, if any.
    processor: Option<&'a Processor>,
}

impl<'a> Budget<'a> {
    pub(super) fn until_after(time: Duration) -> Self {
        Self { end: Instant::now().checked_add(time), steps: u64::MAX, processor: None }
    }

    /// The budget of a query on an async thread.
    pub(super) fn inline() -> Self {
        Self { steps: INLINE_STEPS, ..Self::until_after(INLINE_TIME) }
    }

    /// The same budget, sharing the `processor` with other queries.
    pub(super) const fn on(self, processor: &'a Processor) -> Self {
        Self { processor: Some(processor), ..self }
    }

    /// Lets `work` spend the budget, until the container it reads is closed.
    ///
    /// # Errors
    /// The query was stopped before its turn came.
    pub(super) fn spend<T, E: From<Interruption>>(
        self,
        close_signal: &CloseSignal,
        work: impl FnOnce(&Fuel<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let is_over = || {
            close_signal.check()?;
            match self.end {
                Some(end) if Instant::now() >= end => Err(Interruption::TimeOver),
                _ => Ok(()),
            }
        };
        let slot = self.processor.map(|processor| processor.enter(&is_over)).transpose()?;
        let must_stop = || {
            slot.as_ref().map_or(Ok(()), |slot: &Slot<'_>| slot.give_way(&is_over))?;
            is_over()
        };
        work(&Fuel::new(&must_stop).up_to(self.steps))
    }
}
