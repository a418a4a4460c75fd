//! Requests to the byte, for what a client library would not send.

use super::app::App;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long a machine that has much to do may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A response.
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

/// A response, head and body.
#[derive(Debug)]
pub struct RawResponse {
    /// The status.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// The body.
    pub body: String,
}

impl RawResponse {
    /// The value of that header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Whether it says that the connection is closed behind it.
    pub fn announces_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The body, which is a problem.
    pub fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        problem
    }

    /// The `code` of the problem.
    pub fn code(&self) -> String {
        self.problem()["code"].as_str().unwrap().to_owned()
    }
}

/// A connection that may carry several requests.
pub struct RawConnection {
    stream: TcpStream,
    arrived: Vec<u8>,
}

impl RawConnection {
    /// Connects to the service.
    pub async fn open(app: &App) -> Self {
        Self { stream: TcpStream::connect(app.address()).await.unwrap(), arrived: Vec::new() }
    }

    /// Connects to the service with a small receive buffer.
    pub async fn open_with_small_buffer(app: &App) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        Self { stream: socket.connect(app.address()).await.unwrap(), arrived: Vec::new() }
    }

    /// Waits for the next response to begin.
    pub async fn begins(&self) {
        self.stream.readable().await.unwrap();
    }

    /// Sends all of these bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.unwrap();
    }

    /// Sends these bytes, or as many as the service takes.
    pub async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next response, which has a `Content-Length`, or none to a HEAD.
    pub async fn response(&mut self) -> RawResponse {
        self.response_to("GET").await
    }

    /// The next response, if the connection is not ended instead.
    pub async fn try_response(&mut self) -> Option<RawResponse> {
        let is_open = matches!(self.fill().await, Ok(count) if count > 0);
        if is_open { Some(self.response().await) } else { None }
    }

    /// The next response, to a request of that method.
    pub async fn response_to(&mut self, method: &str) -> RawResponse {
        let head_end = loop {
            if let Some(at) = self.arrived.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at;
            }
            assert!(self.fill().await.unwrap() > 0, "no response: {:?}", self.arrived);
        };
        let head = String::from_utf8(self.arrived.drain(..head_end + 4).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = RawResponse { status, head, body: String::new() };
        let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
        let length = if method == "HEAD" || status == 100 { 0 } else { length };
        while self.arrived.len() < length {
            assert!(self.fill().await.unwrap() > 0, "{response:?} is cut off");
        }
        response.body = String::from_utf8(self.arrived.drain(..length).collect()).unwrap();
        response
    }

    /// Waits for the service to end the connection, without a byte more and without a reset.
    pub async fn ends(&mut self) {
        assert_eq!(self.fill().await.unwrap(), 0, "more came: {:?}", String::from_utf8_lossy(&self.arrived));
        assert!(self.arrived.is_empty(), "more came: {:?}", String::from_utf8_lossy(&self.arrived));
    }

    /// Sends a request and expects 200: the connection still serves.
    pub async fn serves(&mut self) {
        self.send(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        let response = self.response().await;
        assert_eq!(response.status, 200, "{response:?}");
    }

    async fn fill(&mut self) -> std::io::Result<usize> {
        let mut buffer = [0; 16 << 10];
        let count = timeout(PATIENCE, self.stream.read(&mut buffer)).await??;
        self.arrived.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}
