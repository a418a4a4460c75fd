//! Memory over time: at rest, while reads, lists, changes and inserts come over many connections, and at rest again.

use super::Effort;
use super::system::System;
use super::timed;
use super::work::Work;
use crate::results::Row;
use crate::server::wait;
use anyhow::{Result, anyhow};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 16;
/// Of ten requests; the tenth is an insert.
const MIXED: [Work; 10] = [
    Work::Read,
    Work::Read,
    Work::Read,
    Work::Read,
    Work::List,
    Work::Read,
    Work::Read,
    Work::Update,
    Work::Organization,
    Work::Insert,
];
/// Samples of a watch.
const SAMPLES: u32 = 30;

/// Each system is started again, and alone: one after the other.
pub fn measure(systems: &mut [System<'_>], effort: &Effort, cores: usize) -> Result<Vec<Row>> {
    println!("\n== memory ==");
    let mut rows = Vec::new();
    for system in &mut *systems {
        system.stop();
    }
    for system in systems {
        system.start(cores, false)?;
        system.sign_in_all()?;
        let found = watch(system, effort.watch)?;
        println!("{}: {:.0?} MB", system.name(), found.iter().map(|(_, memory)| *memory).collect::<Vec<_>>());
        rows.extend(found.iter().map(|(at, memory)| Row::new(system.name(), *at, &[("mb", *memory)])));
        system.stop();
    }
    Ok(rows)
}

/// Seconds and memory: a sixth of the time before the load, four sixths with it, a sixth after it.
fn watch(system: &System<'_>, span: Duration) -> Result<Vec<(f64, f64)>> {
    let works: Vec<_> = MIXED.iter().filter_map(|work| work.requests(system)).collect();
    let next = |turn: u32| works.get(turn as usize % works.len()).and_then(|requests| requests(turn));
    let (is_over, processes) = (AtomicBool::new(false), system.processes()?);
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let began = Instant::now();
            let mut found = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                found.push((began.elapsed().as_secs_f64(), processes.memory()));
                wait(span / SAMPLES);
            }
            found
        });
        wait(span / 6);
        let worked = timed::run(system.address, CONNECTIONS, &next, &AtomicU32::new(0), span * 4 / 6);
        wait(span / 6);
        is_over.store(true, Ordering::Relaxed);
        let found = watching.join().map_err(|_| anyhow!("the watch panicked"))?;
        worked.map(|_| found)
    })
}
