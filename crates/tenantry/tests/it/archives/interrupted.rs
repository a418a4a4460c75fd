//! Imports that do not come to their end: slow ones, cut ones, and those that take long and do.

use super::{NDJSON, assert_nothing_left, crafted, import};
use crate::support::app::{App, Setup};
use crate::support::checker::{Snapshot, running_operations};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An archive of more than one batch.
fn archive() -> String {
    let documents: Vec<Value> = (0..2000).map(|n| json!({ "_id": n, "text": "x".repeat(100) })).collect();
    crafted("New", &documents, &["text,_id"])
}

/// A connection on which the head of an import has been sent, for a body in chunks.
async fn begin(app: &App) -> TcpStream {
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    let operator = app.operator();
    let head = format!(
        "POST /v1/organizations/import HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {NDJSON}\r\n\
         authorization: {}\r\ntransfer-encoding: chunked\r\n\r\n",
        operator.header("authorization").unwrap()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn send(stream: &mut TcpStream, piece: &str) {
    let framed = format!("{:x}\r\n{piece}\r\n", piece.len());
    stream.write_all(framed.as_bytes()).await.unwrap();
}

/// The status and the body of the answer.
async fn answer(mut stream: TcpStream) -> (u16, Value) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

/// Waits until nothing is under way any more.
async fn settled(app: &App) {
    for _ in 0..500 {
        if running_operations(app.test_env()) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("an operation does not end");
}

#[tokio::test]
async fn import_may_take_longer_than_request_timeout() {
    let app = Setup::unlimited().with("--request-timeout=1").start().await;
    let archive = archive();
    let mut stream = begin(&app).await;
    // Some three seconds in all, a piece every third of one.
    for piece in archive.as_bytes().chunks(archive.len().div_ceil(9)) {
        send(&mut stream, std::str::from_utf8(piece).unwrap()).await;
        tokio::time::sleep(Duration::from_millis(330)).await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let (status, body) = answer(stream).await;
    assert_eq!((status, &body["organization_name"]), (201, &json!("New")), "{body}");
    let snapshot = Snapshot::sound(app.test_env());
    assert_eq!(snapshot.documents(body["id"].as_str().unwrap()).len(), 2000);
    assert_eq!(snapshot.log(), ["import succeeded"]);
}

#[tokio::test]
async fn import_whose_body_pauses_too_long_is_undone() {
    let app = Setup::unlimited().with("--request-timeout=1").start().await;
    let (archive, before) = (archive(), Snapshot::sound(app.test_env()));
    let mut stream = begin(&app).await;
    send(&mut stream, &archive[..archive.len() - 1000]).await;
    let (status, body) = answer(stream).await;
    assert_eq!((status, &body["code"]), (408, &json!("request_timeout")), "{body}");
    assert_nothing_left(&app, &before, "New").await;
    assert_eq!(Snapshot::sound(app.test_env()).log(), ["import failed"]);
    import(&app, &archive, "").await.created();
}

#[tokio::test]
async fn import_whose_line_arrives_byte_by_byte_is_undone() {
    let app = Setup::unlimited().with("--request-timeout=1").start().await;
    let (archive, before) = (archive(), Snapshot::sound(app.test_env()));
    let mut stream = begin(&app).await;
    send(&mut stream, &archive[..archive.len() - 1000]).await;
    let began = Instant::now();
    // Never a pause that would be too long by itself.
    for byte in archive[archive.len() - 1000..].split_inclusive(|_| true) {
        if timeout(Duration::from_millis(200), stream.readable()).await.is_ok() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "the line is waited for without end");
        send(&mut stream, byte).await;
    }
    let (status, body) = answer(stream).await;
    assert_eq!((status, &body["code"]), (408, &json!("request_timeout")), "{body}");
    assert!(body["detail"].as_str().unwrap().contains("within 1 s of its first byte"), "{body}");
    assert_nothing_left(&app, &before, "New").await;
}

#[tokio::test]
async fn import_whose_client_disconnects_is_undone() {
    let app = App::start().await;
    let (archive, before) = (archive(), Snapshot::sound(app.test_env()));
    let mut stream = begin(&app).await;
    send(&mut stream, &archive[..archive.len() - 1000]).await;
    while running_operations(app.test_env()) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(stream);
    settled(&app).await;
    assert_nothing_left(&app, &before, "New").await;
    let log = app.operator().get("/v1/organizations/0123456789abcdef01234567/operations").await.ok();
    assert_eq!(log["items"][0]["error"]["code"], "import_interrupted");
    import(&app, &archive, "").await.created();
}

#[tokio::test]
async fn import_in_progress_hides_organization() {
    let app = App::start().await;
    let archive = archive();
    let mut stream = begin(&app).await;
    send(&mut stream, &archive[..archive.len() - 1000]).await;
    while running_operations(app.test_env()) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    crate::support::fixtures::find(&app, "New").await.refused("organization_not_found");
    let listed = app.operator().get("/v1/organizations?status=active").await.ok();
    assert_eq!(listed["items"], json!([]));
    // The name and the id are taken all the same.
    import(&app, &crafted("new", &[], &[]), "id=new&owner_email=x@x.example").await.refused("name_taken");
    import(&app, &crafted("Other", &[], &[]), "").await.refused("organization_exists");
    let path = "/v1/organizations/0123456789abcdef01234567";
    app.operator().get(&format!("{path}/export")).await.refused("organization_not_active");
    app.operator().delete(path).await.refused("operation_in_progress");
    send(&mut stream, &archive[archive.len() - 1000..]).await;
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(answer(stream).await.0, 201);
    assert_eq!(crate::support::fixtures::find(&app, "New").await.ok()["status"], "active");
}
