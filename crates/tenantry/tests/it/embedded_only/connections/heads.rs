//! Heads that are no request, or could be read in two ways: 400, 414 and 431 with a problem, and the connection is closed.

use crate::support::app::{App, Setup};
use crate::support::raw::{RawConnection, RawResponse};

/// Malformed heads, each with its fault and the detail of its problem.
const MALFORMED: [(&str, &str); 18] = [
    ("GET /livez HTTP/1.1\r\n\r\n", "`Host`"),
    ("GET /livez HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", "more than one `Host`"),
    ("GET /livez HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n", "more than one `Host`"),
    ("GET /livez HTTP/1.1\r\nhost: a b\r\n\r\n", "not the name of a host"),
    ("GET /livez HTTP/1.1\nhost: a\n\n", "LF alone"),
    ("GET /livez HTTP/1.1\r\nhost: a\nx: y\r\n\r\n", "LF alone"),
    ("GET /livez HTTP/1.1\r\nhost: a\r\n\n", "LF alone"),
    ("GET /livez HTTP/1.1\r\nhost: a\r\n x: folded\r\n\r\n", "not HTTP/1.1"),
    ("GET /livez HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n", "not HTTP/1.1"),
    ("GET /livez\r\n\r\n", "first line"),
    ("GET /livez HTTP/2.0\r\nhost: a\r\n\r\n", "first line"),
    ("GET /a b HTTP/1.1\r\nhost: a\r\n\r\n", "not HTTP/1.1"),
    (
        "POST /org/create HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
        "beside `Content-Length`",
    ),
    (
        "POST /org/create HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "must be `chunked`",
    ),
    (
        "POST /org/create HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\ncontent-type: a/b\r\n\r\n",
        "must be `chunked`",
    ),
    (
        "POST /org/create HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        "must be `chunked`",
    ),
    (
        "POST /org/create HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}",
        "more than one `Content-Length`",
    ),
    ("POST /org/create HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 2\r\n\r\n", "not HTTP/1.1"),
];

#[track_caller]
fn assert_malformed(response: &RawResponse, says: &str, what: &str) {
    let problem = response.problem();
    assert_eq!((response.status, &problem["code"]), (400, &"malformed_request".into()), "{what}");
    assert!(problem["detail"].as_str().unwrap().contains(says), "{what}: {problem}");
    assert!(response.announces_close(), "{what}");
    for name in ["date", "cache-control", "x-content-type-options", "content-security-policy"] {
        assert!(response.header(name).is_some(), "{what}: no {name}");
    }
}

#[tokio::test]
async fn malformed_head_is_refused_with_problem_and_close() {
    let app = App::start().await;
    for (head, says) in MALFORMED {
        let mut connection = RawConnection::open(&app).await;
        connection.send(head.as_bytes()).await;
        assert_malformed(&connection.response().await, says, head);
        connection.ends().await;
    }
}

