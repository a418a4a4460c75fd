//! Fuel: counts the cost of work inside documents while it runs.
//!
//! A unit is about a nanosecond, the time it takes to search one byte of text. Code that follows a path,
//! compares values or searches text spends units before it does the work. Every so often, spending checks
//! whether the work has to stop: because its time is up, because one document has cost enough, or because the
//! container it reads is being closed. So work stops soon after that, even within one document.
//!
//! # Pitfalls
//! Units spent after the work bound nothing: a search of a mebibyte would be over before anything checked.

use crate::error::Error;
use crate::limits::DOCUMENT_MAX_STEPS;
use std::cell::Cell;

/// Units between two checks whether to stop: some hundred microseconds.
const CHECK_INTERVAL: u64 = 1 << 16;

/// The cost of passing a field of a document.
pub const FIELD: u64 = 8;
/// The cost of checking a condition on a value.
pub const VALUE: u64 = 16;

/// The cost of a comparison with a value of that many bytes.
#[must_use]
pub const fn comparison(bytes: usize) -> u64 {
    16 + bytes as u64 / 2
}

/// Why work stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// Its time is over.
    TimeOver,
    /// One document costs more than [`DOCUMENT_MAX_STEPS`].
    DocumentTooDear,
    /// Its budget is spent.
    BudgetSpent,
    /// The container it reads is being closed.
    Closing,
    /// A pattern that was accepted cannot be compiled: a defect.
    BadPattern,
}

impl From<Interruption> for Error {
    fn from(stopped: Interruption) -> Self {
        match stopped {
            Interruption::TimeOver | Interruption::BudgetSpent => Self::TimedOut,
            Interruption::DocumentTooDear => Self::TooCostly(format!(
                "The query takes more than {DOCUMENT_MAX_STEPS} steps for a single document: ask for fewer conditions, \
                 simpler patterns or shorter paths."
            )),
            Interruption::Closing => Self::Closing,
            Interruption::BadPattern => Self::internal("a pattern that was accepted cannot be compiled"),
        }
    }
}

/// The budget of some work, and the callback that says when to stop.
pub struct Fuel<'a> {
    spent: Cell<u64>,
    /// The amount at which the next check is due.
    next_look: Cell<u64>,
    /// How much was spent when the document began.
    document_start: Cell<u64>,
    /// For all of the work.
    budget: u64,
    /// For each document.
    per_document: u64,
    must_stop: Option<&'a dyn Fn() -> Result<(), Interruption>>,
}

impl<'a> Fuel<'a> {
    /// Fuel for work that goes on until `must_stop` refuses, or one document has cost [`DOCUMENT_MAX_STEPS`].
    #[must_use]
    pub fn new(must_stop: &'a dyn Fn() -> Result<(), Interruption>) -> Self {
        Self::with(u64::MAX, DOCUMENT_MAX_STEPS, Some(must_stop))
    }

    /// Fuel for one document.
    #[must_use]
    pub const fn for_document() -> Fuel<'static> {
        Fuel::with(u64::MAX, DOCUMENT_MAX_STEPS, None)
    }

    /// Unlimited fuel, for work that nobody waits for.
    #[must_use]
    pub const fn unlimited() -> Fuel<'static> {
        Fuel::with(u64::MAX, u64::MAX, None)
    }

    /// The same fuel, but no more of it than `budget` units.
    #[must_use]
    pub fn up_to(self, budget: u64) -> Self {
        self.next_look.set(self.next_look.get().min(budget));
        Self { budget, ..self }
    }

    const fn with(
        budget: u64,
        per_document: u64,
        must_stop: Option<&'a dyn Fn() -> Result<(), Interruption>>,
    ) -> Self {
        Self {
            spent: Cell::new(0),
            next_look: Cell::new(CHECK_INTERVAL),
            document_start: Cell::new(0),
            budget,
            per_document,
            must_stop,
        }
    }

    /// Units that were spent so far.
    #[must_use]
    pub const fn spent(&self) -> u64 {
        self.spent.get()
    }

    /// Spends `units` on the next piece of work.
    ///
    /// # Errors
    /// The work has to stop instead.
    #[inline]
    pub fn spend(&self, units: u64) -> Result<(), Interruption> {
        let spent = self.spent.get().saturating_add(units);
        self.spent.set(spent);
        if spent < self.next_look.get() { Ok(()) } else { self.look() }
    }

    /// Begins the next document, and spends `units` on reading it.
    ///
    /// # Errors
    /// As [`Self::spend`].
    pub fn begin_document(&self, units: u64) -> Result<(), Interruption> {
        self.document_start.set(self.spent.get());
        self.spend(units)
    }

    /// Checks whether the work has to stop, however little was spent.
    ///
    /// # Errors
    /// It has to stop.
    #[cold]
    pub fn look(&self) -> Result<(), Interruption> {
        let spent = self.spent.get();
        if spent - self.document_start.get() > self.per_document {
            return Err(Interruption::DocumentTooDear);
        }
        if spent > self.budget {
            return Err(Interruption::BudgetSpent);
        }
        self.must_stop.map_or(Ok(()), |must_stop| must_stop())?;
        // The next check is due before either bound is exceeded.
        let document_end = self.document_start.get().saturating_add(self.per_document);
        let end = document_end.min(self.budget).saturating_add(1);
        self.next_look.set(spent.saturating_add(CHECK_INTERVAL).min(end));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuel_checks_whether_to_stop_at_intervals() {
        let looks = Cell::new(0);
        let must_stop = || {
            looks.set(looks.get() + 1);
            if looks.get() > 3 { Err(Interruption::TimeOver) } else { Ok(()) }
        };
        let fuel = Fuel::new(&must_stop);
        let stopped = (0..).find_map(|_| fuel.spend(1000).err()).unwrap();
        assert_eq!((stopped, looks.get()), (Interruption::TimeOver, 4));
        assert!((4 * CHECK_INTERVAL..5 * CHECK_INTERVAL).contains(&fuel.spent()));
    }

    #[test]
    fn fuel_ends_at_its_budget_or_at_a_costly_document() {
        let fuel = Fuel::unlimited().up_to(100);
        assert_eq!(fuel.spend(100), Ok(()));
        assert_eq!(fuel.spend(1), Err(Interruption::BudgetSpent));
        let fuel = Fuel::for_document();
        for _ in 0..3 {
            fuel.begin_document(DOCUMENT_MAX_STEPS / 2).unwrap();
        }
        assert_eq!(fuel.spend(DOCUMENT_MAX_STEPS), Err(Interruption::DocumentTooDear));
        assert!(matches!(Error::from(Interruption::DocumentTooDear), Error::TooCostly(_)));
    }
}
