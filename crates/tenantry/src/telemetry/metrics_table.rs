//! The table of all metrics: what `/metrics` describes, what it shows from the start, and the page `docs/metrics.md`.
//!
//! A metric that is recorded and not in this table fails a test.
//!
//! # Pitfalls
//! A counter that appears with its first event looks to Prometheus as if there had been none: so every series whose
//! labels are known begins with 0.

use super::otlp::{OTLP_EXPORTS, OTLP_RESULTS, OTLP_SIGNALS};
use super::system_metrics::{
    DISK_FREE, DISK_SIZE, PROCESS_CPU, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT_MEMORY,
    PROCESS_VIRTUAL_MEMORY, WAL_SIZE,
};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use std::fmt::Write;
use tenantry_api::metrics::{
    DOCUMENT_FULL_SCANS, HTTP_CONNECTIONS, HTTP_CONNECTIONS_REFUSED, HTTP_REQUEST_DURATION, HTTP_REQUESTS,
    HTTP_REQUESTS_IN_PROGRESS, HTTP_REQUESTS_SHED, HTTP2_CONNECTIONS_CUT_OFF, PASSWORD_HASH_QUEUE_DEPTH,
    REQUESTS_RATE_LIMITED, TLS_HANDSHAKE_FAILURES, rate_limits,
};
use tenantry_domain::metrics::{
    DOCUMENTS_EXPIRED, MAIL_DROP_REASONS, MAILS_DROPPED, MAILS_SENT, MAILS_TRIED_AGAIN, MAILS_WAITING,
    OPERATION_RECOVERIES, OPERATIONS, ORGANIZATION_TURN_WAITS, ORGANIZATIONS, PASSWORD_HASH_DURATION,
    QUERY_STARTS, QUERY_THREADS, SCHEMA_WARNINGS, SIGN_IN_FAILURE_KINDS, SIGN_IN_FAILURES,
    STORE_CACHE_INVALIDATIONS, STORE_CALL_DURATION, STORE_CALL_ERRORS, STORE_CHANGE_STREAM_ALIVE,
    STORE_WRITE_BATCH_SIZE,
};
use tenantry_domain::operation::{OperationKind, OperationState};
use tenantry_domain::organization::Status;
use tenantry_domain::store::STORE_CALLS;

/// When the process started.
pub const PROCESS_START_TIME: &str = "process_start_time_seconds";
/// When the certificate in use expires.
pub const TLS_CERTIFICATE_EXPIRY: &str = "tls_certificate_expiry_seconds";
/// Times that changed files of TLS were read, by `result`: `taken` or `refused`.
pub const TLS_CERTIFICATE_RELOADS: &str = "tls_certificate_reloads_total";
/// Always 1; its label `version` tells which build runs.
pub const BUILD_INFO: &str = "build_info";

/// Always 1; its label `engine` tells where the data is.
pub const STORE_INFO: &str = "store_info";

use MetricKind::{Counter, Gauge, Histogram};

/// The type of a metric in Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; 0 at each start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values in buckets.
    Histogram,
}

impl MetricKind {
    /// Its name in the text format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    unit: Unit,
    help: &'static str,
    labels: &'static [Label],
}

#[derive(Debug, Clone, Copy)]
struct Label {
    name: &'static str,
    values: Values,
}

/// The values of a label.
#[derive(Debug, Clone, Copy)]
enum Values {
    /// These, known from the start.
    Fixed(fn() -> Vec<&'static str>),
    /// What the text says; who records the metric makes the first series.
    Recorded(&'static str),
}

const fn metric(name: &'static str, kind: MetricKind, unit: Unit, help: &'static str) -> Metric {
    Metric { name, kind, unit, help, labels: &[] }
}

const fn labeled(metric: Metric, labels: &'static [Label]) -> Metric {
    Metric { labels, ..metric }
}

const fn recorded(name: &'static str, text: &'static str) -> Label {
    Label { name, values: Values::Recorded(text) }
}

const fn fixed(name: &'static str, values: fn() -> Vec<&'static str>) -> Label {
    Label { name, values: Values::Fixed(values) }
}

const METHOD: Label = recorded("method", "the method, or `OTHER`");
const ROUTE: Label = recorded("route", "the path in the API document, or `unmatched`");

fn operation_kinds() -> Vec<&'static str> {
    OperationKind::ALL.iter().map(|kind| kind.as_str()).collect()
}

fn operation_outcomes() -> Vec<&'static str> {
    vec![OperationState::Succeeded.as_str(), OperationState::Failed.as_str()]
}