#[tokio::test]
async fn malformed_head_is_refused_in_any_pieces() {
    let app = App::start().await;
    for (head, says) in MALFORMED {
        let mut connection = RawConnection::open(&app).await;
        for piece in head.as_bytes().chunks(7) {
            // It may be refused before its end.
            if connection.try_send(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_malformed(&connection.response().await, says, head);
        connection.ends().await;
    }
}

/// The second of two requests that arrive in one piece is checked like the first.
#[tokio::test]
async fn malformed_head_behind_another_request_is_refused() {
    let app = App::start().await;
    let before = [
        "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST /nothing HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12345",
        "POST /nothing HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nt: z\r\n\r\n",
    ];
    for first in before {
        for (head, says) in MALFORMED {
            let mut connection = RawConnection::open(&app).await;
            connection.send(format!("{first}{head}").as_bytes()).await;
            assert!(connection.response().await.status < 405);
            assert_malformed(&connection.response().await, says, head);
            connection.ends().await;
        }
    }
}

/// The socket holds back all but the first. hyper asks for the others only while its `header_read_timeout`
/// is not `None`.
#[tokio::test]
async fn pipelined_requests_are_answered_one_by_one() {
    let app = App::start().await;
    let mut connection = RawConnection::open(&app).await;
    let get = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
    let post = "POST /admin/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let chunked =
        "POST /nothing HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let large =
        format!("POST /nothing HTTP/1.1\r\nhost: a\r\ncontent-length: 50000\r\n\r\n{}", "x".repeat(50_000));
    let all = [get, post, get, chunked, &large, get, post];
    connection.send(all.concat().as_bytes()).await;
    for request in all {
        let status = connection.response().await.status;
        let expected = match request {
            text if text == get => 200,
            text if text == post => 400,
            _ => 404,
        };
        assert_eq!(status, expected, "{}", &request[..40]);
    }
    connection.serves().await;
}

#[tokio::test]
async fn http_1_0_request_without_host_is_answered() {
    let app = App::start().await;
    let mut connection = RawConnection::open(&app).await;
    connection.send(b"GET /livez HTTP/1.0\r\n\r\n").await;
    assert_eq!(connection.response().await.status, 200);
    connection.ends().await;
}

#[tokio::test]
async fn malformed_head_request_is_refused_without_body() {
    let app = App::start().await;
    let mut connection = RawConnection::open(&app).await;
    connection.send(b"HEAD /livez HTTP/1.1\r\n\r\n").await;
    let response = connection.response_to("HEAD").await;
    assert_eq!(response.status, 400);
    assert!(response.header("content-length").unwrap().parse::<u32>().unwrap() > 0);
    connection.ends().await;
}

#[tokio::test]
async fn head_beyond_its_limits_is_refused_with_problem() {
    let app = App::start().await;
    let many = (0..101).map(|i| format!("x-{i}: y\r\n")).collect::<String>();
    for (head, status, code) in [
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(17 << 10)), 414, "uri_too_long"),
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(2 << 20)), 414, "uri_too_long"),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(17 << 10)),
            431,
            "headers_too_large",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(2 << 20)),
            431,
            "headers_too_large",
        ),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"), 431, "headers_too_large"),
    ] {
        let mut connection = RawConnection::open(&app).await;
        // All of it, before the response is read.
        connection.send(head.as_bytes()).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.code().as_str()), (status, code));
        assert!(response.announces_close());
        connection.ends().await;
    }
}

#[tokio::test]
async fn malformed_head_response_is_readable_by_known_origins() {
    let app = Setup::unlimited().with("--cors-origins=https://a.example,https://b.example").start().await;
    for (origin, allowed) in
        [("https://b.example", Some("https://b.example")), ("https://evil.example", None)]
    {
        let long = "y".repeat(17 << 10);
        for head in [
            format!("GET / HTTP/1.1\r\nhost: a\r\norigin: {origin}\r\nx: {long}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\norigin: {origin}\r\n\r\n"),
            format!("OPTIONS / HTTP/1.1\r\norigin: {origin}\r\naccess-control-request-method: PUT\r\n\r\n"),
            format!("GET /a b HTTP/1.1\r\nhost: a\r\norigin: {origin}\r\n\r\n"),
        ] {
            let mut connection = RawConnection::open(&app).await;
            connection.send(head.as_bytes()).await;
            let response = connection.response().await;
            assert!(matches!(response.status, 400 | 431), "{response:?}");
            assert_eq!(response.header("access-control-allow-origin"), allowed, "{response:?}");
            let exposed = response.header("access-control-expose-headers").unwrap();
            assert!(exposed.contains("x-request-id"), "{response:?}");
        }
    }
}

#[tokio::test]
async fn malformed_heads_are_counted() {
    let app = App::start().await;
    let mut connection = RawConnection::open(&app).await;
    connection.send(b"GET / HTTP/1.1\r\n\r\n").await;
    connection.response().await;
    let metrics = app.client().get("/metrics").await.text;
    let line = r#"http_requests_total{method="OTHER",route="unmatched",status="400"}"#;
    assert!(metrics.contains(line), "{metrics}");
}
