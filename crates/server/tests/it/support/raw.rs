//! Requests to the byte, for what a client library would not send.

use super::app::App;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back.
pub struct RawAnswer {
    /// The status.
    pub status: u16,
    /// The body, without its framing.
    pub body: String,
    /// From the first byte that was sent to the last that came.
    pub took: Duration,
}

impl RawAnswer {
    /// The `code` of a problem.
    pub fn code(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body));
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// Sends these bytes and reads the answer; they must ask for the connection to be closed.
pub async fn exchange(app: &App, request: &[u8]) -> RawAnswer {
    send(app, request, false).await.expect("an answer")
}

/// Sends these bytes and nothing more, ever; the answer, if there is one.
pub async fn exchange_and_hang_up(app: &App, request: &[u8]) -> Option<RawAnswer> {
    send(app, request, true).await
}

async fn send(app: &App, request: &[u8], hang_up: bool) -> Option<RawAnswer> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    // The answer may come before all of the request has gone.
    let _ = stream.write_all(request).await;
    if hang_up {
        stream.shutdown().await.unwrap();
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(RawAnswer { status, body: body.to_owned(), took: began.elapsed() })
}

/// The head of a request with a JSON body, whose length these lines say.
pub fn head(request_line: &str, framing: &str) -> String {
    format!(
        "{request_line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\n{framing}\r\n\r\n"
    )
}

/// A body in chunks of at most 4 KiB.
pub fn chunked(body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    for chunk in body.chunks(4096) {
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed
}
