//! How much one organization is slowed down by another that sends ten times as much.
//!
//! Both read, list and insert on kept connections, the next request after the response.
//!
//! # Pitfalls
//! That is more than the machine can do even when each has its share, so nothing here is idle in between.

use crate::Bench;
use crate::client::{Connection, Request};
use crate::data::documents::{LISTED, lines, unnamed};
use crate::load::Load;
use crate::measures::engine::Engine;
use crate::report::{Aim, Finding};
use crate::statistics::{Pairs, median, percentile};
use crate::tenant::Tenant;
use anyhow::{Result, anyhow};
use std::thread;
use std::time::{Duration, Instant};

/// Documents of each.
const DOCUMENTS: u32 = 10_000;
/// Connections that are an organization's share.
const SHARE: usize = 4;
/// How many times that the other one has.
const TIMES: usize = 10;
/// Of ten requests, those that read one document; one of the others lists, and one inserts.
const READS: usize = 8;

/// The p99 of one while the other has ten times its share, to that while it has its share.
pub fn measure(bench: &Bench, engine: Engine<'_>) -> Result<Vec<Finding>> {
    let part = format!("neighbours_{}", engine.name());
    engine.seed(bench, &part, 2)?;
    let server = engine.start(bench, &part)?;
    let quiet = mixed(&Tenant::sign_in(&server, 0)?)?;
    let greedy = mixed(&Tenant::sign_in(&server, 1)?)?;
    let mut connections = (0..SHARE).map(|_| Connection::open(server.address)).collect::<Result<Vec<_>>>()?;
    let mut loads = [Load::open(server.address, 1, SHARE * TIMES)?, Load::open(server.address, 1, SHARE)?];
    let (mut slowest, mut middle) = (Pairs::default(), Pairs::default());
    for round in 0..=bench.rounds {
        let mut turn = |load: &mut Load| -> Result<Vec<f64>> {
            beside(load, &greedy, bench.span, || time(&mut connections, &quiet, bench.span))
        };
        let (many, few) = (turn(&mut loads[0])?, turn(&mut loads[1])?);
        // The first round warms up.
        if round > 0 {
            middle.push(median(many.clone())?, median(few.clone())?);
            slowest.push(percentile(many, 0.99)?, percentile(few, 0.99)?);
        }
    }
    server.stop()?;
    let name = match engine {
        Engine::Embedded => "documents_embedded_neighbour",
        Engine::Mongodb(_) => "documents_mongodb_neighbour",
    };
    let (slow, slow_before) = (slowest.first()?, slowest.second()?);
    Ok(vec![Finding {
        name,
        what: format!("documents, {}: p99 beside a neighbour at {TIMES} times its share", engine.name()),
        measured: slowest.ratio()?,
        unit: "",
        aim: Aim::AtMost(2.0),
        detail: format!(
            "{slow:.1} ms, {slow_before:.1} ms; p50 {:.1} ms, {:.1} ms",
            middle.first()?,
            middle.second()?
        ),
    }])
}

/// Reads, lists and inserts of an organization, which gets its documents first.
pub fn mixed(tenant: &Tenant) -> Result<Vec<Request>> {
    tenant.index()?;
    tenant.fill(DOCUMENTS)?;
    let reads = tenant.reads(DOCUMENTS);
    let lists = tenant.lists(DOCUMENTS, LISTED);
    let inserts = tenant.inserts(&lines(DOCUMENTS, 100, unnamed));
    let tens = reads.chunks_exact(READS).zip(lists).zip(inserts.into_iter().cycle());
    Ok(tens.flat_map(|((reads, list), insert)| reads.iter().cloned().chain([list, insert])).collect())
}

/// The result of `work` while `load` sends `requests`.
fn beside<T>(
    load: &mut Load,
    requests: &[Request],
    span: Duration,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    thread::scope(|scope| {
        let loading = scope.spawn(|| load.run(requests, span));
        let worked = work();
        loading.join().map_err(|_| anyhow!("the load panicked"))??;
        worked
    })
}

/// Sends `requests` on every connection again and again; how long each took, in milliseconds.
pub fn time(connections: &mut [Connection], requests: &[Request], span: Duration) -> Result<Vec<f64>> {
    let began = Instant::now();
    let count = connections.len();
    let times: Result<Vec<Vec<f64>>> = thread::scope(|scope| {
        let mut running = Vec::new();
        for (number, connection) in connections.iter_mut().enumerate() {
            // Each begins elsewhere, so that they do not ask for the same at the same time.
            let own = requests.iter().cycle().skip(number * requests.len() / count);
            running.push(scope.spawn(move || time_each(connection, own, began, span)));
        }
        let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
        ended.map(|ended| ended.map_err(|_| anyhow!("a thread of the load panicked"))?).collect()
    });
    Ok(times?.concat())
}

fn time_each<'a>(
    connection: &mut Connection,
    requests: impl Iterator<Item = &'a Request>,
    began: Instant,
    span: Duration,
) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for request in requests {
        if began.elapsed() >= span {
            break;
        }
        let sent = Instant::now();
        connection.call(request)?;
        times.push(sent.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}
