//! A node with a million organizations that have written nothing.

use crate::Bench;
use crate::client::{Connection, Request};
use crate::data::STRIDE;
use crate::data::organizations::seed_embedded;
use crate::report::{Aim, Finding};
use crate::server::{Server, megabytes};
use crate::statistics::{Pairs, median};
use anyhow::Result;
use std::time::Instant;

const ORGANIZATIONS: u32 = 1_000_000;
/// The organizations that are in use, of many and of few.
const HOT: (u32, u32) = (100_000, 1_000);
/// Lookups of a round that are timed one by one.
const LOOKUPS: u32 = 5_000;

pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let (all, hot) = (ORGANIZATIONS / bench.shrink, HOT.0 / bench.shrink);
    let data_dir = bench.directory.path().join("million");
    seed_embedded(&data_dir, all)?;
    let disk = megabytes(&data_dir)?;
    let mut server = Server::service(bench, &data_dir, &[])?;
    server.rest()?;
    let mut starts = vec![server.first_response.as_secs_f64() * 1e3];
    for _ in 1..bench.rounds {
        server.stop()?;
        server = Server::service(bench, &data_dir, &[])?;
        starts.push(server.first_response.as_secs_f64() * 1e3);
    }
    server.rest()?;

    let mut service = Lookups { connection: Connection::open(server.address)?, turn: 0 };
    for of in [hot, HOT.1] {
        service.look_up_all(of)?;
    }
    let mut hot_sets = Pairs::default();
    for _ in 0..bench.rounds {
        hot_sets.push(service.look_up(hot)?, service.look_up(HOT.1)?);
    }
    let sqlite = Server::organizations(&data_dir.join("control.db"))?;
    let mut direct = Lookups { connection: Connection::open(sqlite.address)?, turn: 0 };
    let mut random = Pairs::default();
    for _ in 0..bench.rounds {
        random.push(service.look_up(all)?, direct.look_up(all)?);
    }
    let memory = server.peak_memory()?;
    Ok(vec![
        Finding {
            name: "million_hot",
            what: format!("million: get, {hot} of {all} organizations in turn, to {} of them", HOT.1),
            measured: hot_sets.ratio()?,
            unit: "",
            aim: Aim::AtMost(1.2),
            detail: format!("{:.1} µs, {:.1} µs", hot_sets.first()?, hot_sets.second()?),
        },
        Finding {
            name: "million_random",
            what: format!("million: get, any of {all}, to SQLite's two point reads behind a bare route"),
            measured: random.ratio()?,
            unit: "",
            aim: Aim::AtMost(1.5),
            detail: format!("{:.1} µs, {:.1} µs", random.first()?, random.second()?),
        },
        absolute(
            "million_start",
            format!("million: start to first answer with {all}"),
            median(starts)?,
            "ms",
            500.0,
        ),
        absolute("million_memory", format!("million: the most memory with {all}"), memory, "MB", 200.0),
        absolute("million_disk", format!("million: on disk with {all}"), disk, "MB", 2_000.0),
    ])
}

fn absolute(name: &'static str, what: String, measured: f64, unit: &'static str, most: f64) -> Finding {
    Finding { name, what, measured, unit, aim: Aim::AtMost(most), detail: String::new() }
}

/// Lookups over one connection, one after the other.
struct Lookups {
    connection: Connection,
    turn: u32,
}

impl Lookups {
    fn look_up_all(&mut self, of: u32) -> Result<()> {
        (0..of).try_for_each(|number| self.connection.call(&lookup(number)).map(|_| ()))
    }

    /// The median time of one lookup of the first `of` organizations, each far from the one before, in microseconds.
    fn look_up(&mut self, of: u32) -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..LOOKUPS {
            self.turn = self.turn.wrapping_add(1);
            let request = lookup((u64::from(self.turn) * u64::from(STRIDE) % u64::from(of)) as u32);
            let began = Instant::now();
            self.connection.call(&request)?;
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
        median(times)
    }
}

fn lookup(number: u32) -> Request {
    Request::get(&format!("/org/get?organization_name=Organization%20{number}"))
}
