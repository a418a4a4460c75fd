//! What an operator sees of requests: lines in the log, traces and metrics at a collector.

use crate::support::client::Client;
use crate::support::fixtures::{PASSWORD, credentials, new_organization};
use crate::support::identity_provider::{AUDIENCE, ISSUER, Provider, ProviderKey, key_set};
use crate::support::jwks_server::{Behavior, JwksServer};
use crate::support::otlp_receiver::{OtlpReceiver, attribute, hex};
use crate::support::process::{Launch, Server};
use crate::support::test_env::TestEnv;
use futures_util::future::join_all;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use tenantry::telemetry::METRICS;

const EMAIL: &str = "owner@acme.example";

/// An organization, and a client of its owner: its id and the client.
async fn acme(server: &Server) -> (String, Client) {
    let client = server.client();
    let made = client.post("/org/create", &new_organization("Acme", EMAIL)).await.created();
    let tokens = client.post("/admin/login", &credentials(EMAIL, PASSWORD)).await.ok();
    let owner = client.with_token(tokens["access_token"].as_str().unwrap());
    (made["id"].as_str().unwrap().to_owned(), owner)
}

/// The lines about requests that were answered.
fn requests(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == "answered").collect()
}

fn about<'a>(lines: &'a [Value], method: &str, route: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["method"] == method && line["route"] == route).collect()
}

