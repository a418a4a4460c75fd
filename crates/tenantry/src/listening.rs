//! How the service listens, as its settings say.

use crate::config::Config;
use crate::fd_limit;
pub use crate::tls::Tls;
use anyhow::Result;
use axum::http::HeaderValue;
use tenantry_api::listen::{Limits, Options};

/// Connections of one address, where a quarter of all would be fewer.
const CONNECTIONS_PER_ADDRESS_MIN: usize = 64;

/// What the accept loop is told, and TLS, whose certificate is to be kept fresh.
///
/// # Errors
/// A sentence about the files of TLS.
pub async fn options(config: &Config) -> Result<(Options, Option<Tls>)> {
    let tls = Tls::load(config).await?;
    let max_connections = fd_limit::connections(config.max_connections);
    let options = Options {
        limits: Limits {
            max_connections,
            max_connections_per_network: match config.max_connections_per_address {
                0 => (max_connections / 4).max(CONNECTIONS_PER_ADDRESS_MIN),
                connections => connections,
            },
            header_timeout: config.header_timeout,
            idle_timeout: config.idle_timeout,
            write_timeout: config.request_timeout,
            export_pause_timeout: config.export_pause_timeout,
            drain_timeout: config.drain_timeout,
        },
        http2: config.http2,
        tls: tls.as_ref().map(Tls::acceptor),
        hsts: hsts(config),
        trusted_proxies: config.trusted_proxies.clone(),
    };
    Ok((options, tls))
}

fn hsts(config: &Config) -> Option<HeaderValue> {
    let seconds = config.hsts_max_age.as_secs();
    (seconds > 0).then(|| HeaderValue::from_str(&format!("max-age={seconds}")).ok()).flatten()
}
