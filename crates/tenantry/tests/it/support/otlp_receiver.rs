//! A collector that keeps what is sent to it by OTLP, decoded with the types of the protocol.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// What has arrived so far.
#[derive(Default)]
struct Arrived {
    headers: Vec<HeaderMap>,
    traces: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
}

/// A collector that listens until the test ends.
pub struct OtlpReceiver {
    /// Its URL.
    pub endpoint: String,
    arrived: Arc<Mutex<Arrived>>,
}

impl OtlpReceiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/collector", listener.local_addr().unwrap());
        let arrived = Arc::<Mutex<Arrived>>::default();
        let routes = Router::new()
            .route("/collector/v1/traces", post(traces))
            .route("/collector/v1/metrics", post(metrics))
            .with_state(Arc::clone(&arrived));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { endpoint, arrived }
    }

    /// The spans of that trace, in the order of their beginnings.
    pub fn trace(&self, id: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| hex(&span.trace_id) == id);
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }

    /// All spans.
    pub fn spans(&self) -> Vec<Span> {
        let arrived = self.arrived.lock().unwrap();
        let resources = arrived.traces.iter().flat_map(|export| &export.resource_spans);
        resources.flat_map(|of| &of.scope_spans).flat_map(|of| of.spans.clone()).collect()
    }

    /// The metrics that came last, and the attributes of their resource.
    pub fn last_metrics(&self) -> (Vec<Metric>, Vec<KeyValue>) {
        let arrived = self.arrived.lock().unwrap();
        let last = &arrived.metrics.last().expect("metrics have come").resource_metrics[0];
        let metrics = last.scope_metrics.iter().flat_map(|scope| scope.metrics.clone());
        (metrics.collect(), last.resource.clone().unwrap().attributes)
    }

    /// The headers of all exports.
    pub fn headers(&self) -> Vec<HeaderMap> {
        self.arrived.lock().unwrap().headers.clone()
    }
}

async fn traces(State(arrived): State<Arc<Mutex<Arrived>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let export = ExportTraceServiceRequest::decode(body).unwrap();
    let mut arrived = arrived.lock().unwrap();
    arrived.headers.push(headers);
    arrived.traces.push(export);
    StatusCode::OK
}

async fn metrics(State(arrived): State<Arc<Mutex<Arrived>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let export = ExportMetricsServiceRequest::decode(body).unwrap();
    let mut arrived = arrived.lock().unwrap();
    arrived.headers.push(headers);
    arrived.metrics.push(export);
    StatusCode::OK
}

/// The attribute of that name as text; empty if there is none.
pub fn attribute(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

/// Bytes as they are written in `traceparent`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
