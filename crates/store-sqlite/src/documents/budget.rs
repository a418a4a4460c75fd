//! What a query may spend: time, and on a thread that serves others, too, hardly any.
//!
//! # Pitfalls
//! A query that begins on an async thread restarts elsewhere when its budget is spent. What it costs until then is
//! lost, and what it costs after that is not bounded by anything here but its time.

use crate::containers::closing::Closing;
use std::time::{Duration, Instant};
use tenantry_documents::fuel::{Fuel, Interruption};
use tenantry_domain::processor::{Processor, Slot};

/// Steps that a query may take on an async thread: some hundred documents take fewer, if they are in memory, and to hand
/// them to another thread and back takes as long as fifty.
const INLINE_STEPS: u64 = 400_000;
/// How long they may take where the machine is slower than they are meant for, or the documents are not in memory.
const INLINE_TIME: Duration = Duration::from_micros(500);

/// What a query may spend.
#[derive(Clone, Copy)]
pub(super) struct Budget<'a> {
    end: Option<Instant>,
    steps: u64,
    /// Where it has to take turns with others.
    processor: Option<&'a Processor>,
}

impl<'a> Budget<'a> {
    pub(super) fn until_after(time: Duration) -> Self {
        Self { end: Instant::now().checked_add(time), steps: u64::MAX, processor: None }
    }

    /// For a query on an async thread.
    pub(super) fn inline() -> Self {
        Self { steps: INLINE_STEPS, ..Self::until_after(INLINE_TIME) }
    }

    /// The same in turns with other queries.
    pub(super) const fn on(self, processor: &'a Processor) -> Self {
        Self { processor: Some(processor), ..self }
    }

    /// Lets `work` spend it, until what it reads is closed.
    ///
    /// # Errors
    /// That it has to stop before it was its turn.
    pub(super) fn spend<T, E: From<Interruption>>(
        self,
        closing: &Closing,
        work: impl FnOnce(&Fuel<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let is_over = || {
            closing.check()?;
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
