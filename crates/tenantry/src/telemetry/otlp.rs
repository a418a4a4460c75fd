//! Traces and metrics to a collector, by OTLP: HTTP with Protocol Buffers.
//!
//! What is sent is made on the side: a request puts its finished spans into a bounded queue and drops them where that is
//! full, and metrics are those of `/metrics`, read at intervals. A collector that is slow or away costs requests nothing.

mod client;
mod metrics;
mod spans;

pub use client::{OTLP_EXPORTS, OTLP_RESULTS, OTLP_SIGNALS};
pub use metrics::MetricsSender;
pub use spans::traceparent;

use crate::config::Config;
use crate::system::{SystemClock, SystemEntropy};
use anyhow::Result;
use client::OtlpClient;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use spans::TracedSpans;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tenantry_api::request_trace::RequestTracer;
use tenantry_domain::clock::Clock;
use tenantry_domain::ids::random;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

/// How long the last export may take when the service stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// What sends traces and metrics of this process, once it is set up.
static OTLP: OnceLock<Otlp> = OnceLock::new();

struct Otlp {
    provider: SdkTracerProvider,
    tracer: Arc<dyn RequestTracer>,
    sender: MetricsSender,
}

/// Sets up what the settings ask for; the layer that takes the spans of traced requests. `runtime` sends them.
///
/// # Errors
/// A sentence for the operator.
pub fn layer<S>(config: &Config, runtime: &Handle) -> Result<Option<impl Layer<S> + use<S>>>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let Some(client) = OtlpClient::new(config, runtime)? else { return Ok(None) };
    let instance: String = random::<8>(&SystemEntropy).iter().map(|byte| format!("{byte:02x}")).collect();
    let resource = Resource::builder_empty()
        .with_service_name(config.otlp_service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", instance))
        .build();
    let provider = spans::provider(client.clone(), resource.clone());
    let interval = Duration::from_millis(config.otlp_metric_interval_millis);
    let otlp = Otlp {
        provider: provider.clone(),
        tracer: Arc::new(spans::Sampler::new(
            config.otlp_sample_ratio.get(),
            u64::from_le_bytes(random(&SystemEntropy)),
        )),
        sender: MetricsSender::new(client, &resource, interval, SystemClock.now()),
    };
    // A second service in one process (a test) uses the first one's.
    if OTLP.set(otlp).is_err() {
        return Ok(None);
    }
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tenantry"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(true);
    Ok(Some(spans.with_filter(TracedSpans::new())))
}

/// Decides which requests are traced, if traces are sent.
#[must_use]
pub fn request_tracer() -> Option<Arc<dyn RequestTracer>> {
    OTLP.get().map(|otlp| Arc::clone(&otlp.tracer))
}

/// Sends metrics, if they are sent.
#[must_use]
pub fn metrics_sender() -> Option<MetricsSender> {
    OTLP.get().map(|otlp| otlp.sender.clone())
}

/// Sends what has not been sent yet, and nothing more.
pub async fn stop() {
    let Some(otlp) = OTLP.get() else { return };
    let provider = otlp.provider.clone();
    let spans = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT));
    let last = async { tokio::join!(spans, otlp.sender.send()) };
    if tokio::time::timeout(FLUSH_TIMEOUT, last).await.is_err() {
        tracing::warn!("the last traces and metrics were not sent in time");
    }
}
