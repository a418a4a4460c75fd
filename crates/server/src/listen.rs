//! The accept loop: bounded connections, a deadline for each request's head, a drain at the end.
//!
//! `axum::serve` has no deadline for the head, so that slow clients would hold sockets for ever.

use crate::telemetry::HTTP_CONNECTIONS;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tower::Service;

/// Bytes that are read ahead of a connection at most. A head that does not fit is answered 431.
const READ_AHEAD_BYTES: usize = 16 << 10;
/// How long to wait after an accept that failed, for instance because no descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The limits of the accept loop.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at the same time; others wait in the kernel's queue.
    pub max_connections: usize,
    /// For the head of a request to arrive.
    pub header_timeout: Duration,
    /// For a client to take in what is sent; one that reads nothing for so long is cut off.
    pub write_timeout: Duration,
    /// For running requests to finish once `stop` is done.
    pub drain_timeout: Duration,
}

/// Serves until `stop` is done, then finishes what is running.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let service = service_fn({
            let router = router.clone();
            move |mut request: hyper::Request<Incoming>| {
                request.extensions_mut().insert(peer);
                router.clone().call(request.map(Body::new))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(READ_AHEAD_BYTES)
            .serve_connection(TokioIo::new(Box::pin(patient(stream, limits.write_timeout))), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            let _place = place;
            let open = metrics::gauge!(HTTP_CONNECTIONS);
            open.increment(1);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
            open.decrement(1);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain_timeout, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were cut off");
    }
}

/// A stream whose other side must go on reading.
fn patient(stream: TcpStream, write_timeout: Duration) -> TimeoutStream<TcpStream> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_timeout));
    stream
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are small and whole: waiting to fill a segment would only delay them.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