fn organization_statuses() -> Vec<&'static str> {
    Status::ALL.iter().map(|status| status.as_str()).collect()
}

/// Every metric, in the order of the page.
pub const METRICS: &[Metric] = &[
    labeled(
        metric(
            HTTP_REQUESTS,
            Counter,
            Unit::Count,
            "Requests answered. For each operation the good statuses, 500 and 503 are there from the start; another status \
             appears with its first request.",
        ),
        &[METHOD, ROUTE, recorded("status", "the status of the response")],
    ),
    labeled(
        metric(
            HTTP_REQUEST_DURATION,
            Histogram,
            Unit::Seconds,
            "From the head of a request to the head of its response. That of `GET /livez` is there from the start, the \
             others appear with their first request.",
        ),
        &[METHOD, ROUTE],
    ),
    metric(HTTP_CONNECTIONS, Gauge, Unit::Count, "Open connections of clients."),
    metric(HTTP_REQUESTS_IN_PROGRESS, Gauge, Unit::Count, "Requests that are worked on."),
    metric(
        HTTP_REQUESTS_SHED,
        Counter,
        Unit::Count,
        "Requests refused at once, because `MAX_CONCURRENT_REQUESTS` were worked on.",
    ),
    labeled(
        metric(
            REQUESTS_RATE_LIMITED,
            Counter,
            Unit::Count,
            "Requests refused with 429, because there were too many of them (`docs/guides/limits.md`).",
        ),
        &[fixed("limit", rate_limits)],
    ),
    metric(
        HTTP_CONNECTIONS_REFUSED,
        Counter,
        Unit::Count,
        "Connections closed at once, because their address had `MAX_CONNECTIONS_PER_ADDRESS`.",
    ),
    labeled(
        metric(TLS_HANDSHAKE_FAILURES, Counter, Unit::Count, "TLS handshakes that did not succeed."),
        &[fixed("reason", || vec!["failed", "plain_http", "timeout"])],
    ),
    labeled(
        metric(
            HTTP2_CONNECTIONS_CUT_OFF,
            Counter,
            Unit::Count,
            "HTTP/2 connections that were closed for what their client did: too many resets, or pieces of heads and bodies (`flood`); \
             too many frames without a request (`frames`); a head that came too slowly (`head`); what the protocol forbids \
             (`protocol`); too many responses left standing (`stalled`).",
        ),
        &[fixed("reason", || vec!["flood", "frames", "head", "protocol", "stalled"])],
    ),
    metric(
        TLS_CERTIFICATE_EXPIRY,
        Gauge,
        Unit::Seconds,
        "When the certificate in use expires, in seconds since 1970; 0 without TLS.",
    ),
    labeled(
        metric(TLS_CERTIFICATE_RELOADS, Counter, Unit::Count, "Times that changed files of TLS were read."),
        &[fixed("result", || vec!["taken", "refused"])],
    ),
    labeled(
        metric(
            SIGN_IN_FAILURES,
            Counter,
            Unit::Count,
            "Sign-ins with an address and a password that failed, by the code of the refusal.",
        ),
        &[fixed("kind", || SIGN_IN_FAILURE_KINDS.to_vec())],
    ),
    labeled(
        metric(
            ORGANIZATIONS,
            Gauge,
            Unit::Count,
            "Organizations of each status, in the whole installation; counted about once a minute, and less often where \
             there are very many.",
        ),
        &[fixed("status", organization_statuses)],
    ),
    labeled(
        metric(OPERATIONS, Counter, Unit::Count, "Recorded multi-step changes that ended."),
        &[fixed("kind", operation_kinds), fixed("outcome", operation_outcomes)],
    ),
    metric(
        OPERATION_RECOVERIES,
        Counter,
        Unit::Count,
        "Operations taken over from an instance that did not finish them.",
    ),
    labeled(
        metric(QUERY_STARTS, Counter, Unit::Count, "Queries that the embedded engine has started."),
        &[fixed("thread", || QUERY_THREADS.to_vec())],
    ),
    metric(
        DOCUMENT_FULL_SCANS,
        Counter,
        Unit::Count,
        "Queries of documents, and updates and deletes by a filter, that no index serves and that examined more than `FULL_SCAN_NOTICE`.",
    ),
    metric(
        SCHEMA_WARNINGS,
        Counter,
        Unit::Count,
        "Documents written although they violate the schema of their collection, which only warns.",
    ),
    metric(DOCUMENTS_EXPIRED, Counter, Unit::Count, "Documents removed because they had expired."),
    metric(
        ORGANIZATION_TURN_WAITS,
        Counter,
        Unit::Count,
        "Calls for an organization's data that waited because it had reached its limit.",
    ),
    metric(PASSWORD_HASH_QUEUE_DEPTH, Gauge, Unit::Count, "Passwords that wait for a thread."),
    metric(PASSWORD_HASH_DURATION, Histogram, Unit::Seconds, "Work of a thread on one password."),
    metric(MAILS_WAITING, Gauge, Unit::Count, "Mails that wait to be sent, about."),
    metric(MAILS_SENT, Counter, Unit::Count, "Mails that the mail server has taken."),
    metric(MAILS_TRIED_AGAIN, Counter, Unit::Count, "Times that a mail could not be sent and waits."),
    labeled(
        metric(MAILS_DROPPED, Counter, Unit::Count, "Mails that were given up."),
        &[fixed("reason", || MAIL_DROP_REASONS.to_vec())],
    ),
    labeled(
        metric(
            STORE_CALL_DURATION,
            Histogram,
            Unit::Seconds,
            "Calls of the engine, with the time that they wait for it: reads and writes of records and of organizations' data \
             on the embedded engine, commands on them on MongoDB. What the cache answers is not in it.",
        ),
        &[fixed("call", || STORE_CALLS.to_vec())],
    ),
    labeled(
        metric(
            STORE_CALL_ERRORS,
            Counter,
            Unit::Count,
            "Calls of the engine that failed: it did not answer, or could not do what it should. A refusal, such as a name \
             that is taken, is none.",
        ),
        &[fixed("call", || STORE_CALLS.to_vec())],
    ),
    metric(
        STORE_WRITE_BATCH_SIZE,
        Histogram,
        Unit::Count,
        "Writes that the embedded engine made durable together.",
    ),
    metric(
        STORE_CHANGE_STREAM_ALIVE,
        Gauge,
        Unit::Count,
        "Whether changes by other instances are followed on MongoDB: 1 or 0. Always 0 on the embedded engine.",
    ),
    metric(
        STORE_CACHE_INVALIDATIONS,
        Counter,
        Unit::Count,
        "Records dropped from memory because another instance may have changed them.",
    ),
    labeled(
        metric(STORE_INFO, Gauge, Unit::Count, "Always 1; the label tells which engine keeps the data."),
        &[recorded("engine", "`embedded` or `mongodb`")],
    ),
    metric(
        WAL_SIZE,
        Gauge,
        Unit::Bytes,
        "Write-ahead logs of the embedded engine that are open; 0 on MongoDB.",
    ),
    metric(
        DISK_FREE,
        Gauge,
        Unit::Bytes,
        "Free space for the service on the disk of the data directory; 0 on MongoDB.",
    ),
    metric(DISK_SIZE, Gauge, Unit::Bytes, "Size of the disk of the data directory; 0 on MongoDB."),
    labeled(
        metric(
            OTLP_EXPORTS,
            Counter,
            Unit::Count,
            "Exports to the collector of OTEL_EXPORTER_OTLP_ENDPOINT that ended.",
        ),
        &[fixed("signal", || OTLP_SIGNALS.to_vec()), fixed("result", || OTLP_RESULTS.to_vec())],
    ),
    metric(PROCESS_RESIDENT_MEMORY, Gauge, Unit::Bytes, "Memory of the process that is in use."),
    metric(PROCESS_VIRTUAL_MEMORY, Gauge, Unit::Bytes, "Memory that the process has reserved."),
    metric(PROCESS_CPU, Counter, Unit::Seconds, "Processor time of the process."),
    metric(PROCESS_OPEN_FDS, Gauge, Unit::Count, "Open files and connections of the process."),
    metric(PROCESS_MAX_FDS, Gauge, Unit::Count, "How many of them the process may have."),
    metric(PROCESS_START_TIME, Gauge, Unit::Seconds, "When the process started, in seconds since 1970."),
    labeled(
        metric(BUILD_INFO, Gauge, Unit::Count, "Always 1; the label tells which build runs."),
        &[recorded("version", "the version of the service")],
    ),
];

