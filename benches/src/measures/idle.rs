//! The memory of the service without requests, and the time to its first response.

use crate::Bench;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::median;
use anyhow::Result;

/// Starts on a new data directory, then on the same one; memory once what a start leaves to do is done.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let (mut first_starts, mut later_starts, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        let data_dir = bench.directory.path().join(format!("idle-{round}"));
        let server = Server::service(bench, &data_dir, &[])?;
        first_starts.push(server.first_response.as_secs_f64() * 1e3);
        server.rest()?;
        memory.push(server.memory()?);
        server.stop()?;
        let server = Server::service(bench, &data_dir, &[])?;
        later_starts.push(server.first_response.as_secs_f64() * 1e3);
        server.stop()?;
    }
    let later = median(later_starts)?;
    Ok(vec![
        Finding {
            name: "idle_memory",
            what: "idle: resident memory".to_owned(),
            measured: median(memory)?,
            unit: "MB",
            aim: Aim::AtMost(30.0),
            detail: String::new(),
        },
        Finding {
            name: "first_start",
            what: "start to first answer, on a new data directory".to_owned(),
            measured: median(first_starts)?,
            unit: "ms",
            aim: Aim::AtMost(100.0),
            detail: format!("{later:.0} ms on one that is there"),
        },
    ])
}
