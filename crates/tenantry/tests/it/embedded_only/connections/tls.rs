//! TLS on the service's own port.

use crate::support::certificates::Certificates;
use crate::support::process::{Launch, Server};
use crate::support::raw::RawResponse;
use rcgen::{KeyPair, date_time_ymd};
use rustls::version::{TLS12, TLS13};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a machine that has much to do may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service with TLS and these flags, and where its data is.
fn start(certificates: &Certificates, flags: &[&str]) -> (Server, TempDir) {
    let home = tempdir().unwrap();
    let launch = certificates.launch(Launch::on(&home.path().join("data")));
    let server = flags.iter().fold(launch, |launch, flag| launch.with(flag)).start();
    (server, home)
}

/// Sends `request`, which must ask for the connection to be closed, and reads until the service ends it.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> RawResponse {
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    // An end without an end of TLS would be an error.
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the end").unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {answer}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    RawResponse { status, head: head.to_owned(), body: body.to_owned() }
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: api.example\r\nconnection: close\r\n{more}\r\n")
}

#[tokio::test]
async fn tls_of_both_versions_serves_requests() {
    let certificates = Certificates::new();
    let (server, _home) = start(&certificates, &[]);
    for version in [&TLS12, &TLS13] {
        let stream = certificates.connect_with(server.address(), &[], &[version]).await.unwrap();
        assert_eq!(exchange(stream, &get("/livez", "")).await.status, 200);
    }
    let client = server.tls_client(&certificates.authority());
    let body = json!({ "organization_name": "Acme", "email": "a@acme.example", "password": "correct horse battery" });
    client.post("/org/create", &body).await.created();
    client.get("/org/get?organization_name=Acme").await.ok();
    server.stop().await;
}

