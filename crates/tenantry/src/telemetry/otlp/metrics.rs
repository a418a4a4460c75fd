//! The metrics of `/metrics` as OTLP: one recording, and two ways out.

use super::client::OtlpClient;
use crate::system::SystemClock;
use crate::telemetry::render_metrics;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use prost::Message;
use std::collections::BTreeMap;
use std::time::Duration;
use tenantry_domain::clock::Clock;

/// Sends the metrics of this process at intervals.
#[derive(Clone)]
pub struct MetricsSender {
    client: OtlpClient,
    resource: ProtoResource,
    interval: Duration,
    started: Timestamp,
}

impl MetricsSender {
    /// Sends metrics that have counted since `started`.
    pub fn new(client: OtlpClient, resource: &Resource, interval: Duration, started: Timestamp) -> Self {
        let attributes = ResourceAttributesWithSchema::from(resource).attributes.0;
        let resource = ProtoResource { attributes, ..ProtoResource::default() };
        Self { client, resource, interval, started }
    }

    /// Sends them at intervals. Never returns.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.send().await;
        }
    }

    /// Sends them now. A failure is counted and logged.
    pub async fn send(&self) {
        let span = Span { start: nanoseconds(self.started), end: nanoseconds(SystemClock.now()) };
        let scope = InstrumentationScope {
            name: "tenantry".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let metrics = ScopeMetrics {
            scope: Some(scope),
            metrics: read(&render_metrics(), span),
            schema_url: String::new(),
        };
        let resource_metrics = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![metrics],
            schema_url: String::new(),
        };
        let body = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec();
        let _ = self.client.send("metrics", body).await;
    }
}

/// The time that a value is for, in nanoseconds since 1970.
#[derive(Clone, Copy)]
struct Span {
    start: u64,
    end: u64,
}

fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or_default()
}

/// A metric of the text format, as far as it has been read.
struct Family<'a> {
    name: &'a str,
    kind: &'a str,
    help: &'a str,
    numbers: Vec<NumberDataPoint>,
    /// By their labels other than `le`.
    histograms: BTreeMap<Vec<(&'a str, String)>, Buckets>,
}

#[derive(Default)]
struct Buckets {
    bounds: Vec<f64>,
    /// Each with those before it.
    counts: Vec<u64>,
    sum: f64,
}

/// The metrics in a text of the Prometheus format, as our recorder writes it.
fn read(text: &str, span: Span) -> Vec<Metric> {
    let mut families: Vec<Family<'_>> = Vec::new();
    let mut help = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (numbers, histograms) = (Vec::new(), BTreeMap::new());
            families.push(Family { name, kind, help, numbers, histograms });
            help = "";
        } else if let (Some(family), Some(sample)) = (families.last_mut(), Sample::read(line)) {
            family.add(sample, span);
        }
    }
    families.into_iter().map(|family| family.finish(span)).collect()
}

/// A line with a value.
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
}

impl<'a> Sample<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, rest) = line.split_at(end);
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        Some(Self { name, labels, value: value.trim().parse().ok()? })
    }
}

/// The labels at the beginning of `rest`, and what follows their brace.
fn labels(mut rest: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        if let Some(value) = rest.strip_prefix('}') {
            return Some((labels, value));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        let end = loop {
            match characters.next()? {
                (index, '"') => break index,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name, value));
        let after = &quoted[end + 1..];
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

impl<'a> Family<'a> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts are whole and not negative"
    )]
    fn add(&mut self, sample: Sample<'a>, span: Span) {
        if self.kind != "histogram" {
            let (start, end) = (span.start, span.end);
            self.numbers.push(NumberDataPoint {
                attributes: attributes(sample.labels),
                start_time_unix_nano: if self.kind == "counter" { start } else { 0 },
                time_unix_nano: end,
                value: Some(number_data_point::Value::AsDouble(sample.value)),
                ..NumberDataPoint::default()
            });
            return;
        }
        let mut labels = sample.labels;
        let bound = labels.iter().position(|(name, _)| *name == "le").map(|index| labels.remove(index).1);
        let buckets = self.histograms.entry(labels).or_default();
        match (sample.name.strip_prefix(self.name), bound) {
            (Some("_bucket"), Some(bound)) => {
                // The last one, of all values, has no bound in OTLP.
                buckets.bounds.extend(bound.parse().ok().filter(|bound: &f64| bound.is_finite()));
                buckets.counts.push(sample.value as u64);
            }
            (Some("_sum"), None) => buckets.sum = sample.value,
            _ => {}
        }
    }

    fn finish(self, span: Span) -> Metric {
        let temporality = AggregationTemporality::Cumulative.into();
        let data = match self.kind {
            "counter" => Data::Sum(Sum {
                data_points: self.numbers,
                aggregation_temporality: temporality,
                is_monotonic: true,
            }),
            "histogram" => Data::Histogram(Histogram {
                data_points: self
                    .histograms
                    .into_iter()
                    .map(|(labels, buckets)| buckets.finish(labels, span))
                    .collect(),
                aggregation_temporality: temporality,
            }),
            _ => Data::Gauge(Gauge { data_points: self.numbers }),
        };
        Metric {
            name: self.name.to_owned(),
            description: self.help.to_owned(),
            unit: unit(self.name).to_owned(),
            metadata: Vec::new(),
            data: Some(data),
        }
    }
}

