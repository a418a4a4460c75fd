//! TLS: whether certificate and key can be used, belong together, and are valid.

use super::report::Report;
use crate::config::{Config, Warning};
use crate::tls::Tls;
use jiff::Timestamp;

const CHECK: &str = "tls";

/// Checks the files that `config` names.
pub fn examine(report: &mut Report, config: &Config, now: Timestamp) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let loaded = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(Tls::load(config)));
    match loaded {
        Ok(None) => report.ok(CHECK, "off: the service speaks HTTP, and a proxy in front of it TLS"),
        Ok(Some(tls)) => {
            let warnings = tls.warnings(now);
            if warnings.is_empty() {
                let found =
                    format!("key and certificate belong together; it is valid until {}", tls.expiry());
                report.ok(CHECK, found);
            }
            for Warning { found, advice } in &warnings {
                report.warn(CHECK, found, advice);
            }
        }
        Err(error) => report.fail(CHECK, format!("{error:#}"), ""),
    }
}
