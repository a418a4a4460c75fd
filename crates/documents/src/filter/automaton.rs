//! Patterns as automata: their cost before they are compiled, and a search that counts its own cost.
//!
//! The states of a pattern are counted from its parsed form, without expanding repetitions, so a pattern that
//! is too large costs no more than a short one to refuse. The first search compiles it, not the parsing of a
//! filter: searches run on a blocking thread unless they are known to be short. A search uses a lazy DFA,
//! byte by byte. A byte nearly always costs one step; if the DFA has to be extended, it costs a small
//! multiple of the pattern's states, for any text and pattern. The `regex` crate does the same, but without a
//! limit.
//!
//! # Pitfalls
//! A lazy DFA knows no Unicode word boundaries. The patterns here have only ASCII ones, `(?-u:\b)`.

use crate::fuel::{Fuel, Interruption};
use regex_automata::Input;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::start;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind};
use regex_syntax::utf8::Utf8Sequences;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};

/// The cost of compiling a state.
const COMPILED_STATE: u64 = 200;
/// The cost of extending the DFA, and what each state of the pattern adds to it.
const CONTINUED: u64 = 500;
const CONTINUED_STATE: u64 = 8;
/// Bytes that are searched between two payments.
const CHUNK: usize = 4096;
/// Bytes of memory that a lazy DFA may take, and what each state of the pattern adds; it always gets what it needs for a
/// few of its states.
const CACHE_BYTES: usize = 32 << 10;
const CACHE_STATE_BYTES: usize = 100;

/// A searchable pattern.
#[derive(Debug, Clone)]
pub struct Automaton {
    hir: Arc<Hir>,
    states: usize,
    compiled: Arc<OnceLock<Option<Compiled>>>,
}

#[derive(Debug)]
struct Compiled {
    dfa: DFA,
    /// The part of the DFA that the last search has built. A concurrent search builds its own.
    cache: Mutex<Option<Cache>>,
}

impl Automaton {
    /// Takes a pattern in the syntax of `parser`.
    ///
    /// # Errors
    /// A sentence that says why it is not allowed.
    pub fn parse(pattern: &str, parser: &ParserBuilder) -> Result<Self, String> {
        let hir = parser.build().parse(pattern).map_err(|_| "The pattern is not allowed.".to_owned())?;
        // The start, the loop that lets a search begin anywhere, the match, and the transitions between them.
        let states = states(&hir).saturating_add(8);
        Ok(Self { hir: Arc::new(hir), states, compiled: Arc::default() })
    }

    /// How many states it has when compiled, at most.
    pub const fn states(&self) -> usize {
        self.states
    }

    /// Whether it matches anywhere in `text`.
    ///
    /// # Errors
    /// There is not enough fuel to find out.
    pub fn is_match(&self, text: &str, fuel: &Fuel<'_>) -> Result<bool, Interruption> {
        let compiled = self.compile(fuel)?;
        let mut cache = compiled.take_cache();
        let found =
            Search { dfa: &compiled.dfa, states: self.states as u64, cache: &mut cache, fuel }.run(text);
        compiled.give_back(cache);
        found
    }

    fn compile(&self, fuel: &Fuel<'_>) -> Result<&Compiled, Interruption> {
        if self.compiled.get().is_none() {
            fuel.spend(COMPILED_STATE * self.states as u64)?;
        }
        let compiled = self.compiled.get_or_init(|| Compiled::new(&self.hir, self.states));
        compiled.as_ref().ok_or(Interruption::BadPattern)
    }
}

impl Compiled {
    fn new(hir: &Hir, states: usize) -> Option<Self> {
        let config = thompson::Config::new().which_captures(WhichCaptures::None);
        let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir).ok()?;
        let config = DFA::config()
            .cache_capacity(CACHE_BYTES + CACHE_STATE_BYTES * states)
            .skip_cache_capacity_check(true);
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa).ok()?;
        Some(Self { dfa, cache: Mutex::default() })
    }

    fn take_cache(&self) -> Cache {
        let kept = match self.cache.try_lock() {
            Ok(mut kept) => kept.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        kept.unwrap_or_else(|| self.dfa.create_cache())
    }

    fn give_back(&self, cache: Cache) {
        *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = Some(cache);
    }
}

/// A search of one text.
struct Search<'a> {
    dfa: &'a DFA,
    states: u64,
    cache: &'a mut Cache,
    fuel: &'a Fuel<'a>,
}

impl Search<'_> {
    fn run(mut self, text: &str) -> Result<bool, Interruption> {
        let known = self.cache.memory_usage();
        let start = start::Config::from_input_forward(&Input::new(text));
        let mut state = self.dfa.start_state(self.cache, &start).map_err(|_| Interruption::BadPattern)?;
        self.pay_if_more_than(known)?;
        for chunk in text.as_bytes().chunks(CHUNK) {
            self.fuel.spend(chunk.len() as u64)?;
            for byte in chunk {
                state = self.step(state, *byte)?;
                if state.is_tagged() {
                    // A match is known one byte later.
                    if state.is_match() {
                        return Ok(true);
                    }
                    if state.is_dead() {
                        return Ok(false);
                    }
                }
            }
        }
        let known = self.cache.memory_usage();
        let last = self.dfa.next_eoi_state(self.cache, state).map_err(|_| Interruption::BadPattern)?;
        self.pay_if_more_than(known)?;
        Ok(last.is_match())
    }

    #[inline]
    fn step(&mut self, from: LazyStateID, byte: u8) -> Result<LazyStateID, Interruption> {
        if !from.is_tagged() {
            let next = self.dfa.next_state_untagged(self.cache, from, byte);
            if !next.is_unknown() {
                return Ok(next);
            }
        }
        self.pay_for_continuing()?;
        self.dfa.next_state(self.cache, from, byte).map_err(|_| Interruption::BadPattern)
    }

    /// At the two ends of a text it is unknown whether the DFA has to be extended.
    fn pay_if_more_than(&self, known: usize) -> Result<(), Interruption> {
        if self.cache.memory_usage() == known { Ok(()) } else { self.pay_for_continuing() }
    }

    fn pay_for_continuing(&self) -> Result<(), Interruption> {
        self.fuel.spend(CONTINUED + CONTINUED_STATE * self.states)
    }
}

/// How many states `hir` has when compiled, at most.
fn states(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Bytes(_)) => 1,
        HirKind::Class(Class::Unicode(class)) => states_of_class(class),
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Repetition(repetition) => {
            let (each, least) = (states(&repetition.sub), repetition.min as usize);
            let most = repetition.max.map_or(least, |most| most as usize);
            // Each round that may be left out has a state for leaving it out.
            let optional = most.saturating_sub(least).saturating_mul(each.saturating_add(1));
            each.saturating_mul(least.max(1)).saturating_add(optional).saturating_add(3)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(states).fold(2, usize::saturating_add)
        }
    }
}

/// One state for all characters of one byte; for longer ones, one for each end that their bytes have in common.
fn states_of_class(class: &ClassUnicode) -> usize {
    if class.is_ascii() {
        return 1;
    }
    // As the bytes from and up to which each range goes.
    let mut ends: HashSet<Vec<(u8, u8)>> = HashSet::new();
    for range in class.ranges() {
        for sequence in Utf8Sequences::new(range.start(), range.end()) {
            let bytes: Vec<_> = sequence.as_slice().iter().map(|range| (range.start, range.end)).collect();
            ends.extend((1..bytes.len()).map(|from| bytes[from..].to_vec()));
        }
    }
    ends.len() + 2
}

#[cfg(test)]
mod tests;
