//! Runs an aggregate: takes one document after another, and has the result at the end.
//!
//! Stages that need one document hand it on at once; `$group` and `$sort` keep what they need until the last one. All that
//! is kept is counted ([`Memory`]), and every step takes fuel.

use super::aggregation::Aggregation;
use super::build::count_document;
use super::distinct::DistinctValues;
use super::group::Groups;
use super::memory::Memory;
use super::order::SortedDocuments;
use super::pipeline::Pipeline;
use super::project::Projector;
use super::source::limit;
use super::syntax::{ProjectMode, Stage, StageKind};
use crate::error::{Error, Result};
use crate::fuel::Fuel;
use crate::limits::{AGGREGATE_MAX_RESULTS, AGGREGATE_RESULTS_MAX_BYTES};
use bson::RawDocument;
use bson::raw::RawBson;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Bytes of a result beyond its own.
const RESULT_BYTES: usize = 64;

/// An aggregate that is being computed.
#[derive(Debug)]
pub struct AggregationRun {
    aggregation: Arc<Aggregation>,
    states: Vec<StageState>,
    values: DistinctValues,
    results: Results,
    memory: Memory,
}

/// What a stage keeps.
#[derive(Debug)]
enum StageState {
    /// Nothing.
    Passes,
    /// How many documents have come.
    Counts(u64),
    Groups(Groups),
    Sorts(SortedDocuments),
}

impl StageState {
    fn new(stages: &[Stage], place: usize) -> Self {
        match &stages[place].kind {
            StageKind::Limit(_) | StageKind::Skip(_) | StageKind::Count(_) => Self::Counts(0),
            StageKind::Group(_) => Self::Groups(Groups::default()),
            StageKind::Sort(keys) => Self::Sorts(SortedDocuments::new(keys, limit(&stages[place + 1..]))),
            _ => Self::Passes,
        }
    }
}

/// The documents that have come out at the end.
#[derive(Debug, Default)]
struct Results {
    items: Vec<RawBson>,
    bytes: usize,
}

impl AggregationRun {
    /// Begins.
    #[must_use]
    pub fn new(aggregation: Arc<Aggregation>) -> Self {
        let states = match &*aggregation {
            Aggregation::Pipeline(Pipeline { stages, .. }) => {
                (0..stages.len()).map(|place| StageState::new(stages, place)).collect()
            }
            Aggregation::Distinct(_) => Vec::new(),
        };
        Self {
            aggregation,
            states,
            values: DistinctValues::default(),
            results: Results::default(),
            memory: Memory::default(),
        }
    }

