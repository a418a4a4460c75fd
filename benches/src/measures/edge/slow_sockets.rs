//! A thousand clients that send their requests a byte at a time, beside a few that do not.

use crate::Bench;
use crate::client::{Connection, Request};
use crate::data::organizations::seed_embedded;
use crate::measures::documents::neighbours::time;
use crate::report::{Aim, Finding};
use crate::server::{Server, wait};
use crate::statistics::{Pairs, median, percentile};
use anyhow::{Context, Result, anyhow};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Slow clients.
const SLOW: usize = 1_000;
/// Others, each with one request under way.
const OTHERS: usize = 4;
/// The pause between two bytes of a slow client.
const PACE: Duration = Duration::from_millis(100);

/// The p99 of the others beside the slow ones, to that without.
pub fn measure(bench: &Bench) -> Result<Finding> {
    raise_file_limit()?;
    let data_dir = bench.directory.path().join("slow");
    seed_embedded(&data_dir, 1)?;
    let flags = ["--max-connections-per-address=8192", "--header-timeout=300", "--request-timeout=300"];
    let server = Server::service(bench, &data_dir, &flags)?;
    let requests = [Request::get("/org/get?organization_name=Organization%200")];
    let mut others = (0..OTHERS).map(|_| Connection::open(server.address)).collect::<Result<Vec<_>>>()?;
    let (mut slowest, mut middle) = (Pairs::default(), Pairs::default());
    for round in 0..=bench.rounds {
        let alone = time(&mut others, &requests, bench.span)?;
        let beside = beside_slow_clients(&server, || time(&mut others, &requests, bench.span))?;
        // The first round warms up.
        if round > 0 {
            middle.push(median(beside.clone())?, median(alone.clone())?);
            slowest.push(percentile(beside, 0.99)?, percentile(alone, 0.99)?);
        }
    }
    server.stop()?;
    Ok(Finding {
        name: "edge_slow_sockets",
        what: format!("edge: p99 beside {SLOW} slow clients, to that without"),
        measured: slowest.ratio()?,
        unit: "",
        aim: Aim::AtMost(2.0),
        detail: format!(
            "{:.2} ms, {:.2} ms; p50 {:.2} ms, {:.2} ms",
            slowest.first()?,
            slowest.second()?,
            middle.first()?,
            middle.second()?
        ),
    })
}

/// Runs `work` while half of the slow clients send the head of a request, and half the body.
fn beside_slow_clients<T>(server: &Server, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut slow = Vec::with_capacity(SLOW);
    for number in 0..SLOW {
        let mut stream = TcpStream::connect(server.address)?;
        let head = "POST /org/create HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        let ready = if number % 2 == 0 { "x-slow: " } else { "content-length: 60000\r\n\r\n{" };
        stream.write_all(format!("{head}{ready}").as_bytes())?;
        slow.push(stream);
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let dripping = scope.spawn(|| -> Result<()> {
            while !is_over.load(Ordering::Relaxed) {
                for stream in &mut slow {
                    stream.write_all(b" ").context("a slow client was cut off")?;
                }
                wait(PACE);
            }
            Ok(())
        });
        let worked = work();
        is_over.store(true, Ordering::Relaxed);
        dripping.join().map_err(|_| anyhow!("the slow clients panicked"))??;
        worked
    })
}

/// Slow clients are open files of the benchmark, too.
fn raise_file_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}
