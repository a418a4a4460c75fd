//! What a run of the report has measured, as it is recorded.
//!
//! `docs/report.md` is made of nothing else, so that the page can be made again, and a test can compare the two.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All of a run.
#[derive(Serialize, Deserialize)]
pub struct Results {
    /// Whether it was a shortened run, to see that it works.
    pub quick: bool,
    /// The day.
    pub date: String,
    pub machine: Machine,
    /// The systems, in the order of the page.
    pub systems: Vec<SystemRecord>,
    /// What was measured, by the name of its section.
    pub sections: BTreeMap<String, Vec<Row>>,
}

#[derive(Serialize, Deserialize)]
pub struct Machine {
    pub cores: usize,
    pub processor: Option<String>,
    pub system: Option<String>,
    pub mongod: Option<String>,
}

/// A system, and why it did not run if it did not.
#[derive(Serialize, Deserialize)]
pub struct SystemRecord {
    pub name: String,
    pub version: String,
    /// The reason, if nothing of it was measured.
    pub not_run: Option<String>,
}

/// What one system did at one place of the horizontal axis.
#[derive(Clone, Serialize, Deserialize)]
pub struct Row {
    pub system: String,
    /// Connections, organizations, documents, cores or seconds, as the section says.
    pub at: f64,
    /// By the name of what was measured.
    pub values: BTreeMap<String, f64>,
}

impl Row {
    /// A row with these values.
    pub fn new(system: &str, at: f64, values: &[(&str, f64)]) -> Self {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), rounded(*value))).collect();
        Self { system: system.to_owned(), at, values }
    }

    /// The value of that name, if it was measured.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }
}

/// To four digits: more would say nothing, and fill the file.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}
