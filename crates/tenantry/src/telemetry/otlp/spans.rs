//! Which requests are traced, and the spans that are sent of them.

use super::client::OtlpClient;
use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler as SdkSampler, SdkTracerProvider, SpanData, SpanExporter,
};
use prost::Message;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tenantry_api::request_trace::{AdoptParent, RequestTracer, TRACED};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::{Context as LayerContext, Filter};
use tracing_subscriber::registry::LookupSpan;

/// Finished spans that wait to be sent; further ones are dropped.
const QUEUE_SPANS: usize = 4096;
/// Spans of one export.
const EXPORT_SPANS: usize = 512;
/// How long finished spans wait for others.
const EXPORT_DELAY: Duration = Duration::from_secs(2);

/// Sends the spans of `resource` from a thread of its own.
pub fn provider(client: OtlpClient, resource: Resource) -> SdkTracerProvider {
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE_SPANS)
        .with_max_export_batch_size(EXPORT_SPANS)
        .with_scheduled_delay(EXPORT_DELAY)
        .build();
    let exporter = HttpExporter { client, resource: (&resource).into() };
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    // What gets as far as that has been sampled already.
    SdkTracerProvider::builder()
        .with_sampler(SdkSampler::AlwaysOn)
        .with_resource(resource)
        .with_span_processor(processor)
        .build()
}

#[derive(Debug)]
struct HttpExporter {
    client: OtlpClient,
    resource: ResourceAttributesWithSchema,
}

impl SpanExporter for HttpExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        self.client.send("traces", body).await.map_err(OTelSdkError::InternalFailure)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

/// Decides by the caller's `traceparent`, or else by a share of the requests.
pub struct Sampler {
    /// Of 2^64.
    threshold: u128,
    seed: u64,
    requests: AtomicU64,
    propagator: TraceContextPropagator,
}

impl Sampler {
    /// Traces `ratio` of the requests whose callers say nothing; which of them depends on `seed`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the ratio is from 0 to 1")]
    pub fn new(ratio: f64, seed: u64) -> Self {
        let threshold = (ratio * 2.0_f64.powi(64)) as u128;
        Self { threshold, seed, requests: AtomicU64::new(0), propagator: TraceContextPropagator::new() }
    }

    /// Not each one in so many: requests that come in turns would always be the same.
    fn is_chosen(&self) -> bool {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        u128::from(scatter(self.seed.wrapping_add(number))) < self.threshold
    }
}

impl RequestTracer for Sampler {
    fn sample(&self, headers: &HeaderMap) -> Option<AdoptParent> {
        if headers.contains_key("traceparent") {
            let parent = self.propagator.extract_with_context(&Context::new(), &Headers(headers));
            let caller = parent.span().span_context().clone();
            if caller.is_valid() {
                return caller.is_sampled().then(|| adopt(parent));
            }
        }
        self.is_chosen().then(|| adopt(Context::new()))
    }

    fn trace_id(&self, span: &Span) -> Option<String> {
        let context = span.context();
        let id = context.span().span_context().trace_id();
        (id != TraceId::INVALID).then(|| id.to_string())
    }
}

/// The `traceparent` of a call that is made for the request of the current span; `None` if that is not traced.
#[must_use]
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid()
        .then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
}

fn adopt(parent: Context) -> AdoptParent {
    Box::new(move |span| {
        // It fails only where the layer is missing, and then nothing is sent at all.
        let _ = span.set_parent(parent);
    })
}

/// Numbers in a row to numbers that look random (the finalizer of SplitMix64).
const fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

/// The spans that are sent: those of traced requests, and what is within them. So what runs in no traced request is
/// told apart by one look at the current span, and while no request is traced without that.
pub struct TracedSpans {
    /// Traced requests under way.
    requests: AtomicUsize,
}

impl TracedSpans {
    pub const fn new() -> Self {
        Self { requests: AtomicUsize::new(0) }
    }
}

fn begins_trace(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TRACED
}

fn may_be_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && metadata.target().starts_with("tenantry")
        && (metadata.name() != "request" || begins_trace(metadata))
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for TracedSpans {
    fn enabled(&self, metadata: &Metadata<'_>, context: &LayerContext<'_, S>) -> bool {
        let is_within = || self.requests.load(Ordering::Relaxed) > 0 && context.lookup_current().is_some();
        may_be_traced(metadata) && (begins_trace(metadata) || is_within())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match may_be_traced(metadata) {
            true if begins_trace(metadata) => Interest::always(),
            true => Interest::sometimes(),
            false => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: LayerContext<'_, S>) {
        if begins_trace(attributes.metadata()) {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn on_close(&self, id: Id, context: LayerContext<'_, S>) {
        if context.metadata(&id).is_some_and(begins_trace) {
            self.requests.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

    fn with_parent(value: &str) -> HeaderMap {
        HeaderMap::from_iter([("traceparent".parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn sampler_follows_decision_of_caller() {
        let (none, all) = (Sampler::new(0.0, 1), Sampler::new(1.0, 1));
        assert!(none.sample(&with_parent(&format!("{CALLER}-01"))).is_some());
        assert!(all.sample(&with_parent(&format!("{CALLER}-00"))).is_none());
        for malformed in ["", "nonsense", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
            assert!(none.sample(&with_parent(malformed)).is_none(), "{malformed}");
            assert!(all.sample(&with_parent(malformed)).is_some(), "{malformed}");
        }
    }

    #[test]
    fn sampler_takes_its_share_of_requests() {
        let sampler = Sampler::new(0.01, 42);
        let taken: Vec<usize> =
            (0..100_000).filter(|_| sampler.sample(&HeaderMap::new()).is_some()).collect();
        assert!((900..1100).contains(&taken.len()), "{}", taken.len());
        let intervals: HashSet<usize> = taken.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(intervals.len() > 50, "requests that come in turns would always be the same: {intervals:?}");
    }
}
