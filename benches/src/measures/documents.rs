//! Documents of organizations: how fast the service is with them, how much memory an export and an import need, and what
//! one organization costs another. On both engines.
//!
//! # Pitfalls
//! "Directly" differs by engine. The service is asked over HTTP. So is SQLite, by a route with nothing else behind it,
//! because without any transport that would be what is compared; it is reported, too. MongoDB has a protocol of its own,
//! so there the driver is used in this process.

mod archives;
mod changes;
mod expensive;
pub mod neighbours;
mod queries;
mod speed;

use super::engine::Engine;
use crate::Bench;
use crate::report::Finding;
use anyhow::Result;
use tenantry_test_mongod::Mongod;

/// Operations per second.
pub fn speed(bench: &Bench) -> Result<Vec<Finding>> {
    let mut findings = speed::embedded(bench)?;
    findings.extend(speed::mongodb(bench, &Mongod::start().uri())?);
    Ok(findings)
}

/// The memory and time of large queries.
pub fn queries(bench: &Bench) -> Result<Vec<Finding>> {
    let mongod = Mongod::start();
    on_both(|engine| queries::measure(bench, engine, &mongod.uri()))
}

/// How much one organization slows down another.
pub fn neighbours(bench: &Bench) -> Result<Vec<Finding>> {
    on_both(|engine| {
        let mut findings = neighbours::measure(bench, engine)?;
        findings.extend(expensive::measure(bench, engine)?);
        Ok(findings)
    })
}

/// How much memory an export and an import need.
pub fn archives(bench: &Bench) -> Result<Vec<Finding>> {
    on_both(|engine| archives::measure(bench, engine))
}

fn on_both(measure: impl Fn(Engine<'_>) -> Result<Vec<Finding>>) -> Result<Vec<Finding>> {
    let mongod = Mongod::start();
    let mut findings = measure(Engine::Embedded)?;
    findings.extend(measure(Engine::Mongodb(&mongod.uri()))?);
    Ok(findings)
}
