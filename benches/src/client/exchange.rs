//! Large bodies, which are never in memory as a whole: a request is sent while its response arrives.
//!
//! # Pitfalls
//! A client that sends everything before it reads may block: a server that responds while it reads stops reading when
//! its responses are not taken.

use super::{Connection, Request};
use anyhow::{Context, Result, anyhow, ensure};
use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

/// For the next bytes to arrive: an import is answered when all of it is there.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// Bytes of a line of a head, or of a chunk's size.
const LINE_MAX_BYTES: u64 = 8 << 10;
/// Bytes of a refusal that are shown.
const REFUSAL_BYTES: u64 = 1000;

impl Connection {
    /// Sends `request` and then `body`, and writes the body of the response to `response`; how many bytes that was.
    /// Anything but a success is an error.
    pub fn exchange(
        &mut self,
        request: &Request,
        mut body: impl Read + Send,
        response: &mut impl Write,
    ) -> Result<u64> {
        let socket = self.stream.socket()?;
        socket.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
        let mut sending = socket.try_clone()?;
        thread::scope(|scope| {
            let sender = scope.spawn(move || {
                sending.write_all(&request.0)?;
                copy(&mut body, &mut sending)
            });
            let received = receive(socket, response);
            if received.is_err() {
                // The sender may wait for a server that reads no more; that it fails then is no news.
                let _ = socket.shutdown(Shutdown::Both);
            }
            let sent = sender.join().map_err(|_| anyhow!("the sender panicked"))?;
            let received = received?;
            sent.context("the request could not be sent")?;
            Ok(received)
        })
    }
}

fn receive(stream: &TcpStream, response: &mut impl Write) -> Result<u64> {
    let mut reader = BufReader::with_capacity(READ_BYTES, stream);
    let status = line(&mut reader)?;
    let mut length = None;
    loop {
        let header = line(&mut reader)?;
        if header.is_empty() {
            break;
        }
        if let Some(bytes) = header.strip_prefix("content-length: ") {
            length = Some(bytes.parse()?);
        }
    }
    if !status.starts_with("HTTP/1.1 2") {
        let mut refusal = Vec::new();
        reader.take(length.unwrap_or(REFUSAL_BYTES).min(REFUSAL_BYTES)).read_to_end(&mut refusal)?;
        anyhow::bail!("refused: {status}: {}", String::from_utf8_lossy(&refusal));
    }
    let received = match length {
        Some(length) => exactly(&mut reader, length, response)?,
        None => chunks(&mut reader, response)?,
    };
    ensure!(reader.buffer().is_empty(), "more arrived than was asked for");
    Ok(received)
}

/// The body of a response that comes in chunks.
fn chunks(reader: &mut impl BufRead, response: &mut impl Write) -> Result<u64> {
    let mut received = 0;
    loop {
        let size = line(reader)?;
        let size = u64::from_str_radix(&size, 16).with_context(|| format!("`{size}` begins no chunk"))?;
        received += exactly(reader, size, response)?;
        ensure!(line(reader)?.is_empty(), "a chunk has another size than it says");
        if size == 0 {
            return Ok(received);
        }
    }
}

fn exactly(reader: &mut impl BufRead, length: u64, response: &mut impl Write) -> Result<u64> {
    let received = copy(&mut reader.take(length), response)?;
    ensure!(received == length, "the server closed the connection");
    Ok(received)
}

/// The next line, without its end.
fn line(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    reader.take(LINE_MAX_BYTES).read_line(&mut line)?;
    let text = line.strip_suffix("\r\n").context("the server closed the connection, or sends no HTTP")?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// More than sockets take in while nobody reads.
    static BODY: [u8; 8 << 20] = [b'x'; 8 << 20];

    /// What `exchange` makes of `response`, sent while the request is still on its way.
    fn answered(response: &'static str) -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut connection = Connection::open(address).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let request = Request::begin("POST", "/", None, "text/plain", BODY.len() as u64);
        let serving = thread::spawn(move || {
            server.write_all(response.as_bytes()).unwrap();
            // Until the client has sent all and gone, or has given up.
            let _ = copy(&mut server, &mut std::io::sink());
        });
        let mut got = Vec::new();
        let outcome = connection.exchange(&request, BODY.as_slice(), &mut got);
        drop(connection);
        serving.join().unwrap();
        outcome.map(|_| String::from_utf8(got).unwrap())
    }

    #[test]
    fn exchange_joins_chunks() {
        let text =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(answered(text).unwrap(), "abc0123456789");
        assert_eq!(answered("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap(), "ok");
    }

    #[test]
    fn exchange_fails_on_truncated_or_refused_response() {
        for text in [
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabc\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nnone\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more",
        ] {
            assert!(answered(text).is_err(), "{text}");
        }
        let refused = answered("HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\nquot").unwrap_err();
        assert!(refused.to_string().contains("403 Forbidden: quot"), "{refused}");
    }
}
