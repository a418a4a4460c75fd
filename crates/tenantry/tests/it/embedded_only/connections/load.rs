//! More requests at once than are worked on.

use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::raw::{RawConnection, head};
use futures_util::future::join_all;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long a machine that has much to do may take.
const PATIENCE: Duration = Duration::from_secs(60);

async fn running(client: &Client) -> String {
    let metrics = client.get("/metrics").await.text;
    let line = metrics.lines().find_map(|line| line.strip_prefix("http_requests_in_progress "));
    line.unwrap_or_else(|| panic!("{metrics}")).to_owned()
}

async fn app() -> App {
    Setup::unlimited().with("--max-concurrent-requests=1").start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn request_above_limit_is_refused_and_probes_are_answered() {
    let app = app().await;
    let client = app.client();
    let body = json!({ "email": "nobody@acme.example", "password": "not the password" });
    let deadline = Instant::now() + PATIENCE;
    // Each hashes a password, so that some of them meet sooner or later.
    let refused = loop {
        let all = join_all((0..8).map(|_| client.post("/admin/login", &body))).await;
        if let Some(refused) = all.into_iter().find(|answer| answer.status == 503) {
            break refused;
        }
        assert!(Instant::now() < deadline, "none was refused");
    };
    assert_eq!(refused.header("retry-after"), "1");
    refused.refused("overloaded");
    for probe in ["/livez", "/readyz", "/health"] {
        client.get(probe).await.ok();
    }
    let metrics = client.get("/metrics").await.text;
    assert!(metrics.lines().any(|line| line.starts_with("http_requests_shed_total ")), "{metrics}");
    // What was refused holds no place.
    assert_eq!(running(&client).await, "0");
    client.post("/admin/login", &body).await.refused("invalid_credentials");
}

#[tokio::test]
async fn slow_senders_take_no_place_of_others() {
    let app = app().await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut connection = RawConnection::open(&app).await;
        connection.send(head("POST /admin/login", "content-length: 1000").as_bytes()).await;
        connection.send(b"{").await;
        slow.push(connection);
    }
    let deadline = Instant::now() + PATIENCE;
    while running(&app.client()).await != "0" {
        assert!(Instant::now() < deadline, "they count while their bodies arrive");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    app.client().get("/org/get?organization_name=Acme").await.refused("organization_not_found");
    drop(slow);
}
