//! What is no request, behind one whose large response is read slowly: refused, but only once that response is all there.

use crate::support::app::{App, Setup};
use crate::support::fixtures::{Organization, organization};
use crate::support::raw::RawConnection;
use serde_json::json;
use std::time::Duration;

/// More than the kernel takes in between the two sides.
const TEXT_BYTES: usize = 12 << 20;
const FAULTY: &str = "GET /livez HTTP/1.1\r\n\r\n";

/// An organization with a large document.
async fn filled() -> (App, Organization) {
    let app = Setup::unlimited().with("--max-document-kib=15360").start().await;
    let acme = organization(&app, "Acme").await;
    acme.store(&[json!({ "_id": "large", "text": "x".repeat(TEXT_BYTES) })]).await;
    (app, acme)
}

/// The head of a request for it.
fn head(acme: &Organization, framing: &str) -> String {
    let authorization = acme.owner.header("authorization").unwrap();
    let path = format!("{}/large", acme.documents());
    format!("GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: {authorization}\r\n{framing}\r\n")
}

/// Reads slowly: nothing, until the service had time to do everything wrong.
async fn reads_both(mut connection: RawConnection) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let response = connection.response().await;
    assert_eq!(response.status, 200, "{}", response.head);
    let document: serde_json::Value = serde_json::from_str(&response.body).expect("the whole document");
    assert_eq!(document["text"].as_str().map(str::len), Some(TEXT_BYTES));
    let refusal = connection.response().await;
    assert_eq!((refusal.status, refusal.code().as_str()), (400, "malformed_request"));
    connection.ends().await;
}

#[tokio::test]
async fn pipelined_refusal_waits_for_slowly_read_response() {
    let (app, acme) = filled().await;
    let mut connection = RawConnection::open_with_small_buffer(&app).await;
    connection.send(format!("{}{FAULTY}", head(&acme, "")).as_bytes()).await;
    reads_both(connection).await;

    // The body comes while the response is being sent: hyper then asks for the next head in the middle of it.
    let mut connection = RawConnection::open_with_small_buffer(&app).await;
    connection.send(head(&acme, "content-length: 5\r\n").as_bytes()).await;
    connection.begins().await;
    connection.send(format!("12345{FAULTY}").as_bytes()).await;
    reads_both(connection).await;
}
