//! `/metrics` as a whole: everything that the page of metrics has is there from the start, and nothing else ever is.

use crate::support::app::App;
use crate::support::fixtures::organization;
use serde_json::json;
use std::collections::BTreeSet;
use tenantry::telemetry::METRICS;

/// The metrics that `/metrics` declares, with their types.
fn declared(text: &str) -> BTreeSet<(&str, &str)> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

fn listed() -> BTreeSet<(&'static str, &'static str)> {
    METRICS.iter().map(|metric| (metric.name, metric.kind.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_those_of_the_table_from_the_start() {
    let app = App::start().await;
    let fresh = app.client().get("/metrics").await.text;
    assert_eq!(declared(&fresh), listed());
    for (name, _) in listed() {
        let has_help = fresh.lines().any(|line| line.starts_with(&format!("# HELP {name} ")));
        assert!(has_help, "{name} is not described");
    }
    for series in [
        r#"operations_total{kind="import",outcome="failed"} 0"#,
        r#"mails_dropped_total{reason="unreadable"} 0"#,
        r#"query_starts_total{thread="blocking"} 0"#,
        "operation_recoveries_total 0",
        "mails_sent_total 0",
        "documents_expired_total 0",
        "password_hash_seconds_count 0",
        r#"http_requests_total{method="POST",route="/v1/organizations",status="201"} 0"#,
        r#"http_requests_total{method="POST",route="/v1/organizations",status="500"} 0"#,
    ] {
        assert!(fresh.lines().any(|line| line == series), "{series} is missing in\n{fresh}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_those_of_the_table_after_work() {
    let app = App::start().await;
    let acme = organization(&app, "Acme Corp").await;
    acme.store(&[json!({ "a": 1 })]).await;
    acme.owner.get(&format!("{}?filter=%7B%22a%22%3A1%7D", acme.documents())).await.ok();
    app.client().get("/no/such/path").await;
    let text = app.client().get("/metrics").await.text;
    assert_eq!(declared(&text), listed());
    let created = r#"operations_total{kind="create",outcome="succeeded"} 1"#;
    assert!(text.lines().any(|line| line == created), "{text}");
}
