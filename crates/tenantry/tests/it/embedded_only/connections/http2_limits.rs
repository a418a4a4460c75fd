//! What bounds a client of HTTP/2.

use crate::support::app::{App, Setup};
use crate::support::fixtures::{PASSWORD, credentials, email_for, insert_lines, new_organization};
use crate::support::http2::{
    FrameConnection, GOAWAY, HEADERS, Http2Client, PING, RST_STREAM, SETTINGS, code, frame, request, whole,
};
use crate::support::process::{Launch, Server};
use axum::body::Body;
use http_body_util::BodyExt;
use hyper::Request;
use std::time::{Duration, Instant};
use tempfile::tempdir;

/// The identifier of the setting for concurrent streams, and of that for the list of headers.
const MAX_CONCURRENT_STREAMS: u16 = 3;
const MAX_HEADER_LIST_SIZE: u16 = 6;

async fn app(flags: &[&str]) -> App {
    flags
        .iter()
        .fold(Setup::unlimited().with("--http2=prior-knowledge"), |setup, flag| setup.with(flag))
        .start()
        .await
}

/// Waits until so many connections were cut off for `reason`.
async fn cut_off(app: &App, reason: &str, count: u32) {
    let line = format!("http2_connections_cut_off_total{{reason=\"{reason}\"}} {count}");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !app.client().get("/metrics").await.text.lines().any(|found| found == line) {
        assert!(Instant::now() < deadline, "never: {line}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A literal of HPACK that is not indexed, after the byte of its name.
fn literal(name: &[u8], value: &str) -> Vec<u8> {
    [name, &[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
}

/// The head of a sign-in, whose body is to come.
fn sign_in() -> Vec<u8> {
    let (path, authority) = (literal(&[0x04], "/admin/login"), literal(&[0x01], "localhost"));
    // POST, http.
    [vec![0x83, 0x86], path, authority, literal(&[0x0f, 0x10], "application/json")].concat()
}

const END_HEADERS: u8 = 4;
/// The streams that one connection may have, and those that it may reset before anything is done for them.
const STREAMS: u32 = 128;
const RESETS: u32 = 20;

#[tokio::test]
async fn http2_settings_bound_streams_and_heads() {
    let app = app(&[]).await;
    let mut connection = FrameConnection::open(app.address()).await;
    let (kind, payload) = connection.frame().await.unwrap();
    assert_eq!(kind, SETTINGS);
    let setting = |wanted: u16| {
        payload.as_chunks::<6>().0.iter().find_map(|[a, b, value @ ..]| {
            (u16::from_be_bytes([*a, *b]) == wanted).then(|| u32::from_be_bytes(*value))
        })
    };
    assert_eq!(setting(MAX_CONCURRENT_STREAMS), Some(128));
    assert_eq!(setting(MAX_HEADER_LIST_SIZE), Some(32 << 10));
}

#[tokio::test]
async fn http2_head_beyond_its_limits_is_refused_with_problem() {
    let app = app(&[]).await;
    let client = Http2Client::open(app.address()).await;
    let long = "y".repeat(17 << 10);
    let mut many = request("GET", "/livez", Body::empty());
    for number in 0..101 {
        many.headers_mut().insert(
            hyper::header::HeaderName::try_from(format!("x-{number}")).unwrap(),
            "y".parse().unwrap(),
        );
    }
    let mut large = request("GET", "/livez", Body::empty());
    large.headers_mut().insert("x", long.parse().unwrap());
    let mut two_hosts = request("GET", "/livez", Body::empty());
    two_hosts.headers_mut().insert("host", "other.example".parse().unwrap());
    for (request, status, expected) in [
        (many, 431, "headers_too_large"),
        (large, 431, "headers_too_large"),
        (request("GET", &format!("/{long}"), Body::empty()), 414, "uri_too_long"),
        (two_hosts, 400, "malformed_request"),
    ] {
        let (found, body) = whole(client.send(request).await).await;
        assert_eq!((found, code(&body).as_str()), (status, expected));
    }
    assert_eq!(client.get("/livez").await.0, 200);
}

#[tokio::test]
async fn http2_head_that_is_too_slow_ends_connection() {
    let app = app(&["--header-timeout=1", "--idle-timeout=3600"]).await;
    // Without its end; and only the beginning of what every connection begins with.
    let mut head = FrameConnection::open(app.address()).await;
    head.send(HEADERS, 0, 1, &[0x82]).await.unwrap();
    head.kinds_until_end().await;
    cut_off(&app, "head", 1).await;
    let mut preface = crate::support::raw::RawConnection::open(&app).await;
    preface.send(b"PRI * HT").await;
    preface.ends().await;
}

#[tokio::test]
async fn idle_http2_connection_is_closed_in_order() {
    let app = app(&["--idle-timeout=1", "--header-timeout=60"]).await;
    let client = Http2Client::open(app.address()).await;
    assert_eq!(client.get("/livez").await.0, 200);
    let mut idle = FrameConnection::open(app.address()).await;
    drop(client);
    idle.announces_end().await;
}

#[tokio::test]
async fn flood_of_pings_ends_connection() {
    let app = app(&[]).await;
    let mut connection = FrameConnection::open(app.address()).await;
    // Until the service has had enough; it may end the connection while we write.
    for _ in 0..100_000 {
        if connection.send(PING, 0, 0, &[0; 8]).await.is_err() {
            break;
        }
    }
    connection.kinds_until_end().await;
    cut_off(&app, "frames", 1).await;
    let client = Http2Client::open(app.address()).await;
    assert_eq!(client.get("/livez").await.0, 200);
}

/// `RESETS` of them are borne, one more is not: the client pays with its connection, and the metric says so.
#[tokio::test]
async fn flood_of_resets_ends_connection() {
    let app = app(&[]).await;
    for (resets, is_borne) in [(RESETS, true), (RESETS + 1, false)] {
        let mut connection = FrameConnection::open(app.address()).await;
        let one = |number: u32| {
            let stream = 2 * number + 1;
            let head = frame(HEADERS, END_HEADERS, stream, &sign_in());
            [head, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        };
        // At once: a stream that the service has begun to answer before its reset is another matter.
        let frames: Vec<u8> = (0..resets).flat_map(one).collect();
        connection.send_bytes(&frames).await.unwrap();
        if is_borne {
            connection.send(PING, 0, 0, &[7; 8]).await.unwrap();
            assert_eq!(connection.next(PING).await, [7; 8]);
            cut_off(&app, "flood", 0).await;
        } else {
            // ENHANCE_YOUR_CALM.
            assert_eq!(connection.next(GOAWAY).await[4..8], 11_u32.to_be_bytes());
            connection.kinds_until_end().await;
            cut_off(&app, "flood", 1).await;
        }
    }
    assert_eq!(Http2Client::open(app.address()).await.get("/livez").await.0, 200);
}

#[tokio::test]
async fn stream_beyond_the_bound_is_refused_alone() {
    let app = app(&[]).await;
    let mut connection = FrameConnection::open(app.address()).await;
    let one = |number: u32| frame(HEADERS, END_HEADERS, 2 * number + 1, &sign_in());
    let frames: Vec<u8> = (0..=STREAMS).flat_map(one).collect();
    connection.send_bytes(&frames).await.unwrap();
    // REFUSED_STREAM: the client may send that request again.
    assert_eq!(connection.next(RST_STREAM).await, 7_u32.to_be_bytes());
    connection.send(PING, 0, 0, &[7; 8]).await.unwrap();
    assert_eq!(connection.next(PING).await, [7; 8]);
    cut_off(&app, "flood", 0).await;
}

#[tokio::test]
async fn frame_that_the_protocol_forbids_ends_connection() {
    let app = app(&[]).await;
    let mut connection = FrameConnection::open(app.address()).await;
    // Streams with even numbers are the server's.
    connection.send(HEADERS, END_HEADERS, 2, &sign_in()).await.unwrap();
    // PROTOCOL_ERROR.
    assert_eq!(connection.next(GOAWAY).await[4..8], 1_u32.to_be_bytes());
    connection.kinds_until_end().await;
    cut_off(&app, "protocol", 1).await;
}

#[tokio::test]
async fn slow_http2_body_is_refused_as_slow() {
    let app = app(&["--request-timeout=2"]).await;
    let client = Http2Client::open(app.address()).await;
    let body = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let mut login = request("POST", "/admin/login", body);
    login.headers_mut().insert("content-type", "application/json".parse().unwrap());
    let (status, body) = whole(client.send(login).await).await;
    assert_eq!((status, code(&body).as_str()), (408, "request_timeout"));
    assert_eq!(client.get("/livez").await.0, 200);
}

/// A service with an organization that is larger than what a client takes by itself, and the request of its export.
async fn with_export(server: &Server) -> impl Fn() -> Request<Body> + use<> {
    let anybody = server.client();
    let acme = anybody.post("/org/create", &new_organization("Acme", &email_for("Acme"))).await.created();
    let tokens = anybody.post("/admin/login", &credentials(&email_for("Acme"), PASSWORD)).await.ok();
    let owner = anybody.with_token(tokens["access_token"].as_str().unwrap());
    let path = format!("/v1/organizations/{}", acme["id"].as_str().unwrap());
    let line = format!("{{\"text\":\"{}\"}}\n", "x".repeat(500_000));
    insert_lines(&owner, &format!("{path}/collections/documents/documents"), &line.repeat(8)).await;
    let authorization = server.operator().header("authorization").unwrap().to_owned();
    move || {
        let mut export = request("GET", &format!("{path}/export"), Body::empty());
        export.headers_mut().insert("authorization", authorization.parse().unwrap());
        export
    }
}

/// One response that its client leaves standing is given up, and its connection goes on; several end the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_response_that_is_left_standing_is_given_up() {
    let home = tempdir().unwrap();
    let launch = Launch::on(&home.path().join("data")).with("--http2=prior-knowledge");
    let server = launch.with("--export-pause-timeout=1").with("--header-timeout=1").start();
    let export = with_export(&server).await;
    let client = Http2Client::open(server.address()).await;
    let mut standing = vec![client.send(export()).await];
    let deadline = Instant::now() + Duration::from_secs(30);
    while !server.log().contains("EXPORT_PAUSE_TIMEOUT") {
        assert!(Instant::now() < deadline, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.get("/livez").await.0, 200);
    // One that is read goes on as long as it likes.
    let read = client.send(export()).await.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&read[read.len() - 500..]).contains("{\"end\":"));
    for _ in 0..8 {
        // The connection may end before the last one.
        standing.extend(client.try_send(export()).await);
    }
    let (anybody, deadline) = (server.client(), Instant::now() + Duration::from_secs(30));
    while !anybody
        .get("/metrics")
        .await
        .text
        .contains(r#"http2_connections_cut_off_total{reason="stalled"} 1"#)
    {
        assert!(Instant::now() < deadline, "the connection goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.stop().await;
}
