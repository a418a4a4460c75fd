//! The edge of the service: slow clients, more load than it can bear, and what TLS and watching it cost.

mod collector;
mod overload;
mod side;
mod slow_sockets;
mod tls;
mod traces;

use crate::Bench;
use crate::report::Finding;
use anyhow::Result;

/// All of it, on the embedded engine.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mut findings = vec![slow_sockets::measure(bench)?];
    findings.extend(overload::measure(bench)?);
    findings.extend(traces::measure(bench)?);
    findings.extend(tls::measure(bench)?);
    Ok(findings)
}