#[tokio::test]
async fn request_log_names_client_organization_and_outcome() {
    let test_env = TestEnv::new();
    let server = Launch::on(&test_env)
        .with("--trusted-proxies=127.0.0.1")
        .with("--log-format=json")
        .with("--log-requests=all")
        .start();
    let (id, owner) = acme(&server).await;
    let documents = "/v1/organizations/acme/collections/documents/documents";
    let owner = owner.with_header("x-forwarded-for", "198.51.100.7");
    owner.get(documents).await.ok();
    owner.get(&format!("{documents}/missing")).await.refused("document_not_found");
    server.operator().get("/v1/organizations/acme").await.ok();
    server
        .client()
        .post("/admin/login", &credentials(EMAIL, "a wrong password"))
        .await
        .refused("invalid_credentials");
    let log = server.log_at_its_end().await;
    let lines = requests(&log);

    let list = about(&lines, "GET", "/v1/organizations/{organization}/collections/{collection}/documents");
    let line = list[0];
    assert_eq!((&line["status"], &line["level"]), (&200.into(), &"INFO".into()), "{line}");
    assert_eq!((&line["client"], &line["organization"]), (&"198.51.100.7".into(), &id.as_str().into()));
    assert!(line["micros"].as_u64().unwrap() > 0 && line["code"].is_null(), "{line}");
    let missing = about(
        &lines,
        "GET",
        "/v1/organizations/{organization}/collections/{collection}/documents/{document}",
    );
    assert_eq!((&missing[0]["status"], &missing[0]["code"]), (&404.into(), &"document_not_found".into()));
    // The operator's credential is of no organization: it is the one that the path names.
    let shown = about(&lines, "GET", "/v1/organizations/{organization}")[0];
    assert_eq!((&shown["organization"], &shown["client"]), (&id.as_str().into(), &"127.0.0.1".into()));
    let [good, bad] = about(&lines, "POST", "/admin/login")[..] else { panic!("{log}") };
    assert_eq!((&good["organization"], &good["code"]), (&id.as_str().into(), &Value::Null));
    assert_eq!((&bad["organization"], &bad["code"]), (&Value::Null, &"invalid_credentials".into()));
    let token = owner.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
    for secret in [EMAIL, PASSWORD, "a wrong password", token, "acme/collections"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn request_log_has_only_changes_and_refusals_by_default() {
    let test_env = TestEnv::new();
    let server = Launch::on(&test_env).with("--log-format=json").start();
    let (_, owner) = acme(&server).await;
    owner.get("/v1/me").await.ok();
    owner.get("/v1/organizations/nobody").await.refused("organization_not_found");
    let lines = requests(&server.log_at_its_end().await);
    assert!(about(&lines, "GET", "/v1/me").is_empty());
    assert_eq!(about(&lines, "POST", "/org/create").len(), 1);
    assert_eq!(about(&lines, "GET", "/v1/organizations/{organization}").len(), 1);
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// That `span` is within the one called `name`.
fn is_within(trace: &[Span], span: &Span, name: &str) -> bool {
    let parent = trace.iter().find(|other| other.span_id == span.parent_span_id);
    parent.is_some_and(|parent| parent.name == name || is_within(trace, parent, name))
}

fn target(span: &Span) -> String {
    attribute(&span.attributes, "target")
}

/// The calls of the engine for records in the trace `id`, by their names.
fn engine_calls(collector: &OtlpReceiver, id: &str) -> Vec<String> {
    let trace = collector.trace(id);
    let of_engine = trace.iter().filter(|span| target(span).starts_with("tenantry_store_"));
    // Values of the installation, such as its signing keys, are no records: they are read once a process.
    of_engine.filter(|span| span.name != "get_value").map(|span| span.name.clone()).collect()
}

/// The session, the account and the organization: nothing else is read to know who calls, and nothing at all soon after.
#[tokio::test]
async fn access_token_costs_at_most_three_record_reads() {
    let collector = OtlpReceiver::start().await;
    let test_env = TestEnv::new();
    let launch = || {
        Launch::on(&test_env)
            .with(&format!("--otel-exporter-otlp-endpoint={}", collector.endpoint))
            .with("--otel-traces-sampler-arg=0")
            .start()
    };
    let server = launch();
    let (id, owner) = acme(&server).await;
    let token = owner.header("authorization").unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    server.log_at_its_end().await;
    // A new process has no record in memory.
    let server = launch();
    let owner = server.client().with_token(&token);
    let traces = [TRACE.to_owned(), TRACE.replace('4', "5")];
    for trace in &traces {
        let traced = owner.with_header("traceparent", &format!("00-{trace}-{PARENT}-01"));
        traced.get(&format!("/v1/organizations/{id}")).await.ok();
    }
    server.log_at_its_end().await;

    let [cold, warm] = traces.map(|trace| engine_calls(&collector, &trace));
    assert!((1..=3).contains(&cold.len()), "{cold:?}");
    assert!(warm.len() <= cold.len(), "{warm:?}");
    let names: BTreeSet<_> = cold.iter().collect();
    assert_eq!(names.len(), cold.len(), "a record is read twice: {cold:?}");
}

#[tokio::test]
async fn trace_goes_from_request_to_engine_call() {
    let collector = OtlpReceiver::start().await;
    let test_env = TestEnv::new();
    let server = Launch::on(&test_env)
        .with(&format!("--otel-exporter-otlp-endpoint={}", collector.endpoint))
        .with("--otel-exporter-otlp-headers=api-key=a%20secret")
        .with("--otel-service-name=tenants")
        .with("--otel-traces-sampler-arg=0")
        .start();
    let (id, owner) = acme(&server).await;
    let traced = |flags: &str| owner.with_header("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"));
    let documents = format!("/v1/organizations/{id}/collections/documents/documents");
    traced("01")
        .post(&documents, &serde_json::json!({ "_id": "a", "text": "canary of a document" }))
        .await
        .created();
    traced("01").get(&format!("{documents}/a")).await.ok();
    traced("01").get(&format!("{documents}/b")).await.refused("document_not_found");
    // What the caller does not trace is not traced, nor is what nobody asks to be traced.
    traced("00").get("/v1/me").await.ok();
    owner.get("/v1/me").await.ok();
    let log = server.log_at_its_end().await;

    let trace = collector.trace(TRACE);
    assert_eq!(collector.spans().len(), trace.len(), "nothing else was traced");
    let roots: Vec<_> = trace.iter().filter(|span| hex(&span.parent_span_id) == PARENT).collect();
    let names: Vec<_> = roots.iter().map(|span| span.name.as_str()).collect();
    let collection = "/v1/organizations/{organization}/collections/{collection}/documents";
    let (post, get) = (format!("POST {collection}"), format!("GET {collection}/{{document}}"));
    assert_eq!(names, [&post, &get, &get], "{log}");
    for (root, status, code) in
        [(roots[0], "201", ""), (roots[1], "200", ""), (roots[2], "404", "document_not_found")]
    {
        assert_eq!(root.kind, SpanKind::Server as i32);
        assert_ne!(root.status.as_ref().map_or(0, |status| status.code), SpanStatus::Error as i32);
        let value = |name| attribute(&root.attributes, name);
        assert_eq!((value("http.response.status_code"), value("code")), (status.to_owned(), code.to_owned()));
        assert_eq!((value("organization"), value("request_id").len()), (id.clone(), 32));
    }
    for name in [&post, &get] {
        let below: Vec<_> = trace.iter().filter(|span| is_within(&trace, span, name)).collect();
        let of = |layer: &str| below.iter().filter(|span| target(span).starts_with(layer)).count();
        let seen: Vec<_> = below.iter().map(|span| format!("{} {}", target(span), span.name)).collect();
        assert!(of("tenantry_domain::app") > 0, "{name} has no use case: {seen:?}");
        let engine = below.iter().find(|span| target(span).starts_with("tenantry_store_"));
        let engine = engine.unwrap_or_else(|| panic!("{name} has no engine call: {seen:?}"));
        let parent = trace.iter().find(|span| span.span_id == engine.parent_span_id).unwrap();
        assert!(target(parent).starts_with("tenantry_domain::app"), "{seen:?}");
    }
    let sent = format!("{trace:?}");
    let token = owner.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
    for secret in [EMAIL, PASSWORD, token, "a secret", "canary of a document"] {
        assert!(!sent.contains(secret) && !log.contains(secret), "{secret} is in a trace or in the log");
    }
    assert!(collector.headers().iter().all(|headers| headers["api-key"] == "a secret"));
}

/// The keys of an identity provider are asked for in the trace of the request that needs them, and the log says which it is.
#[tokio::test]
async fn outgoing_call_and_log_carry_trace_of_request() {
    let (collector, provider) = (OtlpReceiver::start().await, Provider::new());
    let keys = JwksServer::start(Behavior::Serves(key_set(&[&provider.key]))).await;
    let mut entry = provider.entry("650000000000000000000000");
    entry.as_object_mut().unwrap().remove("jwks_file");
    entry["jwks_url"] = keys.url().into();
    provider.configure(&entry);
    let server = Launch::on(&TestEnv::new())
        .with(&format!("--otel-exporter-otlp-endpoint={}", collector.endpoint))
        .with("--otel-traces-sampler-arg=0")
        .with("--log-format=json")
        .with(&provider.flag())
        .start();
    // Nobody has asked for them at the start.
    keys.answered(1).await;
    let unknown = ProviderKey::new("unknown");
    let claims = serde_json::json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": 1_700_000_000, "exp": 4_000_000_000_u64,
    });
    let somebody = server.client().with_token(&unknown.sign(&unknown.header(), &claims));
    let traced = somebody.with_header("traceparent", &format!("00-{TRACE}-{PARENT}-01"));
    traced.get("/v1/me").await.refused("token_invalid");
    server.client().get("/v1/me").await.refused("token_missing");
    let heads = keys.heads();
    let log = server.log_at_its_end().await;
    assert_eq!(heads.len(), 2, "{log}");
    assert!(!heads[0].contains("traceparent"), "{}", heads[0]);
    let call = heads[1].lines().find_map(|line| line.strip_prefix("traceparent: 00-"));
    let parent = call.and_then(|call| call.strip_prefix(TRACE)?.strip_prefix('-')?.strip_suffix("-01"));
    let trace = collector.trace(TRACE);
    let caller = trace.iter().find(|span| Some(hex(&span.span_id).as_str()) == parent);
    assert_eq!(caller.map(|span| span.name.as_str()), Some("get_document"), "{}", heads[1]);
    let lines = requests(&log);
    let ids: Vec<_> = about(&lines, "GET", "/v1/me").iter().map(|line| line["trace_id"].as_str()).collect();
    assert_eq!(ids, [Some(TRACE), None], "{log}");
}

