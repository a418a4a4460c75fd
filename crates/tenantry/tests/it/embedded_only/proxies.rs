//! A proxy that the settings do not name is told of in the log, once.

use crate::support::process::Launch;
use tempfile::tempdir;

/// How often the log tells of a proxy at that address.
fn warnings(log: &str) -> usize {
    log.lines().filter(|line| line.contains("WARN") && line.contains("TRUSTED_PROXIES does not name")).count()
}

#[tokio::test]
async fn untrusted_proxy_is_warned_of_once() {
    let home = tempdir().unwrap();
    let server = Launch::on(&home.path().join("data")).start();
    server.client().get("/livez").await.ok();
    for _ in 0..3 {
        for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
            server.client().with_header(header, "203.0.113.5").get("/livez").await.ok();
        }
    }
    let log = server.log_at_its_end().await;
    assert_eq!(warnings(&log), 1, "{log}");
    assert!(log.contains("127.0.0.1") && !log.contains("203.0.113.5"), "{log}");
}

#[tokio::test]
async fn trusted_proxy_is_not_warned_of() {
    let home = tempdir().unwrap();
    let server = Launch::on(&home.path().join("data")).with("--trusted-proxies=127.0.0.0/8").start();
    server.client().with_header("x-forwarded-for", "203.0.113.5").get("/livez").await.ok();
    server.client().get("/livez").await.ok();
    assert_eq!(warnings(&server.log_at_its_end().await), 0);
}
