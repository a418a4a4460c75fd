//! What a request leaves in the log.

use crate::support::fixtures::{email_for, new_organization};
use crate::support::process::{Launch, Server};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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

/// The first line of the log with all of these parts.
async fn line_with(server: &Server, parts: &[&str]) -> String {
    loop {
        let log = server.log();
        if let Some(line) = log.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
            return line.to_owned();
        }
        tokio::task::yield_now().await;
    }
}

/// It matters more than elsewhere who sends them.
#[tokio::test]
async fn malformed_and_slow_requests_are_logged_with_client() {
    let home = tempfile::tempdir().unwrap();
    let server = Launch::on(&home.path().join("data")).with("--header-timeout=1").start();
    for (request, code) in
        [("GET /livez HTTP/1.1\r\n\r\n", "malformed_request"), ("GET /livez HT", "request_timeout")]
    {
        let mut connection = TcpStream::connect(server.address()).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let _ = connection.read_to_end(&mut Vec::new()).await;
        let line = line_with(&server, &["answered", code]).await;
        assert!(line.contains("client") && line.contains("127.0.0.1"), "{line}");
    }
    server.stop().await;
}

#[tokio::test]
async fn create_is_logged_with_its_organization() {
    let home = tempfile::tempdir().unwrap();
    let server = Launch::on(&home.path().join("data")).start();
    let client = server.client();
    for (name, client) in
        [("Acme", client.clone()), ("Beta", client.with_header("idempotency-key", "\"create-beta\""))]
    {
        let made = client.post("/org/create", &new_organization(name, &email_for(name))).await.created();
        line_with(&server, &["answered", "/org/create", made["id"].as_str().unwrap()]).await;
    }
    server.stop().await;
}
