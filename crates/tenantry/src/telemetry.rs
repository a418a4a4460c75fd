//! Logs on standard error, metrics for Prometheus, and traces for OpenTelemetry.
//!
//! They must never contain an e-mail address, a password, a token or a secret.
//!
//! # Pitfalls
//! A label has few values, fixed by the code: a route may be one, a requested path or an organization never.

pub(crate) mod metrics_table;
pub mod otlp;
pub mod system_metrics;

pub use metrics_table::{BUILD_INFO, METRICS, Metric, MetricKind, PROCESS_START_TIME, STORE_INFO, markdown};

use crate::config::{Config, LogFormat, LogLevel};
use anyhow::Result;
use jiff::Timestamp;
use metrics::gauge;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;
use tenantry_api::metrics::HTTP_REQUEST_DURATION;
use tenantry_domain::metrics::{PASSWORD_HASH_DURATION, STORE_CALL_DURATION, STORE_WRITE_BATCH_SIZE};
use tokio::runtime::Handle;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

/// How often the recorder compacts its samples if nobody reads them.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets, in seconds: from an answer out of the cache to the default deadline of a request.
const REQUEST_SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Upper bounds of the buckets, in seconds: from a read in memory to the deadline of a query.
const STORE_CALL_SECONDS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Upper bounds of the buckets, in seconds: Argon2id takes some 14 ms, bcrypt with cost 12 some 214 ms.
const HASH_SECONDS: &[f64] = &[0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5];
/// Upper bounds of the buckets, in writes.
const BATCH_WRITES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Sends log lines to standard error from now on, and spans of traced requests where the settings say, by `runtime`. The
/// first call decides for the whole process.
///
/// # Errors
/// A sentence for the operator.
pub fn init(config: &Config, runtime: &Handle) -> Result<()> {
    let filter = log_filter(config.log_level);
    let subscriber = Registry::default().with(otlp::layer(config, runtime)?);
    let lines = fmt::layer().with_writer(std::io::stderr);
    // A second service in one process (a test) uses the first one's subscriber.
    let _ = match config.log_format {
        LogFormat::Json => subscriber.with(lines.json().flatten_event(true).with_filter(filter)).try_init(),
        LogFormat::Text if std::io::stderr().is_terminal() => {
            subscriber.with(lines.with_filter(filter)).try_init()
        }
        LogFormat::Text => subscriber.with(lines.with_ansi(false).with_filter(filter)).try_init(),
    };
    Ok(())
}

/// `level` for our crates, whose names all begin with `tenantry`; warnings of other crates, or less if
/// `level` is lower.
fn log_filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    Targets::new().with_default(level.min(Level::WARN)).with_target("tenantry", level)
}

/// The metrics of this process. The first call installs the recorder; earlier values are lost.
pub fn metrics_handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(install_recorder).clone()
}

fn install_recorder() -> PrometheusHandle {
    let recorder = recorder_builder().build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::error!("another recorder of metrics is installed: /metrics will be empty");
    }
    metrics_table::begin();
    handle
}

fn recorder_builder() -> PrometheusBuilder {
    let buckets = [
        (HTTP_REQUEST_DURATION, REQUEST_SECONDS),
        (PASSWORD_HASH_DURATION, HASH_SECONDS),
        (STORE_CALL_DURATION, STORE_CALL_SECONDS),
        (STORE_WRITE_BATCH_SIZE, BATCH_WRITES),
    ];
    buckets.into_iter().fold(PrometheusBuilder::new(), |builder, (name, bounds)| {
        builder
            .set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds)
            .expect("every list of bounds has some")
    })
}

/// Records the start time `now`, the version of the build, and the engine.
pub fn record_start(now: Timestamp, engine: &'static str) {
    gauge!(STORE_INFO, "engine" => engine).set(1.0);
    gauge!(PROCESS_START_TIME).set(now.as_duration().as_secs_f64());
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// All metrics in the format of Prometheus.
#[must_use]
pub fn render_metrics() -> String {
    let handle = metrics_handle();
    system_metrics::record_process();
    system_metrics::with_fractions(handle.render())
}

/// Keeps the memory of the recorder bounded while nobody reads `/metrics`. Never returns; one task is enough.
pub async fn metrics_upkeep() {
    let handle = metrics_handle();
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::{counter, histogram};
    use tenantry_api::metrics::HTTP_REQUESTS;

    #[test]
    fn log_filter_level_applies_to_us_and_others_only_warn() {
        let filter = log_filter(LogLevel::Debug);
        for target in ["tenantry", "tenantry::http", "tenantry_store::sqlite", "tenantry_domain"] {
            assert!(filter.would_enable(target, &Level::DEBUG), "{target}");
            assert!(!filter.would_enable(target, &Level::TRACE), "{target}");
        }
        assert!(filter.would_enable("hyper", &Level::WARN));
        assert!(!filter.would_enable("hyper", &Level::INFO));
        assert!(!log_filter(LogLevel::Error).would_enable("hyper", &Level::WARN));
    }

    #[test]
    fn metrics_are_written_in_prometheus_format() {
        let recorder = recorder_builder().build_recorder();
        let text = metrics::with_local_recorder(&recorder, || {
            metrics_table::begin();
            record_start(Timestamp::from_millisecond(1_700_000_000_500).unwrap(), "embedded");
            counter!(HTTP_REQUESTS, "method" => "GET", "route" => "/org/get", "status" => "200").increment(2);
            histogram!(HTTP_REQUEST_DURATION, "method" => "GET", "route" => "/org/get").record(0.0003);
            histogram!(STORE_WRITE_BATCH_SIZE).record(3.0);
            histogram!(PASSWORD_HASH_DURATION).record(0.014);
            recorder.handle().render()
        });
        for line in [
            r#"operations_total{kind="create",outcome="failed"} 0"#,
            r#"http_request_duration_seconds_count{method="GET",route="/livez"} 0"#,
            "mails_waiting 0",
            r#"store_info{engine="embedded"} 1"#,
            "# TYPE http_requests_total counter",
            r#"http_requests_total{method="GET",route="/org/get",status="200"} 2"#,
            "# TYPE http_request_duration_seconds histogram",
            r#"http_request_duration_seconds_bucket{method="GET",route="/org/get",le="0.00025"} 0"#,
            r#"http_request_duration_seconds_bucket{method="GET",route="/org/get",le="0.0005"} 1"#,
            r#"store_write_batch_size_bucket{le="2"} 0"#,
            r#"store_write_batch_size_bucket{le="4"} 1"#,
            r#"password_hash_seconds_bucket{le="0.015"} 1"#,
            "process_start_time_seconds 1700000000.5",
            concat!("build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
