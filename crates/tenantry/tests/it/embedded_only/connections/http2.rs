//! HTTP/2: where it is spoken, and that it serves as HTTP/1.1 does.

use crate::support::app::{App, Setup};
use crate::support::certificates::Certificates;
use crate::support::fixtures::{PASSWORD, credentials, email_for, new_organization};
use crate::support::http2::{FrameConnection, Http2Client, PATIENCE, code, request, whole};
use crate::support::process::Launch;
use crate::support::raw::RawConnection;
use axum::body::{Body, Bytes};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::convert::Infallible;
use tempfile::tempdir;
use tokio::sync::mpsc;
use tokio::time::timeout;

async fn app() -> App {
    Setup::unlimited().with("--http2=prior-knowledge").start().await
}

#[tokio::test]
async fn http2_is_chosen_by_alpn_unless_it_is_off() {
    let (certificates, home) = (Certificates::new(), tempdir().unwrap());
    for (setting, expected) in [("tls", "h2"), ("prior-knowledge", "h2"), ("off", "http/1.1")] {
        let launch = certificates.launch(Launch::on(&home.path().join(setting)));
        let server = launch.with(&format!("--http2={setting}")).start();
        let stream = certificates.connect(server.address(), &["h2", "http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(expected.as_bytes()), "{setting}");
        if expected == "h2" {
            let client = Http2Client::over(stream).await;
            let response = client.send(request("GET", "/livez", Body::empty())).await;
            assert!(
                response.headers().contains_key("x-request-id") && response.headers().contains_key("date")
            );
            assert_eq!(whole(response).await.0, 200);
        }
        let older = certificates.connect(server.address(), &["http/1.1"]).await.unwrap();
        assert_eq!(older.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]), "{setting}");
        server.stop().await;
    }
}

#[tokio::test]
async fn plain_port_speaks_both_with_prior_knowledge() {
    let app = app().await;
    let client = Http2Client::open(app.address()).await;
    assert_eq!(client.get("/livez").await.0, 200);
    RawConnection::open(&app).await.serves().await;
    // In pieces, of which the first could be the beginning of HTTP/2.
    let mut connection = RawConnection::open(&app).await;
    for piece in [&b"P"[..], b"RI /livez HTT", b"P/1.1\r\nhost: a\r\n\r\n"] {
        connection.send(piece).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(connection.response().await.status, 405);
}

/// A backend's day on one connection: many streams at once, with bodies both ways.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_connection_carries_many_requests_at_once() {
    let app = app().await;
    let client = Http2Client::open(app.address()).await;
    let post = async |path: &str, token: Option<&str>, body: &Value| {
        let mut request = request("POST", path, Body::from(body.to_string()));
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let (status, body) = whole(client.send(request).await).await;
        assert!(status < 300, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice::<Value>(&body).unwrap()
    };
    let acme = post("/org/create", None, &new_organization("Acme", &email_for("Acme"))).await;
    let tokens = post("/admin/login", None, &credentials(&email_for("Acme"), PASSWORD)).await;
    let (token, id) = (tokens["access_token"].as_str().unwrap(), acme["id"].as_str().unwrap());
    let path = format!("/v1/organizations/{id}/collections/documents/documents");
    let long = "x".repeat(100_000);
    let bodies: Vec<_> = (0..200).map(|number| json!({ "number": number, "text": long })).collect();
    join_all(bodies.iter().map(|body| post(&path, Some(token), body))).await;
    let mut list = request("GET", &format!("{path}?limit=200"), Body::empty());
    list.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let (status, page) = whole(client.send(list).await).await;
    assert!(status == 200 && page.len() > 1_000_000, "{status} {}", page.len());
}

#[tokio::test]
async fn http2_body_that_nobody_reads_leaves_connection_usable() {
    let app = app().await;
    let client = Http2Client::open(app.address()).await;
    // Together far more than what may arrive before it is read.
    for _ in 0..40 {
        let response = client.send(request("POST", "/nothing", Body::from(vec![b'x'; 200_000]))).await;
        let (status, body) = whole(response).await;
        assert_eq!((status, code(&body).as_str()), (404, "route_not_found"));
    }
    assert_eq!(client.get("/livez").await.0, 200);
}

#[tokio::test]
async fn http2_drain_announces_its_end_and_finishes_requests() {
    let home = tempdir().unwrap();
    let server = Launch::on(&home.path().join("data")).with("--http2=prior-knowledge").start();
    let mut frames = FrameConnection::open(server.address()).await;
    let client = Http2Client::open(server.address()).await;
    let (pieces, body) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    let body = futures_util::stream::unfold(body, |mut body| async { Some((body.recv().await?, body)) });
    let mut slow = request("POST", "/admin/login", Body::from_stream(body));
    slow.headers_mut().insert("content-type", "application/json".parse().unwrap());
    let mut response = Box::pin(client.try_send(slow));
    // The request is under way before the service is told to stop.
    assert!(futures_util::poll!(&mut response).is_pending());
    pieces.send(Ok(Bytes::from_static(b"{"))).await.unwrap();
    assert_eq!(client.get("/livez").await.0, 200);
    server.terminate();
    frames.announces_end().await;
    drop(frames);
    pieces.send(Ok(Bytes::from_static(b"}"))).await.unwrap();
    drop(pieces);
    let response = timeout(PATIENCE, response).await.unwrap().unwrap();
    assert_eq!(whole(response).await.0, 400);
    drop(client);
    server.ended_well().await;
}
