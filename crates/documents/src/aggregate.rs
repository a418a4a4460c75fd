//! Aggregates: values computed from the documents of a collection by a safe part of MongoDB's pipelines, and the
//! distinct values of a field.
//!
//! A pipeline is parsed by allow-list: no stage leaves the collection or writes, and what MongoDB would compute
//! differently is refused. An engine only selects the documents ([`Source`]): which, in which order, and which of their
//! fields. All else happens here, a document at a time ([`AggregationRun`]), so it is the same on every engine.
//!
//! # Pitfalls
//! MongoDB decides what a stage means: a rule that looks odd here is odd there. The differential test compares both on
//! random documents and pipelines.

mod accumulator;
mod aggregation;
mod arithmetic;
mod build;
mod date_trunc;
mod distinct;
mod evaluate;
mod group;
mod memory;
mod order;
mod parse;
mod pipeline;
mod project;
mod run;
mod source;
mod summation;
mod syntax;
#[cfg(test)]
mod tests;
mod unwind;
mod value;

pub use aggregation::{AggregateResult, Aggregation};
pub use distinct::Distinct;
pub use pipeline::Pipeline;
pub use run::AggregationRun;
pub use source::Source;

use crate::error::Result;

impl Pipeline {
    /// Reads a list of stages from Extended JSON; `at` is its pointer within the request.
    ///
    /// # Errors
    /// `invalid_input` with everything that is not allowed.
    pub fn parse(json: &str, at: &str) -> Result<Self> {
        parse::parse(json, at)
    }
}
