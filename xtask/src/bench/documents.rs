//! Documents of organizations: how fast they are got at, how much memory taking them out and in needs, and what one
//! organization costs another. On both engines.
//!
//! What a newcomer gets wrong: what "directly" is. The service is asked over HTTP. So is SQLite, by a route with
//! nothing else behind it, for without any transport that would be what is compared; it is reported, too. MongoDB has a
//! protocol of its own, so there the driver is used in its own process.

mod archives;
mod dear_filters;
mod engine;
mod neighbours;
mod speed;
mod tenant;

use super::Bench;
use super::report::Finding;
use anyhow::Result;
use engine::Engine;
use tenantry_test_mongod::Mongod;

/// How fast they are got at.
pub fn speed(bench: &Bench) -> Result<Vec<Finding>> {
    let mut findings = speed::embedded(bench)?;
    findings.extend(speed::mongodb(bench, &Mongod::start().uri())?);
    Ok(findings)
}

/// What one organization costs another.
pub fn neighbours(bench: &Bench) -> Result<Vec<Finding>> {
    on_both(|engine| {
        let mut findings = neighbours::measure(bench, engine)?;
        findings.extend(dear_filters::measure(bench, engine)?);
        Ok(findings)
    })
}

/// How much memory it takes to export and import them.
pub fn archives(bench: &Bench) -> Result<Vec<Finding>> {
    on_both(|engine| archives::measure(bench, engine))
}

fn on_both(measure: impl Fn(Engine<'_>) -> Result<Vec<Finding>>) -> Result<Vec<Finding>> {
    let mongod = Mongod::start();
    let mut findings = measure(Engine::Embedded)?;
    findings.extend(measure(Engine::Mongodb(&mongod.uri()))?);
    Ok(findings)
}
