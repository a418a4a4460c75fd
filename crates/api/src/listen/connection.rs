//! One connection from its first byte: whether it speaks TLS, and which HTTP.

use super::context::ConnectionContext;
use super::frames::PREFACE;
use super::head::HeadFault;
use super::options::Http2;
use super::socket::HttpSocket;
use super::state::ConnectionState;
use super::stream::{ClientStream, PlainStream};
use super::streams::Streams;
use super::{http1, http2};
use crate::metrics::TLS_HANDSHAKE_FAILURES;
use crate::paced_stream::{PacedStream, ReadPace};
use hyper::Error;
use std::io;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The first byte of a TLS connection: the record type of a handshake.
const TLS_HANDSHAKE: u8 = 22;

/// Serves a connection that was just accepted until it ends.
pub async fn serve(stream: TcpStream, mut context: ConnectionContext) -> Result<(), Error> {
    let options = Arc::clone(&context.options);
    let pace = ReadPace::new(options.limits.write_timeout);
    let Some(acceptor) = &options.tls else { return serve_plain(stream, pace, context).await };
    let handshake = timeout(options.limits.header_timeout, shake_hands(stream, acceptor, pace.clone()));
    let handshake = tokio::select! {
        handshake = handshake => handshake,
        () = context.drain.begins() => return Ok(()),
    };
    let reason = match handshake {
        Ok(Ok(Handshake::Done(stream))) => {
            context.is_tls = true;
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let stream = ClientStream::Tls(stream);
            return if is_http2 {
                http2::serve(stream, Vec::new(), pace, context).await
            } else {
                http1::serve(stream, Vec::new(), pace, context).await
            };
        }
        Ok(Ok(Handshake::PlainText(stream))) => {
            refuse_plain(PacedStream::new(stream, pace), &context).await;
            "plain_http"
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            "failed"
        }
        Err(_) => "timeout",
    };
    metrics::counter!(TLS_HANDSHAKE_FAILURES, "reason" => reason).increment(1);
    Ok(())
}

enum Handshake {
    Done(Box<TlsStream<PlainStream>>),
    /// The client does not begin with a handshake.
    PlainText(TcpStream),
}

async fn shake_hands(stream: TcpStream, acceptor: &TlsAcceptor, pace: ReadPace) -> io::Result<Handshake> {
    let mut first = [0];
    if stream.peek(&mut first).await? > 0 && first[0] != TLS_HANDSHAKE {
        return Ok(Handshake::PlainText(stream));
    }
    let stream = acceptor.accept(PacedStream::new(stream, pace)).await?;
    Ok(Handshake::Done(Box::new(stream)))
}

/// Tells a client that speaks HTTP without TLS that it should use TLS.
async fn refuse_plain(stream: PlainStream, context: &ConnectionContext) {
    let state = Arc::new(ConnectionState::new(Arc::clone(&context.slots)));
    let malformed = Arc::clone(&context.handlers.malformed);
    let mut socket = HttpSocket::new(ClientStream::Plain(stream), Vec::new(), state, malformed, context.peer);
    socket.refuse(HeadFault::PlainText);
    // Sends the refusal and waits, within bounds, until it has arrived. There is nothing to read.
    let _ = socket.read(&mut [0]).await;
}

async fn serve_plain(stream: TcpStream, pace: ReadPace, mut context: ConnectionContext) -> Result<(), Error> {
    if context.options.http2 != Http2::PriorKnowledge {
        let stream = ClientStream::Plain(PacedStream::new(stream, pace.clone()));
        return http1::serve(stream, Vec::new(), pace, context).await;
    }
    let limits = context.options.limits;
    let none = Streams::default();
    tokio::select! {
        readable = stream.readable() => if readable.is_err() { return Ok(()) },
        () = none.should_close(&context.slots, limits.idle_timeout, limits.header_timeout) => return Ok(()),
        () = context.drain.begins() => return Ok(()),
    }
    let mut stream = PacedStream::new(stream, pace.clone());
    // One that begins like HTTP/2 and does not go on is not HTTP/1.1 either.
    let Ok(Ok(held)) = timeout(limits.header_timeout, read_beginning(&mut stream)).await else {
        return Ok(());
    };
    let is_http2 = held == PREFACE;
    let stream = ClientStream::Plain(stream);
    if is_http2 {
        http2::serve(stream, held, pace, context).await
    } else {
        http1::serve(stream, held, pace, context).await
    }
}

/// Reads until it is clear whether the client begins with the preface of HTTP/2, and no further.
async fn read_beginning(stream: &mut PlainStream) -> io::Result<Vec<u8>> {
    let mut beginning = Vec::with_capacity(PREFACE.len());
    while beginning.len() < PREFACE.len() && PREFACE.starts_with(&beginning) {
        let mut piece = [0; PREFACE.len()];
        let count = stream.read(&mut piece[..PREFACE.len() - beginning.len()]).await?;
        if count == 0 {
            break;
        }
        beginning.extend_from_slice(&piece[..count]);
    }
    Ok(beginning)
}
