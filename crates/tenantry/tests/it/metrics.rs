//! `/metrics` as a whole: everything that the page of metrics has is there from the start, and nothing else ever is.

use crate::support::app::App;
use crate::support::client::Client;
use crate::support::fixtures::{PASSWORD, credentials, insert_lines, organization};
use crate::support::test_env::Engine;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
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
        r#"requests_rate_limited_total{limit="address"} 0"#,
        r#"requests_rate_limited_total{limit="mail-organization"} 0"#,
        r#"sign_in_failures_total{kind="sign_in_busy"} 0"#,
        r#"organizations{status="purging"} 0"#,
        r#"otlp_exports_total{signal="traces",result="failed"} 0"#,
        r#"tls_certificate_reloads_total{result="refused"} 0"#,
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

/// The value of a series, once `is_there`: some are read in the background.
async fn value(client: &Client, series: &str, is_there: impl Fn(f64) -> bool) -> f64 {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let text = client.get("/metrics").await.text;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
        match value {
            Some(value) if is_there(value) => return value,
            _ => assert!(Instant::now() < deadline, "{series} is {value:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Where the time went: each engine counts the calls that it was asked for, and none of the other's.
#[tokio::test(flavor = "multi_thread")]
async fn engine_calls_are_measured_by_what_they_are() {
    let app = App::start().await;
    let acme = organization(&app, "Acme Corp").await;
    acme.store(&[json!({ "_id": 1 })]).await;
    let (own, others): (&[&str], &[&str]) = match crate::engine() {
        Engine::Embedded => (
            &["record_read", "record_write", "container_read", "container_write"],
            &["record_command", "container_command"],
        ),
        Engine::MongoDb => (
            &["record_command", "container_command"],
            &[
                "record_read",
                "record_scan",
                "record_write",
                "container_read",
                "container_scan",
                "container_write",
            ],
        ),
    };
    let (client, call) = (app.client(), if own.len() > 2 { "container_read" } else { "container_command" });
    let count = |call: &str| format!("store_call_duration_seconds_count{{call=\"{call}\"}}");
    let before = value(&client, &count(call), |_| true).await;
    acme.owner.get(&format!("{}/~1", acme.documents())).await.ok();
    // At least one: the service also works by itself.
    value(&client, &count(call), |now| now > before).await;
    for call in own {
        value(&client, &count(call), |calls| calls > 0.0).await;
        value(&client, &format!("store_call_errors_total{{call=\"{call}\"}}"), |errors| errors == 0.0).await;
    }
    let text = client.get("/metrics").await.text;
    for call in others {
        assert!(text.contains(&format!("{} 0\n", count(call))), "{call}\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_failures_are_counted_by_kind() {
    let app = App::start().await;
    let acme = organization(&app, "Acme Corp").await;
    let client = app.client();
    for email in [acme.email(), "nobody@acme.example"] {
        client
            .post("/admin/login", &credentials(email, "not the password"))
            .await
            .refused("invalid_credentials");
    }
    let body = json!({ "email": acme.email(), "password": PASSWORD, "organization": "another" });
    client.post("/admin/login", &body).await.refused("organization_not_found");
    for (kind, count) in [("invalid_credentials", 2.0), ("organization_not_found", 1.0), ("other", 0.0)] {
        let series = format!("sign_in_failures_total{{kind=\"{kind}\"}}");
        value(&client, &series, |value| value == count).await;
    }
}

/// Only what is written, and once.
#[tokio::test(flavor = "multi_thread")]
async fn schema_warnings_count_documents_that_are_written() {
    let app = App::start().await;
    let acme = organization(&app, "Acme Corp").await;
    let (owner, documents, client) = (&acme.owner, acme.documents(), app.client());
    let set = async |level: &str, action: &str| {
        let schema = json!({ "schema": { "required": ["name"] }, "level": level, "action": action });
        assert!(owner.put(&acme.about("schema"), &schema).await.status.is_success());
    };
    let counted = async |count: f64| value(&client, "schema_warnings_total", |value| value >= count).await;
    set("strict", "error").await;
    owner.post(&documents, &json!({ "_id": "refused" })).await.refused("schema_violation");
    set("strict", "warn").await;
    owner.post(&documents, &json!({ "_id": "good", "name": "Ann" })).await.created();
    assert_eq!(counted(0.0).await, 0.0);

    owner.post(&documents, &json!({ "_id": "one" })).await.created();
    owner.post(&documents, &json!({ "_id": "one", "again": true })).await.refused("document_exists");
    assert_eq!(counted(1.0).await, 1.0);
    let lines = "{\"_id\":\"one\"}\n{\"_id\":2}\n{\"_id\":3,\"name\":\"Cid\"}\n{\"_id\":4}\n";
    insert_lines(owner, &documents, lines).await.lines();
    assert_eq!(counted(3.0).await, 3.0, "two of the lines, not the one that was there");
    owner.put(&format!("{documents}/one"), &json!({ "n": 1 })).await.ok();
    owner.patch(&format!("{documents}/one"), &json!({ "n": 2 })).await.ok();
    let update = json!({ "filter": {}, "update": { "$unset": { "name": "" } }, "multi": true });
    assert_eq!(owner.post(&acme.about("update"), &update).await.ok()["modified"], 2);
    assert_eq!(counted(7.0).await, 7.0);
    // Those that violate it already need not be valid.
    set("moderate", "warn").await;
    owner.patch(&format!("{documents}/one"), &json!({ "n": 3 })).await.ok();
    owner.post(&documents, &json!({ "_id": "new" })).await.created();
    assert_eq!(counted(8.0).await, 8.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn organizations_are_counted_by_status() {
    let app = App::start().await;
    let acme = organization(&app, "Acme Corp").await;
    organization(&app, "Globex").await;
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    // They are counted when the service starts, and then at intervals.
    let app = app.restart().await;
    for (status, count) in [("active", 1.0), ("suspended", 1.0), ("deleted", 0.0)] {
        let series = format!("organizations{{status=\"{status}\"}}");
        value(&app.client(), &series, |value| value == count).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn process_and_disk_are_measured() {
    let app = App::start().await;
    let client = app.client();
    for series in ["process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds"] {
        value(&client, series, |value| value > 0.0).await;
    }
    let open = value(&client, "process_open_fds", |value| value > 3.0).await;
    assert!(value(&client, "process_max_fds", |value| value > 0.0).await >= open);
    if crate::engine() == Engine::Embedded {
        let free = value(&client, "data_disk_free_bytes", |value| value > 0.0).await;
        assert!(value(&client, "data_disk_size_bytes", |value| value > 0.0).await >= free);
    }
}
