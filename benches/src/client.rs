//! A client with little overhead: HTTP/1.1 over one kept connection, one request at a time, blocking.
//!
//! It understands what the servers here send: responses with `Content-Length`. Those that come in chunks, or while the
//! request is still being sent, are for [`Connection::exchange`].

mod exchange;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

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
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
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

    /// Reads a response; the bytes of its head, and of all of it.
    fn read_response(&mut self) -> Result<(usize, usize)> {
        let mut filled = 0;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..])?;
            ensure!(read > 0, "the server closed the connection");
            filled += read;
            let Some((head, body)) = split(&self.buffer[..filled])? else { continue };
            match filled - head {
                arrived if arrived < body => {}
                arrived if arrived == body => break Ok((head, filled)),
                _ => bail!("more arrived than was asked for"),
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

/// The bytes of the head and of the body of a response, once its head has arrived.
fn split(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        ensure!(bytes.len() < 8 << 10, "a response with an endless head");
        return Ok(None);
    };
    let mut head = bytes[..end].split(|byte| *byte == b'\n');
    let length = head.find_map(|line| line.strip_prefix(b"content-length: "));
    let length = str::from_utf8(length.context("a response without content-length")?)?;
    Ok(Some((end + 4, length.trim_end().parse()?)))
}