#[tokio::test]
async fn metrics_at_collector_are_those_of_the_table() {
    let collector = OtlpReceiver::start().await;
    let test_env = TestEnv::new();
    let server = Launch::on(&test_env)
        .with(&format!("--otel-exporter-otlp-endpoint={}", collector.endpoint))
        .with("--otel-service-name=tenants")
        .start();
    server.client().get("/org/get?organization_name=Acme").await.refused("organization_not_found");
    server.stop().await;
    let (metrics, resource) = collector.last_metrics();
    let names: BTreeSet<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, METRICS.iter().map(|metric| metric.name).collect());
    assert_eq!(attribute(&resource, "service.name"), "tenants");
    assert_eq!(attribute(&resource, "service.version"), env!("CARGO_PKG_VERSION"));
    let text = format!("{metrics:?}");
    assert!(text.contains("/org/get"), "{text}");
    // Each request is traced unless the settings say otherwise.
    let requests = collector.spans().into_iter().filter(|span| span.name == "GET /org/get");
    assert_eq!(requests.count(), 1);
}

/// Nothing waits for a collector that takes no connections, or takes them and says nothing.
#[tokio::test]
async fn collector_that_is_away_delays_no_request() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, requests) in [(silent.local_addr().unwrap(), 150), (away, 2)] {
        let test_env = TestEnv::new();
        let server = Launch::on(&test_env)
            .with(&format!("--otel-exporter-otlp-endpoint=http://{address}"))
            .with("--otel-metric-export-interval=100")
            .start();
        // The first time, more spans than the queue has room for.
        let send = async || {
            let client = server.client();
            for _ in 0..requests {
                client.get("/org/get?organization_name=Acme").await.refused("organization_not_found");
            }
        };
        join_all((0..8).map(|_| send())).await;
        let stopping = Instant::now();
        server.stop().await;
        assert!(stopping.elapsed() < Duration::from_secs(20), "it waits for the collector");
    }
}
