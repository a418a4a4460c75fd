//! What a request leaves in the log.

use crate::support::process::Launch;
use reqwest::Method;

#[tokio::test]
async fn head_and_options_are_logged_as_quietly_as_get() {
    let home = tempfile::tempdir().unwrap();
    let server = Launch::on(&home.path().join("data")).start();
    let client = server.client();
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        client.send(method, "/livez", None).await;
    }
    // What came first is in the log before this is.
    client.send(Method::GET, "/nothing", None).await.refused("route_not_found");
    let log = loop {
        let log = server.log();
        if log.contains("/nothing") || log.contains("unmatched") {
            break log;
        }
        tokio::task::yield_now().await;
    };
    let answered = log.lines().filter(|line| line.contains("answered"));
    let routes: Vec<&str> = answered.filter(|line| line.contains("/livez")).collect();
    // There is no OPTIONS there, and a client that asks for it is told so, in the log too.
    assert_eq!(routes.len(), 1, "{routes:?}");
    assert!(routes[0].contains("OPTIONS") && routes[0].contains("405"), "{routes:?}");
    server.stop().await;
}

#[tokio::test]
async fn preflight_is_logged_as_quietly_as_get() {
    let home = tempfile::tempdir().unwrap();
    let server = Launch::on(&home.path().join("data")).with("--cors-origins=https://a.example").start();
    let client = server
        .client()
        .with_header("origin", "https://a.example")
        .with_header("access-control-request-method", "GET");
    assert_eq!(client.send(Method::OPTIONS, "/livez", None).await.status, 200);
    server.client().send(Method::GET, "/nothing", None).await.refused("route_not_found");
    while !server.log().contains("unmatched") {
        tokio::task::yield_now().await;
    }
    assert!(!server.log().contains("OPTIONS"), "{}", server.log());
    server.stop().await;
}
