//! Checks the dependencies: `cargo-deny` with the rules of `deny.toml`.
//!
//! Licences, bans and sources need no network. The list of advisories is fetched; if that fails, the step
//! says so and passes: a machine without network must be able to run every check.

use crate::shell::{command, run};
use crate::tools::programs::DENY;
use anyhow::Result;
use std::process::Command;

/// Seconds that fetching the list of advisories may take. Without network it would otherwise wait for minutes.
const FETCH_SECONDS: &str = "60";

/// Fails if a dependency breaks a rule of `deny.toml`.
pub fn check() -> Result<()> {
    run(DENY.command("--locked check --hide-inclusion-graph licenses bans sources")?)?;
    if let Err(reason) = fetch_advisories(&DENY.command("--locked fetch db")?) {
        println!("advisories: not run ({reason})");
        return Ok(());
    }
    run(DENY.command("--locked check --disable-fetch advisories")?)
}

/// Fetches the list of advisories; returns the reason if that failed.
fn fetch_advisories(fetch: &Command) -> std::result::Result<(), String> {
    let mut limited = command("timeout", &[FETCH_SECONDS]);
    limited.arg(fetch.get_program()).args(fetch.get_args());
    let output = limited.output().map_err(|error| format!("`timeout` does not start: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(reason(&String::from_utf8_lossy(&output.stderr))) }
}

/// The last complaint of `cargo-deny`, on one line.
fn reason(complaints: &str) -> String {
    let last = complaints.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.unwrap_or("their list did not arrive in time").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_reason_is_last_line_or_timeout() {
        assert_eq!(reason("fetching\n  no route to host\n\n"), "no route to host");
        assert_eq!(reason("\n"), "their list did not arrive in time");
    }
}
