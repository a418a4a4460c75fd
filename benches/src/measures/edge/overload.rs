//! Ten times as many sign-ins as the service can do: what it still does, and how soon it refuses the rest.
//!
//! # Pitfalls
//! Sign-ins are what the service can do least of, so that one machine can send ten times as many and still serve them.

use crate::Bench;
use crate::client::{Connection, Request};
use crate::data::organizations::{PASSWORD, seed_embedded};
use crate::report::{Aim, Finding};
use crate::server::{Server, wait};
use crate::statistics::{Pairs, median, percentile};
use anyhow::{Result, anyhow, ensure};
use serde_json::json;
use std::thread;
use std::time::{Duration, Instant};

/// Clients that one hashing thread is busy with.
const FEW: usize = 4;
/// Clients that send too much.
const MANY: usize = 48;
/// How many times as much that is.
const TIMES: f64 = 10.0;
/// Requests that are worked on at once; the rest of [`MANY`] is refused.
const CONCURRENT: &str = "--max-concurrent-requests=16";

/// Both loads, in turns.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let data_dir = bench.directory.path().join("overload");
    seed_embedded(&data_dir, 1)?;
    let flags = [CONCURRENT, "--hash-threads=1", "--max-connections-per-address=1024"];
    let server = Server::service(bench, &data_dir, &flags)?;
    let mut connections = (0..MANY).map(|_| Connection::open(server.address)).collect::<Result<Vec<_>>>()?;
    let (mut goodput, mut sent, mut refusals, mut probes) =
        (Pairs::default(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..=bench.rounds {
        let peak = send(&mut connections[..FEW], None, bench.span)?;
        let interval = Duration::from_secs_f64(MANY as f64 / (TIMES * peak.good_per_second));
        let over = thread::scope(|scope| {
            let probing = scope.spawn(|| probe(&server, bench.span));
            let over = send(&mut connections, Some(interval), bench.span)?;
            probes.extend(probing.join().map_err(|_| anyhow!("the probe panicked"))??);
            anyhow::Ok(over)
        })?;
        // The first round warms up.
        if round > 0 {
            ensure!(!over.refused.is_empty(), "nothing was refused: that was no overload");
            goodput.push(over.good_per_second, peak.good_per_second);
            sent.push(over.sent_per_second / peak.good_per_second);
            refusals.push(percentile(over.refused, 0.99)?);
        }
    }
    server.stop()?;
    Ok(vec![
        Finding {
            name: "edge_goodput",
            what: "edge: sign-ins at ten times what can be done, of the peak".to_owned(),
            measured: goodput.ratio()?,
            unit: "",
            aim: Aim::AtLeast(0.9),
            detail: format!(
                "{:.1}/s, peak {:.1}/s; {:.1} times as many were sent",
                goodput.first()?,
                goodput.second()?,
                median(sent)?
            ),
        },
        Finding {
            name: "edge_refusal",
            what: "edge: time to a 503 in that overload, p99".to_owned(),
            measured: median(refusals)?,
            unit: "ms",
            aim: Aim::AtMost(100.0),
            detail: String::new(),
        },
        Finding {
            name: "edge_livez",
            what: "edge: time of /livez in that overload, p99".to_owned(),
            measured: percentile(probes, 0.99)?,
            unit: "ms",
            aim: Aim::AtMost(100.0),
            detail: String::new(),
        },
    ])
}

/// What became of a load.
struct Outcome {
    good_per_second: f64,
    sent_per_second: f64,
    /// How long each refusal took, in milliseconds.
    refused: Vec<f64>,
}

/// Signs in on every connection for `span`, each time after `interval`, or after the response if that takes longer.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn send(connections: &mut [Connection], interval: Option<Duration>, span: Duration) -> Result<Outcome> {
    let login = json!({ "email": "admin0@example.com", "password": PASSWORD });
    let login = Request::json("POST", "/admin/login", None, &login);
    let began = Instant::now();
    let count = u32::try_from(connections.len())?;
    let parts: Result<Vec<(u64, Vec<f64>)>> = thread::scope(|scope| {
        let mut running = Vec::new();
        for (number, connection) in (0_u32..).zip(connections.iter_mut()) {
            let login = &login;
            // They do not all send at the same moment.
            let first = interval.map_or(Duration::ZERO, |interval| interval * number / count);
            running.push(scope.spawn(move || -> Result<(u64, Vec<f64>)> {
                let (mut good, mut refused) = (0, Vec::new());
                wait(first);
                while began.elapsed() < span {
                    let sent = Instant::now();
                    connection.send(login)?;
                    match connection.status()? {
                        200 => good += 1,
                        503 => refused.push(sent.elapsed().as_secs_f64() * 1e3),
                        other => anyhow::bail!("a sign-in is answered {other}"),
                    }
                    if let Some(rest) = interval.and_then(|interval| interval.checked_sub(sent.elapsed())) {
                        wait(rest);
                    }
                }
                Ok((good, refused))
            }));
        }
        let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
        ended.map(|ended| ended.map_err(|_| anyhow!("a thread of the load panicked"))?).collect()
    });
    let parts = parts?;
    let seconds = began.elapsed().as_secs_f64();
    let good: u64 = parts.iter().map(|(good, _)| good).sum();
    let refused: Vec<f64> = parts.into_iter().flat_map(|(_, refused)| refused).collect();
    Ok(Outcome {
        good_per_second: good as f64 / seconds,
        sent_per_second: (good as f64 + refused.len() as f64) / seconds,
        refused,
    })
}

/// How long `/livez` takes, in milliseconds.
fn probe(server: &Server, span: Duration) -> Result<Vec<f64>> {
    let (began, mut times) = (Instant::now(), Vec::new());
    let mut connection = Connection::open(server.address)?;
    while began.elapsed() < span {
        let sent = Instant::now();
        connection.get("/livez")?;
        times.push(sent.elapsed().as_secs_f64() * 1e3);
        wait(Duration::from_millis(20));
    }
    Ok(times)
}