/// The wrapper of the socket, which answers for the HTTP library, works within TLS, too.
#[tokio::test]
async fn malformed_head_within_tls_is_refused_with_problem() {
    let certificates = Certificates::new();
    let (server, _home) = start(&certificates, &["--header-timeout=1"]);
    let long = "y".repeat(17 << 10);
    for (request, status, code) in [
        ("GET /livez HTTP/1.1\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET /livez HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n".to_owned(), 400, "malformed_request"),
        (get(&format!("/{long}"), ""), 414, "uri_too_long"),
        (get("/livez", &format!("x: {long}\r\n")), 431, "headers_too_large"),
        // More than the kernel keeps, sent before the response is read.
        (get("/livez", &format!("x: {}\r\n", "y".repeat(2 << 20))), 431, "headers_too_large"),
        ("GET /livez HT".to_owned(), 408, "request_timeout"),
    ] {
        let stream = certificates.connect(server.address(), &["http/1.1"]).await.unwrap();
        let response = exchange(stream, &request).await;
        assert_eq!((response.status, response.code().as_str()), (status, code), "{response:?}");
        assert!(response.announces_close(), "{response:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn plain_http_on_tls_port_is_told_to_use_tls() {
    let certificates = Certificates::new();
    let (server, _home) = start(&certificates, &[]);
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let response = exchange(stream, &get("/livez", "")).await;
    let problem = response.problem();
    assert_eq!((response.status, &problem["code"]), (400, &"malformed_request".into()));
    assert!(problem["detail"].as_str().unwrap().contains("https://"), "{problem}");
    let metrics = server.tls_client(&certificates.authority()).get("/metrics").await.text;
    assert!(metrics.contains(r#"tls_handshake_failures_total{reason="plain_http"} 1"#), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn tls_handshake_that_does_not_come_is_not_waited_for() {
    let certificates = Certificates::new();
    let (server, _home) = start(&certificates, &["--header-timeout=1", "--idle-timeout=3600"]);
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    // The beginning of a handshake that goes no further.
    slow.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    for stream in [&mut silent, &mut slow] {
        let mut rest = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is closed").unwrap();
        assert!(rest.is_empty(), "{rest:?}");
    }
    let mut odd = TcpStream::connect(server.address()).await.unwrap();
    odd.write_all(&[22, 3, 1, 0, 5, 1, 0, 0, 1, 9, 0, 0]).await.unwrap();
    let _ = timeout(PATIENCE, odd.read_to_end(&mut Vec::new())).await.expect("it is closed");
    let metrics = server.tls_client(&certificates.authority()).get("/metrics").await.text;
    assert!(metrics.contains(r#"tls_handshake_failures_total{reason="timeout"} 2"#), "{metrics}");
    assert!(metrics.contains(r#"tls_handshake_failures_total{reason="failed"} 1"#), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn hsts_header_is_sent_over_tls_alone() {
    let certificates = Certificates::new();
    for (flag, expected) in
        [("--hsts-max-age=31536000", Some("max-age=31536000")), ("--hsts-max-age=0", None)]
    {
        let (server, _home) = start(&certificates, &[flag]);
        for (path, status) in [("/livez", 200), ("/nothing", 404)] {
            let stream = certificates.connect(server.address(), &[]).await.unwrap();
            let response = exchange(stream, &get(path, "")).await;
            assert_eq!((response.status, response.header("strict-transport-security")), (status, expected));
        }
        let local = server.tls_client(&certificates.authority()).get("/livez").await;
        assert!(!local.headers.contains_key("strict-transport-security"), "{local}");
        server.stop().await;
    }
    let home = tempdir().unwrap();
    let plain = Launch::on(&home.path().join("data")).with("--hsts-max-age=60").start();
    let stream = TcpStream::connect(plain.address()).await.unwrap();
    assert_eq!(exchange(stream, &get("/livez", "")).await.header("strict-transport-security"), None);
    plain.stop().await;
}

#[tokio::test]
async fn start_with_unusable_pair_names_the_file_and_the_fix() {
    let certificates = Certificates::new();
    let (certificate, key) = certificates.issue(|_| {});
    let other_key = KeyPair::generate().unwrap().serialize_pem();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let issuer_first = certificates.authority() + &certificate;
    for (certificate, key, says) in [
        (certificate.as_str(), other_key.as_str(), "does not belong to the first certificate"),
        (issuer_first.as_str(), key.as_str(), "comes before those of its issuers"),
        (key.as_str(), key.as_str(), "holds no certificate"),
        (certificate.as_str(), certificate.as_str(), "holds no private key"),
        (certificate.as_str(), encrypted, "is encrypted"),
        ("", key.as_str(), "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", key.as_str(), "X.509"),
        ("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n", key.as_str(), "is damaged"),
    ] {
        certificates.write(&(certificate.to_owned(), key.to_owned()));
        let home = tempdir().unwrap();
        let refused = certificates.launch(Launch::on(&home.path().join("data"))).refused().await;
        assert!(refused.contains(says) && refused.contains(".pem"), "{says}: {refused}");
        assert!(!refused.contains("BEGIN PRIVATE KEY-----\n"), "{refused}");
        assert!(!home.path().join("data").exists(), "nothing is made before the pair is read");
    }
    certificates.write(&certificates.issue(|_| {}));
    let home = tempdir().unwrap();
    let missing =
        certificates.launch(Launch::on(&home.path().join("data"))).with("--tls-key-file=/nothing/here");
    let refused = missing.refused().await;
    assert!(refused.contains("TLS_KEY_FILE /nothing/here cannot be read"), "{refused}");
}

#[tokio::test]
async fn start_warns_of_expired_certificate_and_open_key() {
    let certificates = Certificates::new();
    certificates.write(&certificates.issue(|parameters| parameters.not_after = date_time_ymd(2020, 1, 2)));
    fs::set_permissions(certificates.key(), fs::Permissions::from_mode(0o644)).unwrap();
    let (server, _home) = start(&certificates, &["--public-url=http://api.example"]);
    let log = server.log_at_its_end().await;
    for says in [
        "has expired (2020-01-02T00:00:00Z)",
        "can be read by other users (mode 0644)",
        "PUBLIC_URL begins with",
    ] {
        assert!(log.lines().any(|line| line.contains("WARN") && line.contains(says)), "{says}: {log}");
    }
}
