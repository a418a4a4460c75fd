//! Documents of organizations: how fast they are got at, how much memory taking them out and in needs, and what one
//! organization costs another. On both engines.
//!
//! What a newcomer gets wrong: what "directly" is. The service is asked over HTTP. So is SQLite, by a route with
//! nothing else behind it, for without any transport that would be what is compared; it is reported, too. MongoDB has a
//! protocol of its own, so there the driver is used in its own process.

mod engine;
mod neighbours;
mod speed;
mod tenant;
mod transfer;

use super::Bench;
use super::report::Finding;
use anyhow::Result;
use engine::Engine;
use tenantry_mongod::Mongod;

/// Every part has data of its own.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mongod = Mongod::start();
    let uri = mongod.uri();
    let mut findings = speed::embedded(bench)?;
    findings.extend(speed::mongodb(bench, &uri)?);
    for engine in [Engine::Embedded, Engine::Mongodb(&uri)] {
        findings.extend(neighbours::measure(bench, engine)?);
        findings.extend(transfer::measure(bench, engine)?);
    }
    Ok(findings)
}
