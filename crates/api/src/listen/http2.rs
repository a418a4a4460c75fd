//! HTTP/2 on one connection, with the limits that HTTP/1.1 has and bounds of its own.
//!
//! The HTTP library checks the heads: what HTTP/1.1's checks are for (`head.rs`) cannot be said in HTTP/2, or is refused as a
//! protocol error. What it would answer without a problem is refused here, below its own limits.

use super::context::ConnectionContext;
use super::frame_socket::FrameSocket;
use super::head::HeadFault;
use super::hsts::Hsts;
use super::malformed::RefusedHead;
use super::options::{Limits, Options};
use super::stream::ClientStream;
use super::stream_body::StreamBody;
use super::streams::Streams;
use crate::metrics::HTTP2_CONNECTIONS_CUT_OFF;
use crate::paced_stream::ReadPace;
use axum::Router;
use axum::body::Body;
use h2::Reason;
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Error, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::error::Error as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tower::Service;

/// Requests of one connection that run at once.
const MAX_STREAMS: u32 = 128;
/// Streams that the client has reset before anything was done for them; one more ends the connection.
const MAX_PENDING_RESETS: usize = 20;
/// Streams that were reset for errors of the client; one more ends the connection.
const MAX_ERROR_RESETS: usize = 64;
/// Bytes of a request's body that may arrive before they are read.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// Bytes of all bodies of a connection that may arrive before they are read.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes of a response that may wait for the client to take them.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// The largest head that the HTTP library takes, by its own count: above ours, which is answered with a problem.
const LIBRARY_HEAD_BYTES: u32 = 32 << 10;
/// The largest head, in bytes of names, values and target.
const HEAD_BYTES: usize = 16 << 10;
/// The most fields of a head.
const HEAD_FIELDS: usize = 100;
/// After how long without a frame the client is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Serves until the connection ends. `held` has been read from the stream already.
pub async fn serve(
    stream: ClientStream,
    held: Vec<u8>,
    pace: ReadPace,
    mut context: ConnectionContext,
) -> Result<(), Error> {
    let limits = context.options.limits;
    // A client may take nothing at all for as long as one of its responses may wait.
    pace.set(patience(&limits));
    let streams = Arc::new(Streams::default());
    let socket = FrameSocket::new(stream, held, limits.header_timeout);
    let service = {
        let (router, options) = (context.handlers.router.clone(), Arc::clone(&context.options));
        let (peer, is_tls, streams) = (context.peer, context.is_tls, Arc::clone(&streams));
        service_fn(move |request| {
            let hsts = Hsts::of(&request, options.hsts.as_ref().filter(|_| is_tls));
            respond(router.clone(), request, peer, &options, &streams, hsts)
        })
    };
    let connection = builder(&limits).serve_connection(TokioIo::new(socket), service);
    let mut connection = pin!(connection);
    let closing = tokio::select! {
        ended = connection.as_mut() => return count_cut_off(ended),
        () = context.drain.begins() => None,
        () = streams.should_close(&context.slots, limits.idle_timeout, limits.header_timeout) => {
            Some(limits.header_timeout)
        }
    };
    connection.as_mut().graceful_shutdown();
    let Some(time) = closing else { return count_cut_off(connection.await) };
    if streams.have_stalled() {
        metrics::counter!(HTTP2_CONNECTIONS_CUT_OFF, "reason" => "stalled").increment(1);
    }
    // A client that does not react is not waited for.
    timeout(time, connection).await.unwrap_or(Ok(()))
}

/// Counts a connection that the HTTP library has ended for what its client did, and passes on how it ended.
fn count_cut_off(ended: Result<(), Error>) -> Result<(), Error> {
    let cause = ended.as_ref().err().and_then(|error| error.source());
    let cause = cause.and_then(|cause| cause.downcast_ref::<h2::Error>());
    // Not what the client itself reports, and not a connection that broke.
    if let Some(error) = cause.filter(|error| error.is_library() && error.is_go_away()) {
        let is_flood = error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
        let reason = if is_flood { "flood" } else { "protocol" };
        metrics::counter!(HTTP2_CONNECTIONS_CUT_OFF, "reason" => reason).increment(1);
    }
    ended
}

fn patience(limits: &Limits) -> Duration {
    limits.write_timeout.max(limits.export_pause_timeout)
}

fn builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(LIBRARY_HEAD_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        // Not sooner: a client that pauses in an export need not read a ping either.
        .keep_alive_timeout(patience(limits));
    builder
}

fn respond(
    mut router: Router,
    mut request: Request<Incoming>,
    peer: SocketAddr,
    options: &Options,
    streams: &Arc<Streams>,
    hsts: Hsts,
) -> impl Future<Output = Result<Response<StreamBody>, Infallible>> + use<> {
    let open = streams.open();
    let pace = ReadPace::new(options.limits.write_timeout);
    if let Some(fault) = head_fault(&request) {
        request.extensions_mut().insert(RefusedHead(fault));
    }
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(pace.clone());
    let response = router.call(request.map(Body::new));
    async move {
        let response = hsts.add_to(response.await?);
        Ok(response.map(|body| StreamBody::new(body, open, pace)))
    }
}

/// Why the head of a request is refused: it is too large, or names two hosts.
fn head_fault<B>(request: &Request<B>) -> Option<HeadFault> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > HEAD_BYTES {
        return Some(HeadFault::TargetTooLong);
    }
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > HEAD_FIELDS || target + bytes > HEAD_BYTES {
        return Some(HeadFault::TooLarge);
    }
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let hosts = authority.into_iter().chain(headers.get_all(HOST).iter().map(HeaderValue::as_bytes));
    let mut hosts = hosts.map(<[u8]>::to_ascii_lowercase);
    let first = hosts.next();
    hosts.any(|host| Some(host) != first).then_some(HeadFault::HostRepeated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(uri: &str, fields: &[(&str, &str)]) -> Option<HeadFault> {
        let builder = Request::builder().uri(uri);
        let request = fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        head_fault(&request.body(()).unwrap())
    }

    #[test]
    fn http2_head_beyond_its_limits_is_refused() {
        let long = "x".repeat(HEAD_BYTES);
        let many: Vec<(String, &str)> = (0..=HEAD_FIELDS).map(|i| (format!("x-{i}"), "y")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(fault("https://a.example/", &many[1..]), None);
        assert_eq!(fault("https://a.example/", &many), Some(HeadFault::TooLarge));
        assert_eq!(fault("https://a.example/", &[("x", &long)]), Some(HeadFault::TooLarge));
        assert_eq!(fault(&format!("https://a.example/{long}"), &[]), Some(HeadFault::TargetTooLong));
    }

    #[test]
    fn http2_request_that_names_two_hosts_is_refused() {
        assert_eq!(fault("https://a.example/", &[("host", "A.example")]), None);
        assert_eq!(fault("/", &[("host", "b.example")]), None);
        for fields in [&[("host", "b.example")][..], &[("host", "a.example"), ("host", "b.example")]] {
            assert_eq!(fault("https://a.example/", fields), Some(HeadFault::HostRepeated));
        }
    }
}
