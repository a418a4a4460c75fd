//! The measures: each prepares its data, lets two things take turns, and reports what it found.

mod access;
mod documents;
mod edge;
mod engine;
mod get;
mod idle;
mod login;
mod million;
pub mod mongodb;
pub mod rename;
mod scale;
mod versions;

use crate::Bench;
use crate::arguments::Measure;
use crate::report::Finding;
use anyhow::Result;

/// Runs one of them.
pub fn run(measure: Measure, bench: &Bench) -> Result<Vec<Finding>> {
    match measure {
        Measure::Idle => idle::measure(bench),
        Measure::Get => get::measure(bench),
        Measure::Login => login::measure(bench),
        Measure::Rename => rename::measure(bench),
        Measure::Scale => scale::measure(bench),
        Measure::Million => million::measure(bench),
        Measure::Mongodb => mongodb::measure(bench),
        Measure::Access => access::measure(bench),
        Measure::Documents => documents::speed(bench),
        Measure::Queries => documents::queries(bench),
        Measure::Neighbours => documents::neighbours(bench),
        Measure::Archives => documents::archives(bench),
        Measure::Edge => edge::measure(bench),
        Measure::Versions => versions::measure(bench),
    }
}
