//! The connection to the collector.

use crate::config::{Config, otlp_headers};
use anyhow::{Context, Result};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// Exports that have ended, by `signal` and `result`.
pub const OTLP_EXPORTS: &str = "otlp_exports_total";
/// The values of `signal`.
pub const OTLP_SIGNALS: [&str; 2] = ["traces", "metrics"];
/// The values of `result`.
pub const OTLP_RESULTS: [&str; 2] = ["succeeded", "failed"];

/// How long one export may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends exports. Its `Debug` shows no header: one may be a secret.
#[derive(Clone)]
pub struct OtlpClient {
    http: reqwest::Client,
    endpoint: Arc<str>,
    runtime: Handle,
    /// Whether the last export failed: a collector that is away is reported once.
    is_failing: Arc<AtomicBool>,
}

impl std::fmt::Debug for OtlpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtlpClient").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl OtlpClient {
    /// A client of the collector in the settings, if they name one. It works on `runtime`.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn new(config: &Config, runtime: &Handle) -> Result<Option<Self>> {
        let Some(endpoint) = config.otlp_endpoint.as_ref() else { return Ok(None) };
        let mut headers: HeaderMap = config.otlp_headers.as_ref().map_or_else(HeaderMap::new, |text| {
            otlp_headers::parse(text.expose()).unwrap_or_default().into_iter().collect()
        });
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .context("traces and metrics cannot be sent to OTEL_EXPORTER_OTLP_ENDPOINT")?;
        Ok(Some(Self {
            http,
            endpoint: endpoint.as_str().trim_end_matches('/').into(),
            runtime: runtime.clone(),
            is_failing: Arc::default(),
        }))
    }

    /// Sends the body of an export of that `signal`. Works on any thread.
    ///
    /// # Errors
    /// A sentence for the log.
    pub async fn send(&self, signal: &'static str, body: Vec<u8>) -> Result<(), String> {
        let request = self.http.post(format!("{}/v1/{signal}", self.endpoint)).body(body);
        let sent = self.runtime.spawn(async move { request.send().await?.error_for_status().map(|_| ()) });
        let sent = match sent.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.without_url().to_string()),
            Err(_) => Err("the service stops".to_owned()),
        };
        self.report(signal, &sent);
        sent
    }

    fn report(&self, signal: &'static str, sent: &Result<(), String>) {
        let result = if sent.is_ok() { "succeeded" } else { "failed" };
        ::metrics::counter!(OTLP_EXPORTS, "signal" => signal, "result" => result).increment(1);
        let was_failing = self.is_failing.swap(sent.is_err(), Ordering::Relaxed);
        if let (Err(error), false) = (sent, was_failing) {
            tracing::warn!(
                signal,
                error,
                "the collector of traces and metrics does not take them; they are dropped"
            );
        }
    }
}