    /// Bytes that it holds.
    #[cfg(test)]
    pub(super) const fn held_bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Takes the next document of the source, which matches its filter. Returns whether another one may matter.
    ///
    /// # Errors
    /// `invalid_input` at the stage or operator that has no result for it, or that would keep too much; what fuel says.
    pub fn add(&mut self, document: &RawDocument, fuel: &Fuel<'_>) -> Result<ControlFlow<()>> {
        match &*self.aggregation {
            Aggregation::Pipeline(pipeline) => {
                let mut context = RunContext { memory: &mut self.memory, results: &mut self.results, fuel };
                context.push(&pipeline.stages, &mut self.states, document)
            }
            Aggregation::Distinct(distinct) => {
                self.values.add(distinct, document, &mut self.memory, fuel)?;
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    /// The result, after the last document.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn finish(mut self, fuel: &Fuel<'_>) -> Result<Vec<RawBson>> {
        if let Aggregation::Pipeline(pipeline) = &*self.aggregation {
            let mut context = RunContext { memory: &mut self.memory, results: &mut self.results, fuel };
            context.finish(&pipeline.stages, self.states)?;
            return Ok(self.results.items);
        }
        Ok(self.values.finish())
    }
}

/// What all stages share.
struct RunContext<'a> {
    memory: &'a mut Memory,
    results: &'a mut Results,
    fuel: &'a Fuel<'a>,
}

impl RunContext<'_> {
    /// Hands a document to the first of `stages`. Returns whether it wants another.
    fn push(
        &mut self,
        stages: &[Stage],
        states: &mut [StageState],
        document: &RawDocument,
    ) -> Result<ControlFlow<()>> {
        let (Some((stage, next)), Some((state, next_states))) =
            (stages.split_first(), states.split_first_mut())
        else {
            return self.end(document);
        };
        let fuel = self.fuel;
        let at = &*stage.at;
        match (&stage.kind, state) {
            (StageKind::Match(filter), _) => {
                if filter.evaluate(document, fuel)? {
                    return self.push(next, next_states, document);
                }
            }
            (StageKind::Limit(most), StageState::Counts(count)) => {
                *count += 1;
                let is_last = *count >= *most;
                if *count <= *most && self.push(next, next_states, document)?.is_break() || is_last {
                    return Ok(ControlFlow::Break(()));
                }
            }
            (StageKind::Skip(most), StageState::Counts(count)) => {
                *count += 1;
                if *count > *most {
                    return self.push(next, next_states, document);
                }
            }
            (StageKind::Count(_), StageState::Counts(count)) => *count += 1,
            (StageKind::Group(group), StageState::Groups(groups)) => {
                groups.add(group, document, self.memory, at, fuel)?;
            }
            (StageKind::Sort(_), StageState::Sorts(sorted)) => sorted.add(document, self.memory, at, fuel)?,
            (StageKind::Unwind(unwind), _) => {
                return unwind.unwind(document, fuel, &mut |made| self.push(next, next_states, made));
            }
            (StageKind::Project(node, mode), _) => {
                let made = Projector { mode: *mode, root: document, at, fuel }.project(node)?;
                return self.push(next, next_states, &made);
            }
            (StageKind::AddFields(node), _) => {
                let made = Projector { mode: ProjectMode::Keep, root: document, at, fuel }.project(node)?;
                return self.push(next, next_states, &made);
            }
            (
                StageKind::Limit(_)
                | StageKind::Skip(_)
                | StageKind::Count(_)
                | StageKind::Group(_)
                | StageKind::Sort(_),
                _,
            ) => {
                return Err(Error::internal("a stage has the state of another"));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes a document that has come out at the end.
    fn end(&mut self, document: &RawDocument) -> Result<ControlFlow<()>> {
        const AT: &str = "/pipeline";
        let bytes = document.as_bytes().len();
        self.results.bytes += bytes;
        let too_many = if self.results.items.len() == AGGREGATE_MAX_RESULTS {
            Some(format!("Has more than {AGGREGATE_MAX_RESULTS} results: end it with a `$limit`."))
        } else if self.results.bytes > AGGREGATE_RESULTS_MAX_BYTES {
            let most = AGGREGATE_RESULTS_MAX_BYTES >> 20;
            Some(format!(
                "Its results come to more than {most} MiB: end it with a `$limit`, or with fewer fields."
            ))
        } else {
            None
        };
        if let Some(detail) = too_many {
            return Err(Error::invalid_field(AT, detail));
        }
        self.memory.take(bytes + RESULT_BYTES, AT)?;
        self.fuel.spend(bytes as u64 / 2)?;
        self.results.items.push(RawBson::Document(document.to_owned()));
        Ok(ControlFlow::Continue(()))
    }

    /// Lets each stage hand on what it has kept.
    fn finish(&mut self, mut stages: &[Stage], states: Vec<StageState>) -> Result<()> {
        let mut states: std::collections::VecDeque<StageState> = states.into();
        while let (Some((stage, next)), Some(state)) = (stages.split_first(), states.pop_front()) {
            let next_states = states.make_contiguous();
            match (&stage.kind, state) {
                (StageKind::Group(group), StageState::Groups(groups)) => {
                    for document in groups.finish(group, &stage.at, self.fuel)? {
                        if self.hand_on(next, next_states, &document?)?.is_break() {
                            break;
                        }
                    }
                }
                (StageKind::Sort(_), StageState::Sorts(sorted)) => {
                    for document in sorted.finish() {
                        if self.hand_on(next, next_states, &document)?.is_break() {
                            break;
                        }
                    }
                }
                (StageKind::Count(name), StageState::Counts(count)) if count > 0 => {
                    let _ = self.hand_on(next, next_states, &count_document(name, count))?;
                }
                _ => {}
            }
            stages = next;
        }
        Ok(())
    }

    fn hand_on(
        &mut self,
        stages: &[Stage],
        states: &mut [StageState],
        document: &RawDocument,
    ) -> Result<ControlFlow<()>> {
        self.fuel.begin_document(document.as_bytes().len() as u64 / 2)?;
        self.push(stages, states, document)
    }
}
