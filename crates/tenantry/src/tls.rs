//! TLS on the service's own port: the certificate in use, and its replacement without a restart.

mod pair;
mod pinned;
mod validity;

pub use pair::PairFiles;
pub use pinned::client_config;

use crate::config::{Config, Warning};
use crate::telemetry::metrics_table::{TLS_CERTIFICATE_EXPIRY, TLS_CERTIFICATE_RELOADS};
use anyhow::{Result, anyhow};
use jiff::Timestamp;
use pair::{Pair, PairText};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tenantry_api::listen::Http2;
use tenantry_domain::clock::Clock;
use tokio::signal::unix::Signal;
use tokio_rustls::TlsAcceptor;

/// How often the files are read again.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How long the files must stay as they are before they are used: a renewal writes two, one after the other.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// TLS with a certificate that is kept fresh.
pub struct Tls {
    acceptor: TlsAcceptor,
    in_use: Arc<PairInUse>,
    files: PairFiles,
    /// What the files held when they were read last.
    text: PairText,
}

/// The pair of the next handshake.
#[derive(Debug)]
struct PairInUse(RwLock<Arc<Pair>>);

impl Tls {
    /// Reads the files of the settings; `None` if they name none.
    ///
    /// # Errors
    /// A sentence that names the file and what to do.
    pub async fn load(config: &Config) -> Result<Option<Self>> {
        let Some(files) = PairFiles::of(config) else { return Ok(None) };
        let text = files.read().await;
        let pair = files.parse(&text).map_err(|error| anyhow!(error))?;
        show_expiry(&pair);
        let in_use = Arc::new(PairInUse(RwLock::new(Arc::new(pair))));
        let acceptor = TlsAcceptor::from(Arc::new(server_config(config.http2, Arc::clone(&in_use))?));
        Ok(Some(Self { acceptor, in_use, files, text }))
    }

    /// Makes the handshakes.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// When the certificate expires.
    #[must_use]
    pub fn expiry(&self) -> Timestamp {
        self.in_use.get().validity.not_after
    }

    /// What is valid and rarely intended about the pair and its files.
    #[must_use]
    pub fn warnings(&self, now: Timestamp) -> Vec<Warning> {
        self.files.warnings(&self.in_use.get(), now)
    }

    /// Takes files that have changed. Never returns.
    pub async fn keep_fresh(mut self, mut hangup: Signal, clock: &dyn Clock) {
        loop {
            let is_asked = tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => false,
                _ = hangup.recv() => true,
            };
            self.refresh(is_asked, clock.now()).await;
        }
    }

    /// Reads the files, and uses them if they have changed and hold a pair. What cannot be used is told of once, or whenever
    /// somebody asks.
    async fn refresh(&mut self, is_asked: bool, now: Timestamp) {
        let Some(text) = self.settled().await else { return };
        if text == self.text && !is_asked {
            return;
        }
        self.text = text;
        let result = match self.files.parse(&self.text) {
            Ok(pair) => {
                for Warning { found, advice } in self.files.warnings(&pair, now) {
                    tracing::warn!("{found}: {advice}");
                }
                show_expiry(&pair);
                tracing::info!(expires = %pair.validity.not_after, "the certificate was read again and is in use");
                self.in_use.set(pair);
                "taken"
            }
            Err(error) => {
                tracing::error!(%error, "the changed certificate is not used; the one before stays in use");
                "refused"
            }
        };
        metrics::counter!(TLS_CERTIFICATE_RELOADS, "result" => result).increment(1);
    }

    /// What the files hold once they rest; `None` while they are being changed.
    async fn settled(&self) -> Option<PairText> {
        let text = self.files.read().await;
        if text == self.text {
            return Some(text);
        }
        tokio::time::sleep(SETTLE_TIME).await;
        (self.files.read().await == text).then_some(text)
    }
}

fn show_expiry(pair: &Pair) {
    metrics::gauge!(TLS_CERTIFICATE_EXPIRY).set(pair.validity.not_after.as_duration().as_secs_f64());
}

fn server_config(http2: Http2, in_use: Arc<PairInUse>) -> Result<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(in_use);
    // Sessions are resumed with the client's own ticket: nothing is kept for clients that never come back.
    config.ticketer = Ticketer::new()?;
    let http1 = b"http/1.1".to_vec();
    config.alpn_protocols = if http2 == Http2::Off { vec![http1] } else { vec![b"h2".to_vec(), http1] };
    Ok(config)
}

impl PairInUse {
    fn get(&self) -> Arc<Pair> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, pair: Pair) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
    }
}

impl ResolvesServerCert for PairInUse {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.get().certified))
    }
}