impl Buckets {
    fn finish(self, labels: Vec<(&str, String)>, span: Span) -> HistogramDataPoint {
        let before = [0].into_iter().chain(self.counts.iter().copied());
        let alone = self.counts.iter().zip(before).map(|(count, before)| count.saturating_sub(before));
        HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: span.start,
            time_unix_nano: span.end,
            count: self.counts.last().copied().unwrap_or_default(),
            sum: Some(self.sum),
            bucket_counts: alone.collect(),
            explicit_bounds: self.bounds,
            ..HistogramDataPoint::default()
        }
    }
}

fn attributes(labels: Vec<(&str, String)>) -> Vec<KeyValue> {
    let attribute = |(name, value): (&str, String)| KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value)) }),
        ..KeyValue::default()
    };
    labels.into_iter().map(attribute).collect()
}

/// The unit that the name tells, as UCUM writes it.
fn unit(name: &str) -> &'static str {
    match name.trim_end_matches("_total") {
        name if name.ends_with("_seconds") => "s",
        name if name.ends_with("_bytes") => "By",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP requests_total Requests answered.
# TYPE requests_total counter
requests_total{method=\"GET\",route=\"/a,\\\"b}\"} 3
requests_total{method=\"PUT\",route=\"/\"} 0

# TYPE waiting gauge
waiting 1.5
# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{route=\"/\",le=\"0.1\"} 2
took_seconds_bucket{route=\"/\",le=\"1\"} 5
took_seconds_bucket{route=\"/\",le=\"+Inf\"} 6
took_seconds_sum{route=\"/\"} 7.25
took_seconds_count{route=\"/\"} 6
";

    fn text_of(attribute: &KeyValue) -> (&str, &str) {
        match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => (&attribute.key, text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn metrics_text_becomes_sums_gauges_and_histograms() {
        let metrics = read(TEXT, Span { start: 1, end: 2 });
        let [requests, waiting, took] = metrics.as_slice() else { panic!("{metrics:?}") };
        let Some(Data::Sum(sum)) = &requests.data else { panic!("{requests:?}") };
        assert_eq!((requests.description.as_str(), sum.is_monotonic), ("Requests answered.", true));
        assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsDouble(3.0)));
        let labels: Vec<_> = sum.data_points[0].attributes.iter().map(text_of).collect();
        assert_eq!(labels, [("method", "GET"), ("route", "/a,\"b}")]);
        assert_eq!((sum.data_points[1].start_time_unix_nano, sum.data_points[1].time_unix_nano), (1, 2));
        let Some(Data::Gauge(gauge)) = &waiting.data else { panic!("{waiting:?}") };
        assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsDouble(1.5)));
        let Some(Data::Histogram(histogram)) = &took.data else { panic!("{took:?}") };
        let [point] = histogram.data_points.as_slice() else { panic!("{histogram:?}") };
        assert_eq!(
            (point.bucket_counts.as_slice(), point.explicit_bounds.as_slice()),
            (&[2, 3, 1][..], &[0.1, 1.0][..])
        );
        assert_eq!((point.count, point.sum, took.unit.as_str()), (6, Some(7.25), "s"));
    }
}
