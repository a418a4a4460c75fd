//! HTTP/2: a client that shows what the connection does, and its frames by hand.

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a machine that has much to do may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub struct Http2Client {
    sender: SendRequest<Body>,
}

impl Http2Client {
    /// Over this stream.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        // As little as HTTP/2 lets a client take by itself.
        builder.initial_stream_window_size(65_535).initial_connection_window_size(1 << 20);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    /// Without TLS.
    pub async fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    /// Sends a request; the head of the response.
    pub async fn try_send(&self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        let mut sender = self.sender.clone();
        sender.ready().await?;
        sender.send_request(request).await
    }

    /// Sends a request; the head of the response.
    pub async fn send(&self, request: Request<Body>) -> Response<Incoming> {
        timeout(PATIENCE, self.try_send(request)).await.expect("a response").unwrap()
    }

    /// `GET` of that path: status and body.
    pub async fn get(&self, path: &str) -> (u16, Bytes) {
        whole(self.send(request("GET", path, Body::empty())).await).await
    }
}

/// A request of that path.
pub fn request(method: &str, path: &str, body: Body) -> Request<Body> {
    let uri = format!("http://localhost{path}");
    Request::builder().method(method).uri(uri).body(body).unwrap()
}

/// The status and the whole body.
pub async fn whole(response: Response<Incoming>) -> (u16, Bytes) {
    let status = response.status().as_u16();
    let body = timeout(PATIENCE, response.into_body().collect()).await.expect("a body").unwrap();
    (status, body.to_bytes())
}

/// The `code` of a problem.
pub fn code(body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap();
    problem["code"].as_str().unwrap().to_owned()
}

pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A connection whose frames are written by hand.
pub struct FrameConnection {
    stream: TcpStream,
}

impl FrameConnection {
    /// Begins as every client does.
    pub async fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut connection = Self { stream };
        connection.send(SETTINGS, 0, 0, &[]).await.unwrap();
        connection
    }

    /// Sends a frame.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        self.send_bytes(&frame(kind, flags, stream, payload)).await
    }

    /// Sends frames at once.
    pub async fn send_bytes(&mut self, frames: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(frames).await
    }

    /// The next frame: its kind and payload; `None` at the end of the connection.
    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 9];
        timeout(PATIENCE, self.stream.read_exact(&mut head)).await.expect("a frame, or the end").ok()?;
        let mut payload =
            vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some((head[3], payload))
    }

    /// The payload of the next frame of that kind; other frames are passed over.
    pub async fn next(&mut self, kind: u8) -> Vec<u8> {
        loop {
            let (found, payload) = self.frame().await.expect("a frame before the end");
            if found == kind {
                return payload;
            }
        }
    }

    /// Reads until the service announces the end of the connection.
    pub async fn announces_end(&mut self) {
        self.next(GOAWAY).await;
    }

    /// The kinds of all frames until the connection ends.
    pub async fn kinds_until_end(&mut self) -> Vec<u8> {
        let mut kinds = Vec::new();
        while let Some((kind, _)) = self.frame().await {
            kinds.push(kind);
        }
        kinds
    }
}
