//! Servers that do what they should not.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers every request with these bytes, and then waits; its URL and how often it was called.
async fn server(answer: Vec<u8>) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys?a=1", listener.local_addr().unwrap()).parse().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = [0; 1024];
                let length = stream.read(&mut head).await.unwrap();
                assert!(head[..length].starts_with(b"GET /keys?a=1 HTTP/1.1\r\n"));
                let _ = stream.write_all(&answer).await;
                // Open until the client goes.
                let _ = stream.read(&mut head).await;
            });
        }
    });
    (url, calls)
}

async fn get(answer: impl Into<Vec<u8>>) -> Result<Vec<u8>, FetchError> {
    let (url, _) = server(answer.into()).await;
    GuardedClient::default().get(&url, &AddressPolicy::default()).await
}

#[tokio::test]
async fn document_is_got_with_length_or_in_chunks() {
    let fixed = get("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    assert_eq!(fixed.unwrap(), b"{}");
    let chunked =
        get("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n").await;
    assert_eq!(chunked.unwrap(), b"{}");
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let (target, calls) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec()).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let answer = format!("HTTP/1.1 {status}\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n");
        assert!(matches!(get(answer).await, Err(FetchError::Status(_))), "{status}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn document_that_is_too_large_is_refused() {
    let body = "x".repeat(DOCUMENT_MAX_BYTES + 1);
    let fixed = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert!(matches!(get(fixed).await, Err(FetchError::Size)));
    let chunk = format!("{:x}\r\n{body}\r\n", body.len());
    let endless = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}");
    assert!(matches!(get(endless).await, Err(FetchError::Size)));
}

#[tokio::test(start_paused = true)]
async fn slow_answer_ends_after_the_timeout() {
    for answer in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"] {
        assert!(matches!(get(answer).await, Err(FetchError::Timeout)), "{answer}");
    }
}

#[tokio::test]
async fn broken_answer_is_refused() {
    for answer in ["no HTTP\r\n\r\n", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"] {
        assert!(matches!(get(answer).await, Err(FetchError::Connect(_) | FetchError::Status(_))), "{answer}");
    }
}

/// No connection is made: the refusal comes before.
#[tokio::test]
async fn url_outside_the_rules_is_refused() {
    let client = GuardedClient::default();
    for url in [
        "http://example.com/keys",
        "http://10.0.0.1/keys",
        "ftp://127.0.0.1/keys",
        "file:///etc/passwd",
        "https://user:secret@example.com/keys",
        "https://example.com/keys#part",
    ] {
        let refusal = client.get(&url.parse().unwrap(), &AddressPolicy::default()).await;
        assert!(matches!(refusal, Err(FetchError::Url(_))), "{url}");
    }
    for url in ["https://169.254.169.254/keys", "https://10.0.0.1/keys", "https://[fe80::1]/keys"] {
        let refusal = client.get(&url.parse().unwrap(), &AddressPolicy::default()).await;
        assert!(matches!(refusal, Err(FetchError::Address)), "{url}");
    }
}

/// The first address is of nobody, the second of a port where nobody listens.
#[tokio::test]
async fn next_address_is_tried_when_one_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let addresses = ["192.0.2.1:9".parse().unwrap(), closed, listener.local_addr().unwrap()];
    let stream = tokio::time::timeout(CALL_TIMEOUT, connect(&addresses)).await.unwrap().unwrap();
    assert_eq!(stream.peer_addr().unwrap(), addresses[2]);
    assert!(matches!(connect(&addresses[1..2]).await, Err(FetchError::Connect(_))));
}
