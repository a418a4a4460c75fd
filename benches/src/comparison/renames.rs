//! Renames of organizations with more and more documents, on both engines.

use super::Effort;
use super::peers::{EMBEDDED, ON_MONGODB};
use crate::Bench;
use crate::measures::mongodb;
use crate::measures::rename::{self, RENAMES, RenameTarget};
use crate::results::Row;
use crate::server::Server;
use crate::statistics::median;
use anyhow::Result;
use tenantry_test_mongod::Mongod;

/// The organizations of an engine are renamed in turns.
pub fn measure(bench: &Bench, effort: &Effort) -> Result<Vec<Row>> {
    println!("\n== renames ==");
    let mongod = Mongod::start();
    let embedded = rename::fill(bench, "renames", effort.rename_documents)?;
    let on_mongodb = mongodb::fill(bench, &mongod.uri(), "renames_on_mongodb", effort.rename_documents)?;
    let mut rows = Vec::new();
    for (server, name) in [(embedded, EMBEDDED), (on_mongodb, ON_MONGODB)] {
        rows.extend(on(&server, name, effort)?);
        server.stop()?;
    }
    Ok(rows)
}

fn on(server: &Server, system: &str, effort: &Effort) -> Result<Vec<Row>> {
    let mut targets = Vec::new();
    for (number, documents) in (0..).zip(effort.rename_documents) {
        targets.push((RenameTarget::sign_in(server, number, *documents)?, Vec::new()));
    }
    for _ in 0..effort.rounds as u32 * RENAMES {
        for (target, times) in &mut targets {
            times.push(target.rename()?);
        }
    }
    let mut rows = Vec::new();
    for ((_, times), documents) in targets.into_iter().zip(effort.rename_documents) {
        let row = Row::new(system, f64::from(*documents), &[("p50_ms", median(times)?)]);
        println!("{system}, {documents} documents: {:?}", row.values);
        rows.push(row);
    }
    Ok(rows)
}
