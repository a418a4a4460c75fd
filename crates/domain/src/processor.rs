//! Processor time for long queries: only as many run at once as leave a core for everything else.
//!
//! There are many threads and few cores: with thirty running queries on two cores, a request of a millisecond
//! would have to wait among them. Every few milliseconds a query gives way to one that has run less, so a new
//! query waits no longer than that, regardless of the number of long ones.
//!
//! # Pitfalls
//! A waiting query holds a thread, a connection and perhaps a snapshot. Its wait counts against its own time
//! limit.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tenantry_documents::fuel::Interruption;

/// How long a query runs before it gives way to others.
const QUANTUM: Duration = Duration::from_millis(5);
/// How often a waiting query checks whether it has to stop.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// One grant in this many goes to the query that has waited longest, so that long queries finish too.
const OLDEST_EVERY: u64 = 4;

/// The share of the processor that long queries may use.
pub struct Processor {
    /// Queries that run at once.
    slots: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    /// In the order in which they came.
    waiting: Vec<Arc<Waiter>>,
    /// The number of grants so far.
    granted: u64,
}

struct Waiter {
    thread: Thread,
    /// How long it has run so far.
    has_run: Duration,
    is_granted: AtomicBool,
}

impl Default for Processor {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::new(cores.saturating_sub(1))
    }
}

impl Processor {
    fn new(slots: usize) -> Self {
        Self { slots: slots.max(1), state: Mutex::default() }
    }

    /// Waits until a query may run, unless `must_stop` refuses first. Blocks.
    pub fn enter(&self, must_stop: &dyn Fn() -> Result<(), Interruption>) -> Result<Slot<'_>, Interruption> {
        self.acquire(Duration::ZERO, must_stop)?;
        Ok(Slot {
            processor: self,
            is_held: Cell::new(true),
            has_run: Cell::new(Duration::ZERO),
            since: Cell::new(Instant::now()),
        })
    }

    fn acquire(
        &self,
        has_run: Duration,
        must_stop: &dyn Fn() -> Result<(), Interruption>,
    ) -> Result<(), Interruption> {
        let waiter = {
            let mut state = self.lock();
            if state.running < self.slots && state.waiting.is_empty() {
                state.running += 1;
                return Ok(());
            }
            let is_granted = AtomicBool::new(false);
            let waiter = Arc::new(Waiter { thread: thread::current(), has_run, is_granted });
            state.waiting.push(waiter.clone());
            waiter
        };
        loop {
            if waiter.is_granted.load(Ordering::Acquire) {
                return Ok(());
            }
            thread::park_timeout(CHECK_INTERVAL);
            let Err(stopped) = must_stop() else { continue };
            let mut state = self.lock();
            state.waiting.retain(|other| !Arc::ptr_eq(other, &waiter));
            if waiter.is_granted.load(Ordering::Acquire) {
                self.release(&mut state);
            }
            return Err(stopped);
        }
    }

    fn release(&self, state: &mut State) {
        state.running -= 1;
        if let Some(next) = state.next().filter(|_| state.running < self.slots) {
            let next = state.waiting.remove(next);
            state.running += 1;
            state.granted += 1;
            next.is_granted.store(true, Ordering::Release);
            next.thread.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next query to run: usually the one that has run least.
    fn next(&self) -> Option<usize> {
        if self.granted % OLDEST_EVERY == OLDEST_EVERY - 1 {
            return (!self.waiting.is_empty()).then_some(0);
        }
        (0..self.waiting.len()).min_by_key(|place| self.waiting[*place].has_run)
    }
}

/// The right to run, until it is dropped.
pub struct Slot<'a> {
    processor: &'a Processor,
    is_held: Cell<bool>,
    has_run: Cell<Duration>,
    since: Cell<Instant>,
}

impl Slot<'_> {
    /// Lets other queries run, if any wait and this one has run for a while. Blocks until its next turn.
    ///
    /// # Errors
    /// The query has to stop.
    pub fn give_way(&self, must_stop: &dyn Fn() -> Result<(), Interruption>) -> Result<(), Interruption> {
        let ran = self.since.get().elapsed();
        if ran < QUANTUM {
            return Ok(());
        }
        self.has_run.set(self.has_run.get() + ran);
        {
            let mut state = self.processor.lock();
            if state.waiting.is_empty() {
                self.since.set(Instant::now());
                return Ok(());
            }
            self.is_held.set(false);
            self.processor.release(&mut state);
        }
        self.processor.acquire(self.has_run.get(), must_stop)?;
        self.is_held.set(true);
        self.since.set(Instant::now());
        Ok(())
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if self.is_held.get() {
            self.processor.release(&mut self.processor.lock());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn go_on() -> Result<(), Interruption> {
        Ok(())
    }

    #[test]
    fn processor_runs_at_most_its_slots_at_once() {
        let processor = Processor::new(2);
        let held = [processor.enter(&go_on).unwrap(), processor.enter(&go_on).unwrap()];
        let refused = processor.enter(&|| Err(Interruption::Closing)).map(|_| ());
        assert_eq!(refused, Err(Interruption::Closing));
        drop(held);
        drop(processor.enter(&go_on).unwrap());
        let state = processor.lock();
        assert!(state.running == 0 && state.waiting.is_empty());
    }

    #[test]
    fn processor_long_query_gives_way_to_new_one() {
        let processor = Processor::new(1);
        let long = processor.enter(&go_on).unwrap();
        let (began, beginning) = channel();
        thread::scope(|scope| {
            let processor = &processor;
            scope.spawn(move || {
                let short = processor.enter(&go_on).unwrap();
                began.send(()).unwrap();
                drop(short);
            });
            while beginning.try_recv().is_err() {
                long.give_way(&go_on).unwrap();
                thread::yield_now();
            }
        });
        assert!(long.is_held.get());
        drop(long);
        assert_eq!(processor.lock().running, 0);
    }

    #[test]
    fn processor_picks_least_served_waiter_and_at_times_oldest() {
        let waiter = |milliseconds| {
            let has_run = Duration::from_millis(milliseconds);
            Arc::new(Waiter { thread: thread::current(), has_run, is_granted: AtomicBool::new(false) })
        };
        let mut state = State { waiting: vec![waiter(9), waiter(5), waiter(7)], ..State::default() };
        assert_eq!(state.next(), Some(1));
        state.granted = OLDEST_EVERY - 1;
        assert_eq!(state.next(), Some(0));
    }
}
