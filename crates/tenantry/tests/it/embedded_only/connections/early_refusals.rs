//! A refusal that is made before the body has arrived reaches a client that is still sending it.

use crate::support::app::{App, Setup};
use crate::support::raw::{RawConnection, chunked};
use std::time::{Duration, Instant};

/// A request that is refused before its body is read.
struct Refused {
    line: &'static str,
    fields: &'static str,
    status: u16,
    code: &'static str,
}

const REFUSED: [Refused; 6] = [
    Refused { line: "POST /v1/organizations", fields: "", status: 401, code: "operator_key_required" },
    Refused { line: "POST /v1/organizations/import", fields: "", status: 401, code: "operator_key_required" },
    Refused { line: "POST /nothing", fields: "", status: 404, code: "route_not_found" },
    Refused { line: "PUT /livez", fields: "", status: 405, code: "method_not_allowed" },
    Refused {
        line: "POST /org/create",
        fields: "content-encoding: br\r\n",
        status: 415,
        code: "unsupported_media_type",
    },
    Refused { line: "POST /org/create", fields: "", status: 413, code: "body_too_large" },
];

impl Refused {
    fn head(&self, framing: &str) -> String {
        let Self { line, fields, .. } = self;
        format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{fields}{framing}\r\n\r\n"
        )
    }
}

/// A body, and what says its length.
fn framings(length: usize) -> [(String, Vec<u8>); 2] {
    let body = vec![b' '; length];
    let framed = chunked(&body);
    [(format!("content-length: {length}"), body), ("transfer-encoding: chunked".to_owned(), framed)]
}

#[tokio::test]
async fn early_refusal_reaches_client_that_sends_all_first() {
    let app = App::start().await;
    for length in [70 << 10, 1 << 20, 5 << 20] {
        for (framing, body) in framings(length) {
            for refused in &REFUSED {
                let what = format!("{} {framing} {length}", refused.line);
                let mut connection = RawConnection::open(&app).await;
                // As http.client and many others do: nothing is read before all has been written.
                connection.send(refused.head(&framing).as_bytes()).await;
                connection.send(&body).await;
                let response = connection.response().await;
                assert_eq!(
                    (response.status, response.code().as_str()),
                    (refused.status, refused.code),
                    "{what}"
                );
                assert!(!response.announces_close(), "{what}");
                connection.serves().await;
            }
        }
    }
}

#[tokio::test]
async fn early_refusal_comes_before_rest_of_body() {
    let app = App::start().await;
    for refused in &REFUSED[..5] {
        let mut connection = RawConnection::open(&app).await;
        connection.send(refused.head("content-length: 50").as_bytes()).await;
        assert_eq!(connection.response().await.code(), refused.code);
        connection.send(&[b' '; 50]).await;
        connection.serves().await;
    }
}

#[tokio::test]
async fn early_refusal_reaches_client_that_asks_to_close() {
    let app = App::start().await;
    for refused in &REFUSED {
        for (framing, body) in framings(5 << 20) {
            let mut connection = RawConnection::open(&app).await;
            connection.send(refused.head(&format!("{framing}\r\nconnection: close")).as_bytes()).await;
            connection.send(&body).await;
            let response = connection.response().await;
            assert_eq!((response.code().as_str(), response.announces_close()), (refused.code, true));
            connection.ends().await;
        }
    }
}

#[tokio::test]
async fn early_refusal_of_huge_body_announces_close() {
    let app = App::start().await;
    for refused in &REFUSED {
        let mut connection = RawConnection::open(&app).await;
        connection.send(refused.head("content-length: 1000000000000").as_bytes()).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.announces_close()), (refused.status, true), "{response:?}");
        // At once, though the body never comes.
        connection.ends().await;
    }
}

#[tokio::test]
async fn early_refusal_replaces_100_continue() {
    let app = App::start().await;
    for refused in &REFUSED {
        let mut connection = RawConnection::open(&app).await;
        let head = refused.head("content-length: 100000\r\nexpect: 100-continue");
        connection.send(head.as_bytes()).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.announces_close()), (refused.status, true), "{response:?}");
        connection.ends().await;
    }
    // One that goes on by itself reads the refusal, too.
    let mut connection = RawConnection::open(&app).await;
    connection.send(REFUSED[0].head("content-length: 5000000\r\nexpect: 100-continue").as_bytes()).await;
    connection.send(&vec![b' '; 5_000_000]).await;
    assert_eq!(connection.response().await.code(), "operator_key_required");

    let mut connection = RawConnection::open(&app).await;
    let login = "POST /admin/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: 2\r\nexpect: 100-continue\r\n\r\n";
    connection.send(login.as_bytes()).await;
    assert_eq!(connection.response().await.status, 100);
    connection.send(b"{}").await;
    assert_eq!(connection.response().await.code(), "invalid_input");
    connection.serves().await;
}

/// After a broken chunk, the start of the next request is unknown.
#[tokio::test]
async fn broken_chunks_are_refused_with_announced_close() {
    let app = App::start().await;
    let head = "POST /admin/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        transfer-encoding: chunked\r\n\r\n";
    for chunks in ["2\n{}\r\n0\r\n\r\n", "x\r\n{}\r\n", "2\r\n{}..", "2;a\nb\r\n{}\r\n0\r\n\r\n"] {
        let mut connection = RawConnection::open(&app).await;
        connection.send(format!("{head}{chunks}{}", "x".repeat(1 << 20)).as_bytes()).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.announces_close()), (400, true), "{chunks:?} {response:?}");
        connection.ends().await;
    }
}

#[tokio::test]
async fn slow_body_is_refused_with_announced_close() {
    let app = Setup::unlimited().with("--request-timeout=1").start().await;
    let mut connection = RawConnection::open(&app).await;
    let login = "POST /admin/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: 100\r\n\r\n{";
    connection.send(login.as_bytes()).await;
    let response = connection.response().await;
    assert_eq!((response.code().as_str(), response.announces_close()), ("request_timeout", true));
    connection.ends().await;
}

#[tokio::test]
async fn stalled_sender_is_dropped_after_refusal() {
    let app = Setup::unlimited().with("--max-connections=2").start().await;
    let mut connection = RawConnection::open(&app).await;
    connection.send(REFUSED[0].head("content-length: 100000").as_bytes()).await;
    assert_eq!(connection.response().await.code(), "operator_key_required");
    let began = Instant::now();
    connection.ends().await;
    // The bound of a pause is 5 s; the machine may be busy.
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    RawConnection::open(&app).await.serves().await;
}

/// The refusal comes in the middle of the stream, long after the head of the response.
#[tokio::test]
async fn refused_import_discards_rest_of_body() {
    let app = App::start().await;
    let key = std::fs::read_to_string(app.data_dir().join("operator.key")).unwrap();
    let head = format!(
        "POST /v1/organizations/import HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n\
         authorization: Bearer {}\r\ntransfer-encoding: chunked\r\n\r\n",
        key.trim()
    );
    let mut connection = RawConnection::open(&app).await;
    connection.send(head.as_bytes()).await;
    connection.send(&chunked(&b"{\"not\":\"an archive\"}\n".repeat(200_000))).await;
    assert_eq!(connection.response().await.code(), "archive_invalid");
    connection.serves().await;
}