/// Describes every metric, and begins every series whose labels are known with 0.
pub fn begin() {
    for metric in METRICS {
        match metric.kind {
            Counter => describe_counter!(metric.name, metric.unit, metric.help),
            Gauge => describe_gauge!(metric.name, metric.unit, metric.help),
            Histogram => describe_histogram!(metric.name, metric.unit, metric.help),
        }
        for labels in metric.known_series() {
            match metric.kind {
                Counter => counter!(metric.name, &labels).increment(0),
                Gauge => gauge!(metric.name, &labels).increment(0.0),
                // It is shown empty once it exists.
                Histogram => drop(histogram!(metric.name, &labels)),
            }
        }
    }
    let labels = [("method", "GET"), ("route", "/livez")];
    drop(histogram!(HTTP_REQUEST_DURATION, &labels));
}

impl Metric {
    /// The labels of every series that there may be; empty if that is not known here.
    fn known_series(&self) -> Vec<Vec<(&'static str, &'static str)>> {
        self.labels.iter().fold(vec![Vec::new()], |series, label| match label.values {
            Values::Recorded(_) => Vec::new(),
            Values::Fixed(values) => {
                let values = values();
                let with = |labels: &Vec<_>, value| [labels.as_slice(), &[(label.name, value)]].concat();
                series
                    .iter()
                    .flat_map(|labels| values.iter().map(move |value| with(labels, *value)))
                    .collect()
            }
        })
    }
}

const HEAD: &str = "\
<!-- Generated from crates/tenantry/src/telemetry/metrics_table.rs by `cargo xtask generate`: change it there. -->

# Metrics

`GET /metrics` has all of them in the text format of Prometheus. `METRICS` says who may read it: anybody (`open`), only who has
the operator key (`operator`, as a bearer token), or nobody (`off`).

No label names an organization, a path or an address: the number of series is bounded by the code. Every metric is there from
the start of the process, and every series whose labels are known begins with 0.

| metric | type | labels | what it is |
|---|---|---|---|
";

/// The page `docs/metrics.md`.
#[must_use]
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for metric in METRICS {
        let labels: Vec<String> = metric.labels.iter().map(Label::text).collect();
        let (name, kind, help) = (metric.name, metric.kind.as_str(), metric.help);
        let _ = writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join("; "));
    }
    page
}

impl Label {
    fn text(&self) -> String {
        let values = match self.values {
            Values::Recorded(text) => text.to_owned(),
            Values::Fixed(values) => {
                values().iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
            }
        };
        format!("`{}`: {values}", self.name)
    }
}
