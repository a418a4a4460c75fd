//! How other organizations are affected while ten organizations send only the most expensive requests of a kind that are
//! accepted.
//!
//! Their requests end by their time, or because one document costs too much, and each is sent again at once.

mod kinds;

use super::neighbours::{mixed, time};
use crate::Bench;
use crate::client::{Connection, Request};
use crate::measures::engine::Engine;
use crate::report::{Aim, Finding};
use crate::statistics::{Pairs, percentile};
use crate::tenant::Tenant;
use anyhow::{Result, anyhow, ensure};
use kinds::{KINDS, Kind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tenantry_test_mongod::ReplicaSet;

/// Organizations with such requests, and the connections of each.
const ORGANIZATIONS: u32 = 10;
const CONNECTIONS: usize = 4;
/// What an expensive request is refused with once it has cost too much.
const TOO_SLOW: &[u8] = b"\"query_too_slow\"";

/// The p99 of another organization and of `/livez` at that time, for each kind.
pub fn measure(bench: &Bench, engine: Engine<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for kind in &KINDS {
        findings.extend(match engine {
            // A server alone has no transactions.
            Engine::Mongodb(_) if kind.needs_replica_set => {
                beside(bench, Engine::Mongodb(&ReplicaSet::start_single().uri()), kind)?
            }
            _ => beside(bench, engine, kind)?,
        });
    }
    Ok(findings)
}

fn beside(bench: &Bench, engine: Engine<'_>, kind: &Kind) -> Result<[Finding; 2]> {
    let part = format!("dear_{}_{}", kind.what.replace(' ', "_"), engine.name());
    engine.seed(bench, &part, ORGANIZATIONS + 1)?;
    let server = engine.start(bench, &part)?;
    let quiet = mixed(&Tenant::sign_in(&server, 0)?)?;
    let mut dear = Vec::new();
    for number in 1..=ORGANIZATIONS {
        let tenant = Tenant::sign_in(&server, number)?;
        let requests = kind.prepare(&tenant, &mut Connection::open(server.address)?)?;
        if number == 1 {
            ensure_accepted(server.address, &requests)?;
        }
        dear.push(requests);
    }
    let mut connections =
        (0..CONNECTIONS).map(|_| Connection::open(server.address)).collect::<Result<Vec<_>>>()?;
    let mut health = vec![Connection::open(server.address)?];
    let (mut others, mut worst) = (Pairs::default(), Vec::new());
    for round in 0..=bench.rounds {
        let alone = time(&mut connections, &quiet, bench.span)?;
        let (beside, livez) = while_busy(server.address, &dear, || {
            thread::scope(|scope| {
                let live = scope.spawn(|| time(&mut health, &[Request::get("/livez")], bench.span));
                let beside = time(&mut connections, &quiet, bench.span)?;
                let livez = live.join().map_err(|_| anyhow!("the look at the health panicked"))??;
                Ok((beside, livez))
            })
        })?;
        // The first round warms up.
        if round > 0 {
            others.push(percentile(beside, 0.99)?, percentile(alone, 0.99)?);
            worst.push(percentile(livez, 0.99)?);
        }
    }
    server.stop()?;
    let [name, live_name] = engine.pick(kind.names);
    let (beside, alone) = (others.first()?, others.second()?);
    Ok([
        Finding {
            name,
            what: format!(
                "documents, {}: p99 beside {ORGANIZATIONS} with the dearest {}",
                engine.name(),
                kind.what
            ),
            measured: others.ratio()?,
            unit: "",
            aim: Aim::AtMost(2.0),
            detail: format!("{beside:.1} ms, {alone:.1} ms alone"),
        },
        Finding {
            name: live_name,
            what: format!("/livez, {}: p99 beside them, in the worst round", engine.name()),
            measured: worst.into_iter().fold(0.0, f64::max),
            unit: "ms",
            aim: Aim::AtMost(50.0),
            detail: String::new(),
        },
    ])
}

/// A request that is refused for what it says would cost nothing, and prove nothing.
fn ensure_accepted(address: SocketAddr, requests: &[Request]) -> Result<()> {
    for request in requests {
        let mut connection = Connection::open(address)?;
        let (status, body) = connection.respond(request)?;
        let is_too_slow = body.windows(TOO_SLOW.len()).any(|part| part == TOO_SLOW);
        // On a busy machine its time may end before its budget does.
        let is_refused = (400..500).contains(&status) && !is_too_slow;
        let shown = String::from_utf8_lossy(&body[..body.len().min(1000)]);
        ensure!(!is_refused, "an expensive request is {status}: {shown}");
    }
    Ok(())
}

/// The result of `work` while every organization sends its requests on all of its connections.
fn while_busy<T>(
    address: SocketAddr,
    requests: &[Vec<Request>],
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for own in requests {
            for first in 0..CONNECTIONS {
                let is_over = &is_over;
                scope.spawn(move || {
                    for request in own.iter().cycle().skip(first) {
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        // Most are refused in the end; what counts is what they cost until then.
                        let Ok(mut connection) = Connection::open(address) else { break };
                        let _ = connection.respond(request);
                    }
                });
            }
        }
        let worked = work();
        is_over.store(true, Ordering::Relaxed);
        worked
    })
}
