//! A client with little overhead: HTTP/1.1 over one kept connection, one request at a time, blocking.
//!
//! Responses have a `Content-Length`, or come in chunks and are small. Large ones, and those that come while the request
//! is still being sent, are for [`Connection::exchange`].

mod exchange;
mod framing;
mod stream;

use anyhow::{Result, bail, ensure};
use framing::{Body, body_of, chunks_end, remove_framing};
use rustls::ClientConfig;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use stream::Stream;

/// For one response to arrive.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a response that arrives whole; the memory grows with it.
const RESPONSE_BYTES: usize = 16 << 10;

/// A request, ready to be written.
#[derive(Clone)]
pub struct Request(Vec<u8>);

impl Request {
    /// `GET path`.
    pub fn get(path: &str) -> Self {
        Self::get_by(path, None)
    }

    /// `GET path`, with `token` as its credential.
    pub fn get_by(path: &str, token: Option<&str>) -> Self {
        Self(format!("{}\r\n", head("GET", path, token)).into_bytes())
    }

    /// `method path` with a JSON body, with `token` as its credential.
    pub fn json(method: &str, path: &str, token: Option<&str>, body: &Value) -> Self {
        Self::whole(method, path, token, "application/json", &body.to_string())
    }

    /// `method path` with a body of that type.
    pub fn whole(method: &str, path: &str, token: Option<&str>, content_type: &str, body: &str) -> Self {
        let mut request = Self::begin(method, path, token, content_type, body.len() as u64);
        request.0.extend(body.as_bytes());
        request
    }

    /// `method path` with `headers`, and with a JSON body if there is one.
    pub fn with_headers(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Self {
        let mut request = head(method, path, None);
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        let body = body.map(Value::to_string);
        if let Some(body) = &body {
            request += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        Self(format!("{request}\r\n{}", body.unwrap_or_default()).into_bytes())
    }

    /// `method path` without its body, which has `length` bytes and is sent by [`Connection::exchange`].
    pub fn begin(method: &str, path: &str, token: Option<&str>, content_type: &str, length: u64) -> Self {
        let head = head(method, path, token);
        Self(format!("{head}content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n").into_bytes())
    }
}

fn head(method: &str, path: &str, token: Option<&str>) -> String {
    let credential = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n{credential}")
}

/// A kept connection.
pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        Self::open_by(address, None)
    }

    /// Connects, within TLS if it is given.
    pub fn open_by(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
        let stream = match tls {
            None => Stream::Plain(socket),
            Some(config) => Stream::within_tls(socket, config)?,
        };
        Ok(Self { stream, buffer: vec![0; RESPONSE_BYTES] })
    }

    /// Sends a request whose response is received later.
    pub fn send(&mut self, request: &Request) -> Result<()> {
        Ok(self.stream.write_all(&request.0)?)
    }

    /// The body of the response to the request that was sent; anything but a success is an error.
    pub fn receive(&mut self) -> Result<&[u8]> {
        let (head, filled) = self.read_response()?;
        self.checked(head, filled)
    }

    /// The status of the response to the request that was sent.
    pub fn status(&mut self) -> Result<u16> {
        self.read_response()?;
        Ok(str::from_utf8(&self.buffer[9..12])?.parse()?)
    }

    /// The status and the body of the response to `request`, also of a refusal.
    pub fn respond(&mut self, request: &Request) -> Result<(u16, &[u8])> {
        self.send(request)?;
        let (head, filled) = self.read_response()?;
        let status = str::from_utf8(&self.buffer[9..12])?.parse()?;
        Ok((status, &self.buffer[head..filled]))
    }

    /// Reads a response; the bytes of its head, and of all of it without the framing of chunks.
    fn read_response(&mut self) -> Result<(usize, usize)> {
        let mut filled = 0;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..])?;
            ensure!(read > 0, "the server closed the connection");
            filled += read;
            let response = &mut self.buffer[..filled];
            let Some((head, body)) = split(response)? else { continue };
            let end = match body {
                Body::Length(length) => Some(length),
                Body::Chunks => chunks_end(&response[head..])?,
            };
            match end {
                Some(end) if filled - head > end => bail!("more arrived than was asked for"),
                Some(end) if filled - head == end => {
                    let length = match body {
                        Body::Length(length) => length,
                        Body::Chunks => remove_framing(&mut response[head..])?,
                    };
                    break Ok((head, head + length));
                }
                _ => {}
            }
        }
    }

    fn checked(&self, head: usize, filled: usize) -> Result<&[u8]> {
        let response = &self.buffer[..filled];
        ensure!(response.starts_with(b"HTTP/1.1 2"), "refused: {}", String::from_utf8_lossy(response));
        Ok(&response[head..])
    }

    /// Sends a request and waits for its response.
    pub fn call(&mut self, request: &Request) -> Result<&[u8]> {
        self.send(request)?;
        self.receive()
    }

    /// The body at `path`.
    pub fn get(&mut self, path: &str) -> Result<&[u8]> {
        self.call(&Request::get(path))
    }
}

/// The bytes of the head of a response, and how its body comes, once its head has arrived.
fn split(bytes: &[u8]) -> Result<Option<(usize, Body)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        ensure!(bytes.len() < 8 << 10, "a response with an endless head");
        return Ok(None);
    };
    Ok(Some((end + 4, body_of(&bytes[..end])?)))
}
