//! How other organizations are affected while ten organizations send only the most expensive filters that are accepted.
//!
//! Their queries end by their time, or because one document costs too much, and each is sent again at once.

use super::neighbours::{mixed, time};
use crate::Bench;
use crate::client::{Connection, Request};
use crate::measures::engine::Engine;
use crate::report::{Aim, Finding};
use crate::statistics::{Pairs, percentile};
use crate::tenant::Tenant;
use anyhow::Result;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Organizations with such filters, and the connections of each.
const ORGANIZATIONS: u32 = 10;
const CONNECTIONS: usize = 4;
/// Documents of each of them, and values of an array in one.
const DOCUMENTS: u32 = 20;
const VALUES: usize = 40_000;
/// Conditions: with the branches around them as many as a filter may have.
const CONDITIONS: usize = 85;

/// The p99 of `/livez` and of another organization at that time.
pub fn measure(bench: &Bench, engine: Engine<'_>) -> Result<Vec<Finding>> {
    let part = format!("dear_{}", engine.name());
    engine.seed(bench, &part, ORGANIZATIONS + 1)?;
    let server = engine.start(bench, &part)?;
    let quiet = mixed(&Tenant::sign_in(&server, 0)?)?;
    let mut dear = Vec::new();
    for number in 1..=ORGANIZATIONS {
        let tenant = Tenant::sign_in(&server, number)?;
        tenant.insert_all(&mut Connection::open(server.address)?, &lines(), DOCUMENTS)?;
        dear.push(filters().into_iter().map(|filter| tenant.query(&filter)).collect::<Vec<_>>());
    }
    let mut connections =
        (0..CONNECTIONS).map(|_| Connection::open(server.address)).collect::<Result<Vec<_>>>()?;
    let mut health = vec![Connection::open(server.address)?];
    let (mut others, mut worst) = (Pairs::default(), Vec::new());
    for round in 0..=bench.rounds {
        let alone = time(&mut connections, &quiet, bench.span)?;
        let (beside, livez) = while_busy(&server.address, &dear, || {
            thread::scope(|scope| {
                let live = scope.spawn(|| time(&mut health, &[Request::get("/livez")], bench.span));
                let beside = time(&mut connections, &quiet, bench.span)?;
                let livez = live.join().map_err(|_| anyhow::anyhow!("the look at the health panicked"))??;
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
    let (name, live_name) = match engine {
        Engine::Embedded => ("documents_embedded_beside_dear_filters", "livez_embedded_beside_dear_filters"),
        Engine::Mongodb(_) => ("documents_mongodb_beside_dear_filters", "livez_mongodb_beside_dear_filters"),
    };
    let (beside, alone) = (others.first()?, others.second()?);
    Ok(vec![
        Finding {
            name,
            what: format!(
                "documents, {}: p99 beside {ORGANIZATIONS} with the dearest filters",
                engine.name()
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

/// The result of `work` while every organization sends its requests on all of its connections.
fn while_busy<T>(
    address: &std::net::SocketAddr,
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
                        let Ok(mut connection) = Connection::open(*address) else { break };
                        let _ = connection.call(request);
                    }
                });
            }
        }
        let worked = work();
        is_over.store(true, Ordering::Relaxed);
        worked
    })
}

/// Documents with a long array and a long text each.
fn lines() -> String {
    let mut seed = 1_u32;
    let mut letter = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if seed >> 31 == 0 { 'a' } else { 'b' }
    };
    let document = |_| {
        let text: String = (0..VALUES).map(|_| letter()).collect();
        format!("{}\n", json!({ "values": vec![1; VALUES], "text": text }))
    };
    (0..DOCUMENTS).map(document).collect()
}

/// Filters near the bounds of the number of conditions, and of the states of a pattern.
fn filters() -> [Value; 2] {
    let conditions: Vec<Value> =
        (0..CONDITIONS).map(|number| json!({ "values": { "$gt": 1_000_000 + number } })).collect();
    [json!({ "$or": conditions }), json!({ "text": { "$regex": "a[ab]{900}c" } })]
}
