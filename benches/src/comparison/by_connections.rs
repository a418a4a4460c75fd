//! Every kind of work over more and more connections, the systems in turns.

use super::Effort;
use super::system::System;
use super::timed::{self, Sample};
use super::work::{WORK, Work};
use crate::results::Row;
use crate::statistics::median;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// A section for each kind of work.
pub fn measure(systems: &mut [System<'_>], effort: &Effort) -> Result<BTreeMap<String, Vec<Row>>> {
    let mut sections = BTreeMap::new();
    for (work, section) in WORK {
        println!("\n== {section} ==");
        systems.iter_mut().try_for_each(System::sign_in_all)?;
        let connections = if work.hashes() { effort.few_connections } else { effort.connections };
        let mut rows = Vec::new();
        for &count in connections {
            rows.extend(in_turns(systems, work, count, effort)?);
        }
        sections.insert(section.to_owned(), rows);
    }
    Ok(sections)
}

/// A row for each system that does such work.
pub fn in_turns(systems: &[System<'_>], work: Work, connections: usize, effort: &Effort) -> Result<Vec<Row>> {
    let mut rounds: Vec<Rounds> = systems.iter().map(|_| Rounds::default()).collect();
    // The first round warms up.
    for round in 0..=effort.rounds {
        for (system, rounds) in systems.iter().zip(&mut rounds) {
            let span = if round == 0 { effort.span / 4 } else { effort.span };
            if let Some(outcome) = run(system, work, connections, span)? {
                rounds.push(round, outcome);
            }
        }
    }
    let rows = systems.iter().zip(rounds).map(|(system, rounds)| rounds.row(system.name(), connections));
    let rows: Vec<Row> = rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    for row in &rows {
        println!("{connections:>3} connections, {}: {:?}", row.system, row.values);
    }
    Ok(rows)
}

/// The load and the seconds of processor time that it took; nothing if the system does not do such work.
fn run(
    system: &System<'_>,
    work: Work,
    connections: usize,
    span: std::time::Duration,
) -> Result<Option<Result<(Sample, f64)>>> {
    let Some(requests) = work.requests(system) else { return Ok(None) };
    let number = AtomicU32::new(0);
    let processes = system.processes()?;
    let before = processes.cpu_seconds();
    let sample = timed::run(system.address, connections, &requests, &number, span);
    let spent = processes.cpu_seconds() - before;
    if work == Work::Create {
        let used = number.load(Ordering::Relaxed);
        system.next_organization.set(system.next_organization.get() + used);
    }
    Ok(Some(sample.map(|sample| (sample, spent))))
}

/// The figures of a system's rounds.
#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    medians: Vec<f64>,
    slowest: Vec<f64>,
    processor: Vec<f64>,
    failed: u32,
    succeeded: usize,
    error: Option<String>,
}

impl Rounds {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    fn push(&mut self, round: usize, outcome: Result<(Sample, f64)>) {
        match outcome.and_then(|(sample, spent)| {
            let times = (sample.percentile(0.5)?, sample.percentile(0.99)?);
            Ok((sample, spent, times))
        }) {
            Ok(_) if round == 0 => {}
            Ok((sample, spent, (median, slowest))) => {
                self.rates.push(sample.per_second());
                self.medians.push(median);
                self.slowest.push(slowest);
                self.processor.push(spent / sample.succeeded() as f64 * 1e6);
                self.failed += sample.failed;
                self.succeeded += sample.succeeded();
            }
            Err(error) => self.error = Some(format!("{error:#}")),
        }
    }

    /// Nothing if the system does not do such work.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    fn row(self, system: &str, connections: usize) -> Result<Option<Row>> {
        let at = connections as f64;
        if self.rates.is_empty() {
            // Nothing but failures is a result, too.
            let Some(error) = self.error else { return Ok(None) };
            println!("{system}: {error}");
            return Ok(Some(Row::new(system, at, &[("failed_percent", 100.0)])));
        }
        let failed = f64::from(self.failed) / (f64::from(self.failed) + self.succeeded as f64) * 100.0;
        Ok(Some(Row::new(
            system,
            at,
            &[
                ("per_second", median(self.rates)?),
                ("p50_ms", median(self.medians)?),
                ("p99_ms", median(self.slowest)?),
                ("processor_us", median(self.processor).context("no processor time")?),
                ("failed_percent", failed),
            ],
        )))
    }
}
